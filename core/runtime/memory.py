"""The C library's memory, kept small: glibc gives threads heaps of their own, up to eight a core, and each keeps what
its threads once needed. Where one lock (Python's) lets one thread at a time allocate, two heaps do the same.
"""

from __future__ import annotations

import sys

_ARENA_MAX, _MMAP_THRESHOLD, _TRIM_THRESHOLD = -8, -3, -1  # malloc.h
_HEAPS = 2
_BLOCK_BYTES = 32 * 1024 * 1024
"""Smaller blocks are taken from a heap and given back to it: fresh pages from the kernel cost more than reuse."""


def share_heaps() -> None:
    """For threads that start from now on; elsewhere than on glibc it does nothing."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes  # late: cold starts are counted in milliseconds

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library
        return
    mallopt(_ARENA_MAX, _HEAPS)
    mallopt(_MMAP_THRESHOLD, _BLOCK_BYTES)
    mallopt(_TRIM_THRESHOLD, 2 * _BLOCK_BYTES)
