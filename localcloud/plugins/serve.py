"""How every plugin of ours is served: a loopback port, printed first; it ends when the engine ends it, or dies."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent import futures

import grpc

from localcloud.engine.monitor import CHANNEL_OPTIONS

THREADS = 32
WATCH_S = 1.0


def serve(add: Callable[[grpc.Server], None]) -> None:
    """Serve what `add` puts on the server until SIGINT, SIGTERM or until whoever started this process is gone; then
    end the process.
    """
    parent = os.getppid()
    server = grpc.server(futures.ThreadPoolExecutor(THREADS), options=CHANNEL_OPTIONS)
    add(server)
    port = server.add_insecure_port("127.0.0.1:0")
    stopped = threading.Event()
    # SIGINT is how the engine ends its plugins (they are process groups of their own: no Ctrl-C gets here).
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    # A killed engine ends nobody: its plugins find a new parent.
    while not stopped.wait(WATCH_S) and os.getppid() == parent:
        pass
    server.stop(grace=1).wait()
    os._exit(0)  # nothing is left to do: taking a plugin's objects apart would be a sixth of its time
