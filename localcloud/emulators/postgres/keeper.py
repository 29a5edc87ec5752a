"""Runs the program given as arguments for as long as its starter lives. Needs nothing but Python's own library.

Its stdin is never written: its end says that the starter is gone, however it went, and PostgreSQL is stopped in order.
Should this process itself be killed, the kernel tells PostgreSQL (Linux; elsewhere the next start ends the leftover).
"""

import ctypes
import signal
import subprocess
import sys
import threading

_PR_SET_PDEATHSIG = 1
_FAST_STOP = signal.SIGINT  # PostgreSQL: roll back what is open, write what is committed, end


def _end_with_keeper() -> None:
    """Between fork and exec."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _FAST_STOP)


def main() -> int:
    """The program's exit code."""
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, preexec_fn=_end_with_keeper)  # noqa: PLW1509 -- no thread runs yet
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: child.send_signal(_FAST_STOP))

    def watch() -> None:
        sys.stdin.buffer.read()
        child.send_signal(_FAST_STOP)

    threading.Thread(target=watch, daemon=True).start()
    return child.wait()


if __name__ == "__main__":
    sys.exit(main())
