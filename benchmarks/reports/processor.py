"""Processor time of a process and all that it started: what a busy machine does not change much."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def used_s(root: int, *, without: int = 0) -> float:
    """Seconds, user and system, of `root` and its living descendants (what ended counts if it was waited for), not of
    `without` and its own. 0 where there is no /proc.
    """
    children: dict[int, list[int]] = defaultdict(list)
    used: dict[int, float] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:  # it ended
            continue
        pid = int(entry.parent.name)
        children[int(fields[1])].append(pid)
        used[pid] = sum(map(int, fields[11:15])) * _TICK_S
    found, open_ = 0.0, [root]
    while open_:
        pid = open_.pop()
        if pid != without:
            found += used.get(pid, 0.0)
            open_ += children[pid]
    return found
