"""What storage queues hide, as the door sees it go by: each message's last receipt.

Azurite ends no visibility timeout before its time unless it is shown the receipt. With these a local cloud can do at
once what waiting would do.
"""

import re
from collections.abc import Iterator, Mapping

_MESSAGE = re.compile(rb"<MessageId>([^<]+)</MessageId>.*?<PopReceipt>([^<]+)</PopReceipt>", re.DOTALL)
Place = tuple[str, str, str]
"""Account, queue, message id."""


class Hidden:
    """The receipts of messages that are hidden, or were until a moment ago."""

    def __init__(self) -> None:
        self._receipts: dict[Place, str] = {}

    def note(
        self, operation: str, place: Place, *, hidden_s: str, headers: Mapping[str, str], body: bytes | bytearray
    ) -> None:
        """An operation that was carried out; `place`: its message's id is "" where the answer's body names messages."""
        account, queue, message = place
        stays = (hidden_s or "0") == "0" and operation in {"PutMessage", "UpdateMessage"}
        if operation == "ClearMessages":
            self._receipts = {one: kept for one, kept in self._receipts.items() if one[:2] != place[:2]}
        elif operation == "DeleteMessage" or (message and stays):
            self._receipts.pop(place, None)
        elif operation == "UpdateMessage":
            self._receipts[place] = headers.get("x-ms-popreceipt", "")
        elif operation in {"GetMessages", "PutMessage"} and not stays:
            for found in _MESSAGE.finditer(body):
                self._receipts[account, queue, found[1].decode()] = found[2].decode()

    def __len__(self) -> int:
        return len(self._receipts)

    def take(self) -> Iterator[tuple[Place, str]]:
        """Each with its receipt; from here on they are not known any more."""
        receipts, self._receipts = self._receipts, {}
        yield from receipts.items()
