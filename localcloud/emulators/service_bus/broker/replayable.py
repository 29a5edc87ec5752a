"""What the broker needs of a log, `storage.journal.Journal` or any other."""

from collections.abc import Callable, Iterator
from typing import Protocol

from localcloud.emulators.service_bus.broker.recording import Log


class ReplayableLog(Log, Protocol):
    """A log that can be read from its beginning."""

    def replay(self) -> Iterator[bytes]:
        """All records, oldest first, before anything is appended."""

    def reclaim(self, keep: Callable[[bytes], bytes | None], live: Callable[[], int]) -> None:
        """Old records may be given up: `keep` says what of a record still lives, `live` about how many bytes do."""
