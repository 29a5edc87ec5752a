"""How the stand-in behaves: one file that a person or a test may change at any time."""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

FILE = "settings.json"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`settings.json` in the stand-in's folder."""

    per_second: Annotated[int, Meta(ge=0)] = 25
    """Requests in any second (documented); 0: no limit."""
    per_day: Annotated[int, Meta(ge=0)] = 100_000
    """Requests from 00:00 to 24:00 UTC (documented: 1,000 a named user); 0: no limit."""
    latency_ms: Annotated[float, Meta(ge=0, le=60_000)] = 0
    """Before each answer."""
    token_minutes: Annotated[float, Meta(gt=0)] = 30
    """How long a report's token is good after its last use (our reading: nobody documents it)."""


def read(folder: Path) -> Settings:
    """As they are now; the defaults when there is no file. Raises ValueError for a file that is wrong."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Settings)
    except FileNotFoundError:
        return Settings()
    except msgspec.MsgspecError as error:
        raise ValueError(f"{folder / FILE}: {error}; correct it, or remove it for the defaults") from error


def write(folder: Path, settings: Settings) -> None:
    """From the next request on."""
    new = folder / f".{FILE}"
    new.write_bytes(msgspec.json.format(msgspec.json.encode(settings)))
    new.replace(folder / FILE)
