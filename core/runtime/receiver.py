"""The container's entry for steps on Service Bus: `python -m core.runtime.receiver [manifest.json]`.

The same handler modules, the same manifest.json and the same outcomes as on Functions. What differs: here a message can
be settled one by one, so what a step gives up goes to the entity's own dead-letter queue with its reason, and one bad
message of a batch costs nobody else. SIGTERM: nothing new is taken, what is in hand has the grace time, the rest is
given back. A step that runs for longer than the package's time limit ends the process in the same way, for what runs in
a thread cannot be stopped there; its message comes again, and the platform starts the container anew.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import msgspec
from azure.servicebus.aio import ServiceBusClient

from core.clients.http import Http
from core.clients.managed_identity import ManagedIdentity
from core.clients.service_bus import of_sdk
from core.clients.service_bus_aio import AioCredential, connect
from core.runtime import log
from core.runtime.aside import GivenUp, said
from core.runtime.bus_hand import DeadLetter, Group, Settle, Verdict, Work
from core.runtime.bus_receiving import Messages, Receiving, Source
from core.runtime.bus_sessions import Sessions
from core.runtime.manifest import BusOptions, BusTrigger, Function, Manifest
from core.runtime.settings import bus_connection, ca_file, identity_endpoint
from core.runtime.step import Delivery, NotDone, Step, load

GRACE_S = 25.0
"""Container Apps gives a replica 30 s between SIGTERM and SIGKILL, unless told otherwise."""
_SPARE_THREADS = 8  # beside those of synchronous handlers: tokens, clients


class DeadLetters:
    """Notes what a step gives up: whoever received the message dead-letters it."""

    def __init__(self) -> None:
        self._found: dict[int, DeadLetter] = {}

    async def keep(self, gone: GivenUp) -> None:
        """Nothing is sent: the message is still locked, and the dead-letter queue is its own."""
        self._found[id(gone.message)] = DeadLetter(*said(gone))

    def of(self, message: object, otherwise: Settle) -> Verdict:
        """The verdict on a message that was handed over."""
        return self._found.get(id(message), otherwise)


class TimeLimit:
    """Of each call of a step; the Functions host ends a process in which one runs for longer, and so do we."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self.passed = asyncio.Event()

    @contextmanager
    def running(self, function: str) -> Iterator[None]:
        """A call, from its beginning to its end."""
        timer = asyncio.get_running_loop().call_later(self._limit_s, self._pass, function)
        try:
            yield
        finally:
            timer.cancel()

    def _pass(self, function: str) -> None:
        what = f"a step must end within time_limit_s={self._limit_s:g}, this one still runs"
        what = f"{what}; its message comes again and the process ends: make the step shorter, or the limit longer"
        log.Log(function=function).error("time limit", reason=what)
        self.passed.set()


def work_of(step: Step, trigger: BusTrigger, limit: TimeLimit) -> Work:
    """What is done with the messages of one trigger."""

    async def work(group: Group) -> list[Verdict]:
        aside, messages = DeadLetters(), [of_sdk(one) for one in group]
        delivery = Delivery(invocation_id=str(uuid.uuid4()), aside=aside)
        otherwise = Settle.COMPLETE
        try:
            with limit.running(step.name):
                if trigger.batch:
                    await step.serve_batch(messages, delivery)
                else:
                    await step.serve(messages[0], delivery)
        except NotDone:  # its line is written
            otherwise = Settle.ABANDON
        return [aside.of(message, otherwise) for message in messages]

    return work


def described(manifest: Path) -> Manifest:
    """What a package says of itself. Raises OSError, msgspec's error."""
    return msgspec.json.decode(manifest.read_bytes(), type=Manifest)


def receivings(manifest: Path, options: BusOptions, limit: TimeLimit) -> list[Receiving]:
    """One for each function of a package; they contact nobody yet. Raises what `load` raises, SettingsError, or
    TypeError for a trigger that is not of Service Bus.
    """
    return [_receiving(function, step, options, limit) for function, step in load(manifest)]


def _receiving(function: Function, step: Step, options: BusOptions, limit: TimeLimit) -> Receiving:
    trigger = function.trigger
    if not isinstance(trigger, BusTrigger):
        raise TypeError(
            f"function {function.name}: a container's steps must be triggered by Service Bus, got "
            f"{type(trigger).__name__}; declare the step in a FunctionWorker"
        )
    names, ready = log.Log(function=function.name), asyncio.Event()
    ready.set()
    source = Source(
        trigger=trigger, options=options, connect=_connecting(trigger), work=work_of(step, trigger, limit),
        say=lambda text: names.warning("receiver", reason=text), ready=ready,
    )  # fmt: skip
    return Sessions(source) if trigger.sessions else Messages(source)


def _connecting(trigger: BusTrigger) -> Callable[[], ServiceBusClient]:
    namespace, client_id = bus_connection(trigger.connection)
    endpoint, header = identity_endpoint()
    identity = ManagedIdentity(
        Http(ca_file=ca_file(), connections=2), endpoint=endpoint, header=header, client_id=client_id
    )
    return lambda: connect(AioCredential(identity), namespace=namespace, ca_file=ca_file())


async def run(manifest: Path, stop: asyncio.Event, *, grace_s: float = GRACE_S) -> int:
    """Works until `stop` is set, then ends in order. Answers the exit code: 0, or 1 when a step ran for too long.
    Raises what `receivings` raises.
    """
    log.start()
    loop = asyncio.get_running_loop()
    listed = described(manifest)
    options, limit = listed.bus, TimeLimit(listed.time_limit_s)
    found = receivings(manifest, options, limit)
    threads = len(found) * max(options.max_concurrent_calls, options.max_concurrent_sessions) + _SPARE_THREADS
    loop.set_default_executor(ThreadPoolExecutor(threads, thread_name_prefix="handler"))
    loops = [loop.create_task(one.loop()) for one in found]
    log.Log().info("receiver", state="started", functions=len(found))
    ends = [loop.create_task(stop.wait()), loop.create_task(limit.passed.wait())]
    await asyncio.wait([*ends, *loops], return_when=asyncio.FIRST_COMPLETED)
    for task in (*ends, *loops):
        task.cancel()
    results = await asyncio.gather(*loops, return_exceptions=True)
    await asyncio.gather(*(one.stop(grace_s) for one in found))
    log.Log().info("receiver", state="stopped")
    for result in results:
        if isinstance(result, Exception):  # a loop ends by cancellation alone
            raise result
    return 1 if limit.passed.is_set() else 0


async def _main(given: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    code = await run(given.manifest, stop, grace_s=given.grace)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a handler that is stuck in a thread does not hold the replica back


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m core.runtime.receiver", description=__doc__)
    parser.add_argument("manifest", type=Path, nargs="?", default=Path("manifest.json"))
    parser.add_argument("--grace", type=float, default=GRACE_S, help="seconds for what is in hand at SIGTERM")
    asyncio.run(_main(parser.parse_args()))


if __name__ == "__main__":
    main()
