"""Every secret that a local cloud holds, and where on its disk one lies that must not."""

import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec

from localcloud.control import address
from localcloud.control.client import Supervisor
from localcloud.supervisor.shapes import Access, Outside

PATTERNS = {
    "a signed token": rb"eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}\.",
    "a shared access signature": rb"[?&;]sig=[A-Za-z0-9%+/]{20,}",
    "an account key": rb"AccountKey=|SharedAccessKey|SharedKey ",
    "temporary AWS keys": rb"ASIA[A-Z0-9]{16}",
    "a private key": rb"-----BEGIN [A-Z ]*PRIVATE KEY",
}
"""What a secret looks like, whoever made it."""
RECORDS = ("control.sqlite", "engine.sqlite", "pulumi/", "logs/", "supervisor.log", "apps/")
"""What tells people or engines something: nothing there may even look like a secret."""


class Kept(msgspec.Struct, frozen=True):
    """One secret: what it is, its text, and the files (paths below the home begin so) that are there to keep it."""

    what: str
    text: bytes
    keeper: str


def kept(home: Path) -> list[Kept]:
    """The secrets of a running local cloud, each read where it is kept; those that live in memory are asked for."""
    cloud = home / "cloud"
    found = [
        Kept(
            "the AWS root key",
            json.loads((cloud / "aws/iam/root_key.json").read_text())["secret"].encode(),
            "cloud/aws/iam",
        ),
        *(_column(cloud / "aws/iam/sessions.sqlite", "sessions", "secret", "an AWS session's key")),
        *(_column(cloud / "aws/iam/sessions.sqlite", "sessions", "token", "an AWS session's token")),
        *(_column(cloud / "vault/secrets.sqlite", "secrets", "value", "a vault's secret")),
    ]
    for slot, key in json.loads((cloud / "azurite/slots.json").read_text()).items():
        found.append(Kept(f"storage account key {slot}", key.encode(), "cloud/azurite/slots.json"))
    found.append(Kept("the token of /metrics", (home / "metrics.token").read_bytes(), "metrics.token"))
    keys = (home / "outside").glob("*.key")
    found += [Kept(file.stem, file.read_bytes(), f"outside/{file.stem}.") for file in keys]
    for file in [*cloud.rglob("*.key"), cloud / "ca/server.pem"]:
        place = str(file.relative_to(home))
        text = re.search(rb"PRIVATE KEY-----\s+(\S+)", file.read_bytes())
        found.append(Kept(place, text[1] if text else file.read_bytes().strip(), place))
    return [*found, *_in_memory(home)]


def _column(file: Path, table: str, column: str, what: str) -> Iterator[Kept]:
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
        rows = database.execute(f"SELECT {column} FROM {table}").fetchall()  # noqa: S608  names of ours
    database.close()
    keeper = str(file.parent.relative_to(next(one for one in file.parents if one.name == "cloud").parent))
    return (Kept(what, row[0].encode(), keeper) for row in rows)


def _in_memory(home: Path) -> Iterator[Kept]:
    found = address.read(home)
    assert found, "the local cloud must run"
    yield Kept("the control plane's secret", found.secret.encode(), address.FILE)
    supervisor = Supervisor(found)
    try:
        access = supervisor.call("GET", "/access", None, Access)
        yield Kept("the deployer's identity header", access.identity_header.encode(), "nowhere")
        outside = supervisor.call("GET", "/outside", None, Outside)
        yield Kept("the log vendor's key", outside.secret_key.encode(), "cloud/aws/iam")
    finally:
        supervisor.close()


def spilled(home: Path, secrets: list[Kept]) -> list[str]:
    """Every file below the home that holds a secret it is not the keeper of, or that tells what looks like one."""
    found = []
    keepers: dict[bytes, tuple[str, ...]] = {}
    for one in secrets:  # an outside service's key lies there and in the vault
        keepers[one.text] = (*keepers.get(one.text, ()), one.keeper)
    for file in sorted(path for path in home.rglob("*") if path.is_file() and not path.is_symlink()):
        place, text = str(file.relative_to(home)), file.read_bytes()
        found += [
            f"{one.what} in {place}" for one in secrets if not place.startswith(keepers[one.text]) and one.text in text
        ]
        if place.startswith(RECORDS) and "/package-" not in place:
            found += [f"{what} in {place}" for what, pattern in PATTERNS.items() if re.search(pattern, text)]
    return found


def readable_by_others(home: Path, secrets: list[Kept]) -> list[str]:
    """Keepers that somebody else on this machine could read."""
    places = {one.keeper for one in secrets}
    files = [
        path for path in home.rglob("*") if path.is_file() and str(path.relative_to(home)).startswith(tuple(places))
    ]
    return [str(path.relative_to(home)) for path in files if path.stat().st_mode & 0o077]
