"""Buckets and objects: an index in SQLite, each version's bytes in a file of its own. Nothing is lost by a SIGKILL.

A payload file is complete before the index names it; a file the index does not name is left-over and swept at start.
"""

import json
import secrets
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from localcloud.emulators.private_files import private_folder
from localcloud.emulators.transaction import transaction

_SCHEMA: Final = """
create table if not exists buckets (name text primary key, created real not null, settings text not null);
create table if not exists objects (
    seq integer primary key autoincrement,   -- later versions have the higher number
    bucket text not null, key text not null, version text not null,
    latest integer not null, marker integer not null, etag text not null, size integer not null,
    modified real not null, headers text not null, file text not null
);
create unique index if not exists version on objects (bucket, key, version);
create index if not exists listing on objects (bucket, key) where latest;
create table if not exists uploads (
    id text primary key, bucket text not null, key text not null, headers text not null, started real not null
);
create table if not exists parts (
    upload text not null, number integer not null, etag text not null, size integer not null, file text not null,
    primary key (upload, number)
);
"""
NULL_VERSION: Final = "null"


class ObjectVersion(msgspec.Struct, frozen=True):
    """One version of one object. `headers` are what GET gives back: content type, user metadata, checksums.
    `version` is "null" where the bucket is not versioned; `marker` says that this version is a delete marker.
    """

    seq: int
    bucket: str
    key: str
    version: str
    latest: bool
    marker: bool
    etag: str
    size: int
    modified: float
    headers: dict[str, str]
    file: str


class Bucket(msgspec.Struct):
    """A bucket's settings: `versioning` is "", "Enabled" or "Suspended"; `notifications` as put; `policy` as text."""

    name: str
    created: float
    versioning: str = ""
    policy: str = ""
    notifications: list[dict[str, Any]] = []


_COLUMNS: Final = "seq, bucket, key, version, latest, marker, etag, size, modified, headers, file"


class ObjectStore:
    """All buckets of the account."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._files = private_folder(private_folder(folder) / "objects")
        self._db = sqlite3.connect(folder / "s3.sqlite", isolation_level=None)
        (folder / "s3.sqlite").chmod(0o600)
        self._db.execute("pragma journal_mode=wal")
        self._db.execute("pragma synchronous=normal")
        self._db.executescript(_SCHEMA)
        rows = self._db.execute("select settings from buckets").fetchall()
        self._buckets = {b.name: b for b in (msgspec.json.decode(row[0], type=Bucket) for row in rows)}
        self._sweep()

    def close(self) -> None:
        """Closes the index."""
        self._db.close()

    # ---- buckets

    def buckets(self) -> list[Bucket]:
        """All buckets by name."""
        return [self._buckets[name] for name in sorted(self._buckets)]

    def bucket(self, name: str) -> Bucket | None:
        """A bucket; None when there is none."""
        return self._buckets.get(name)

    def put_bucket(self, name: str) -> Bucket:
        """Creates a bucket unless it exists."""
        if name not in self._buckets:
            self.save_bucket(Bucket(name, self._clock()))
        return self._buckets[name]

    def save_bucket(self, bucket: Bucket) -> None:
        """Keeps a bucket's settings."""
        self._buckets[bucket.name] = bucket
        self._db.execute(
            "insert into buckets values (?, ?, ?) on conflict (name) do update set settings = excluded.settings",
            (bucket.name, bucket.created, msgspec.json.encode(bucket).decode()),
        )

    def is_empty(self, bucket: str) -> bool:
        """Whether a bucket holds no version at all."""
        return self._db.execute("select 1 from objects where bucket = ? limit 1", (bucket,)).fetchone() is None

    def remove_bucket(self, name: str) -> None:
        """Removes a bucket with everything in it."""
        files = [row[0] for row in self._db.execute("select file from objects where bucket = ?", (name,))]
        self._db.execute("delete from objects where bucket = ?", (name,))
        self._db.execute("delete from buckets where name = ?", (name,))
        self._buckets.pop(name, None)
        self._unlink(files)

    # ---- objects

    def new_file(self) -> Path:
        """A path for a payload that is being received; `put` takes it over."""
        name = uuid.uuid4().hex
        folder = self._files / name[:2]
        folder.mkdir(exist_ok=True)
        return folder / name

    def path(self, version: ObjectVersion) -> Path:
        """Where a version's bytes lie."""
        return self._files / version.file[:2] / version.file

    def put(
        self, bucket: Bucket, key: str, file: Path | None, *, etag: str, size: int, headers: dict[str, str]
    ) -> ObjectVersion:
        """Makes `file` the latest version of a key (None: a delete marker)."""
        version = _new_version() if bucket.versioning == "Enabled" else NULL_VERSION
        dropped: list[str] = []
        marker = file is None
        row = (
            bucket.name,
            key,
            version,
            1,
            marker,
            etag,
            size,
            self._clock(),
            json.dumps(headers),
            file.name if file else "",
        )
        with transaction(self._db):
            if version == NULL_VERSION:
                dropped = self._drop(bucket.name, key, NULL_VERSION)
            self._db.execute(
                "update objects set latest = 0 where bucket = ? and key = ? and latest", (bucket.name, key)
            )
            cursor = self._db.execute(
                "insert into objects (bucket, key, version, latest, marker, etag, size, modified, headers, file) "
                "values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
        self._unlink(dropped)
        return ObjectVersion(
            cursor.lastrowid or 0, bucket.name, key, version, True, marker, etag, size, row[7], headers, row[9]
        )

    def find(self, bucket: str, key: str, version: str | None) -> ObjectVersion | None:
        """A version, or the latest one (which may be a delete marker)."""
        which, values = ("latest", ()) if version is None else ("version = ?", (version,))
        row = self._db.execute(
            f"select {_COLUMNS} from objects where bucket = ? and key = ? and {which}",  # noqa: S608 -- constants only
            (bucket, key, *values),
        ).fetchone()
        return _version(row) if row else None

    def delete(self, bucket: str, key: str, version: str) -> None:
        """Removes one version for good; the one before it becomes the latest."""
        with transaction(self._db):
            dropped = self._drop(bucket, key, version)
            self._db.execute(
                "update objects set latest = 1 where seq = (select max(seq) from objects where bucket = ? and key = ?)",
                (bucket, key),
            )
        self._unlink(dropped)

    def keys(self, bucket: str, prefix: str, after: str, *, versions: bool = False) -> Iterator[ObjectVersion]:
        """Latest live versions with a prefix, in key order, after a key; with `versions` all of them, newest first."""
        which = "1" if versions else "latest and not marker"
        start = max(after, prefix)
        operator = ">" if after and after >= prefix else ">="
        cursor = self._db.execute(
            f"select {_COLUMNS} from objects where bucket = ? and key {operator} ? and {which} order by key, seq desc",  # noqa: S608
            (bucket, start),
        )
        for row in cursor:
            if not row[2].startswith(prefix):
                return
            yield _version(row)

    # ---- multipart uploads

    def start_upload(self, bucket: str, key: str, headers: dict[str, str]) -> str:
        """A new upload's id."""
        upload = secrets.token_urlsafe(48)
        self._db.execute(
            "insert into uploads values (?, ?, ?, ?, ?)", (upload, bucket, key, json.dumps(headers), self._clock())
        )
        return upload

    def upload_headers(self, upload: str, bucket: str, key: str) -> dict[str, str] | None:
        """The headers an upload started with; None when there is no such upload for the key."""
        row = self._db.execute(
            "select headers from uploads where id = ? and bucket = ? and key = ?", (upload, bucket, key)
        ).fetchone()
        return json.loads(row[0]) if row else None

    def put_part(self, upload: str, number: int, file: Path, etag: str, size: int) -> None:
        """Keeps a part; the same number again replaces it."""
        old = self.parts(upload).get(number)
        self._db.execute("insert or replace into parts values (?, ?, ?, ?, ?)", (upload, number, etag, size, file.name))
        self._unlink([old[2]] if old else [])

    def parts(self, upload: str) -> dict[int, tuple[str, int, str]]:
        """Number → (etag, size, file name)."""
        rows = self._db.execute(
            "select number, etag, size, file from parts where upload = ? order by number", (upload,)
        )
        return {number: (etag, size, file) for number, etag, size, file in rows}

    def part_path(self, file: str) -> Path:
        """Where a part's bytes lie."""
        return self._files / file[:2] / file

    def end_upload(self, upload: str) -> None:
        """Forgets an upload and its parts."""
        files = [part[2] for part in self.parts(upload).values()]
        self._db.execute("delete from parts where upload = ?", (upload,))
        self._db.execute("delete from uploads where id = ?", (upload,))
        self._unlink(files)

    def _drop(self, bucket: str, key: str, version: str) -> list[str]:
        where = (bucket, key, version)
        files = [
            r[0]
            for r in self._db.execute("select file from objects where bucket = ? and key = ? and version = ?", where)
        ]
        self._db.execute("delete from objects where bucket = ? and key = ? and version = ?", where)
        return files

    def _unlink(self, files: list[str]) -> None:
        for file in filter(None, files):
            (self._files / file[:2] / file).unlink(missing_ok=True)

    def _sweep(self) -> None:
        known = {row[0] for row in self._db.execute("select file from objects union select file from parts")}
        for file in self._files.glob("*/*"):
            if file.name not in known:
                file.unlink()


def _version(row: tuple[Any, ...]) -> ObjectVersion:
    seq, bucket, key, version, latest, marker, etag, size, modified, headers, file = row
    return ObjectVersion(
        seq, bucket, key, version, bool(latest), bool(marker), etag, size, modified, json.loads(headers), file
    )


def _new_version() -> str:
    return secrets.token_urlsafe(24)
