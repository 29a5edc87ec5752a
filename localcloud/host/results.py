"""Results of invocations: the last ones in memory, more of them in a file of bounded size."""

from __future__ import annotations

from collections import Counter, deque
from pathlib import Path
from typing import Any

import msgspec

from localcloud.host.line_file import LineFile
from localcloud.host.spec import InvocationResult

_KEPT = 200  # results of each function in memory
_FILE_BYTES = 4 << 20


class Results:
    """Adds up what an app's functions did since the host started, and remembers the last runs over restarts."""

    def __init__(self, folder: Path) -> None:
        """`folder` receives `invocations.jsonl` and its predecessor."""
        path = folder / "invocations.jsonl"
        self._file = LineFile(path, _FILE_BYTES)
        self._kept: dict[str, deque[InvocationResult]] = {}
        self.runs: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.counts: dict[str, Counter[str]] = {}
        for result in _read(path):
            self._kept.setdefault(result.function, deque(maxlen=_KEPT)).append(result)

    def add(self, result: InvocationResult) -> None:
        """Count and keep one result."""
        self._kept.setdefault(result.function, deque(maxlen=_KEPT)).append(result)
        self.runs[result.function] += 1
        self.failures[result.function] += not result.ok or result.outcome == "dead"
        self.counts.setdefault(result.function, Counter()).update(result.counts)
        self._file.append(msgspec.json.encode(result))

    def last(self, function: str) -> InvocationResult | None:
        """The newest result of a function, also one from before a restart of the host."""
        kept = self._kept.get(function)
        return kept[-1] if kept else None

    def recent(self, function: str) -> list[InvocationResult]:
        """Results of a function, oldest first."""
        return list(self._kept.get(function, ()))


def _read(path: Path) -> list[InvocationResult]:
    if not path.exists():
        return []
    found = []
    for line in path.read_bytes().splitlines()[-_KEPT:]:
        try:
            found.append(msgspec.json.decode(line, type=InvocationResult))
        except msgspec.MsgspecError:
            continue  # the last line of a host that was killed while it wrote
    return found


def spoken(line: dict[str, Any] | None) -> dict[str, Any]:
    """What a handler's own "invocation" line adds to a result."""
    if not line:
        return {}
    found: dict[str, Any] = {}
    if isinstance(line.get("outcome"), str):
        found["outcome"] = line["outcome"]
    if isinstance(line.get("reason"), str):
        found["reason"] = line["reason"]
    if isinstance(line.get("counts"), dict):
        found["counts"] = {str(key): value for key, value in line["counts"].items() if isinstance(value, int)}
    if "summary" in line:
        found["summary"] = line["summary"]
    return found
