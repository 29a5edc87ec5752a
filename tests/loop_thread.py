"""An event loop in a thread of its own, for tests that call from outside what lives in one."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
PATIENCE_S = 60.0


class LoopThread:
    """Runs from its construction to `close`."""

    def __init__(self, name: str = "loop") -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for a coroutine."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE_S)

    def do(self, work: Callable[[], T]) -> T:
        """Call a function there."""

        async def call() -> T:
            return work()

        return self.run(call())

    def close(self) -> None:
        """End the loop once every connection in it has ended: one that is cut off in the middle would be told of as a
        leak, in whichever test runs when it is collected.
        """
        self.run(self._end_of_connections())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(PATIENCE_S)
        self.loop.close()

    async def _end_of_connections(self) -> None:
        selector: Any = vars(self.loop)["_selector"]
        async with asyncio.timeout(PATIENCE_S):
            while len(selector.get_map()) > 1:  # noqa: ASYNC110 - they tell nobody; what stays is the loop's own pipe
                await asyncio.sleep(0.001)
        await asyncio.sleep(0)  # a connection that has left the selector is told so in the next turn
