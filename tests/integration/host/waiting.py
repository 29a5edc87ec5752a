"""Bounded waiting on conditions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(true: Callable[[], bool], limit_s: float = 15) -> None:
    """Returns when `true()` is; TimeoutError after `limit_s`."""
    async with asyncio.timeout(limit_s):
        while not true():  # noqa: ASYNC110 - any condition, not one that tells
            await asyncio.sleep(0.02)
