"""Reading S3 objects as streams: resumed where a connection broke or an answer was short, checked against their MD5."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from urllib3.exceptions import HTTPError

from core.clients.aws_session import SDK_ERRORS, AwsSession, fault_of
from core.clients.faults import Changed, Corrupt, Denied, Refused, Transient
from core.clients.reply import Reply
from core.clients.s3_plain import PlainGet

_RESUMES = 4  # broken connections tolerated per object
_PIECE = 256 * 1024
_MD5 = re.compile(r"[0-9a-f]{32}")
_ETAG_IS_MD5 = frozenset({"", "AES256"})
"""Kinds of encryption under which an ETag without a dash is the content's MD5."""


class S3Objects:
    """Objects of any bucket the role may read. Thread-safe."""

    def __init__(self, session: AwsSession, *, connections: int) -> None:
        self._session = session
        self._client = session.client("s3", connections=connections)
        self._plain = PlainGet(session, self._client, connections=connections)
        self.etags_are_md5 = True
        """Until a store shows otherwise."""

    def open(self, bucket: str, key: str, version: str | None) -> S3Object:
        """The object's present content, or exactly `version`. Raises Gone, Denied, Refused or Transient."""
        if (plain := self._plain.get(bucket, key, version or "")) is not None:
            return S3Object(self, bucket, key, _as_botocore(plain))
        return S3Object(self, bucket, key, self.get(bucket, key, {"VersionId": version} if version else {}))

    def get(self, bucket: str, key: str, more: dict[str, str]) -> Any:
        """GetObject's answer, faults translated."""
        what = f"s3 get {bucket}/{key}"
        try:
            return self._client.get_object(Bucket=bucket, Key=key, **more)
        except ParamValidationError as error:
            raise Denied(f"{what}: no valid name of a bucket or key") from error
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code == "NoSuchBucket":
                raise Denied(f"{what}: 404 NoSuchBucket") from error
            if code in {"PreconditionFailed", "412"}:
                raise Changed(f"{what}: changed while it was read") from error
            raise fault_of(error, what, self._session) from error
        except SDK_ERRORS as error:
            raise fault_of(error, what, self._session) from error

    def md5(self, bucket: str, key: str, more: dict[str, str]) -> str:
        """The MD5 of what arrives when the object is read once more."""
        digest = hashlib.md5(usedforsecurity=False)
        try:
            for piece in self.get(bucket, key, more)["Body"].iter_chunks(_PIECE):
                digest.update(piece)
        except (BotoCoreError, HTTPError, OSError) as error:
            raise Transient(f"s3 get {bucket}/{key}: broke while it was checked") from error
        return digest.hexdigest()


def _as_botocore(answer: Reply) -> dict[str, Any]:
    """As GetObject's answer, as far as it is read here."""
    modified = answer.headers.get("Last-Modified")
    return {
        "Body": answer,
        "ETag": answer.headers.get("ETag", ""),
        "VersionId": answer.headers.get("x-amz-version-id", ""),
        "ServerSideEncryption": answer.headers.get("x-amz-server-side-encryption", ""),
        "ContentLength": answer.headers.get("Content-Length", 0),
        "LastModified": parsedate_to_datetime(modified) if modified else None,
    }


class S3Object:
    """One object being read."""

    def __init__(self, objects: S3Objects, bucket: str, key: str, answer: Any) -> None:
        self._objects = objects
        self._bucket = bucket
        self._key = key
        self._body = answer["Body"]
        self.etag: str = str(answer.get("ETag", "")).strip('"')
        version = str(answer.get("VersionId") or "")
        self.version: str = "" if version == "null" else version
        self.size = int(answer.get("ContentLength", 0))
        self.modified: datetime = answer.get("LastModified") or datetime.now(UTC)
        self._at = 0
        self._resumes = 0
        plain = str(answer.get("ServerSideEncryption") or "") in _ETAG_IS_MD5 and not answer.get("SSECustomerAlgorithm")
        checked = objects.etags_are_md5 and plain and _MD5.fullmatch(self.etag) is not None
        self._digest = hashlib.md5(usedforsecurity=False) if checked else None

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`; empty at the end. Raises Transient, Changed (somebody overwrote it), or at
        the end Corrupt: other bytes than those that are stored.
        """
        while True:
            try:
                piece: bytes = self._body.read(size)
            except (BotoCoreError, HTTPError, OSError) as error:
                self._resume(error)
                continue
            if not piece and self._at < self.size:
                self._resume(None)
                continue
            if not piece and self._digest is not None and self._digest.hexdigest() != self.etag:
                if self._more_is_there(self._digest.hexdigest()):
                    continue
                return b""
            self._at += len(piece)
            if self._digest is not None:
                self._digest.update(piece)
            return piece

    def close(self) -> None:
        """Gives the connection back (or drops it, when unread content is left)."""
        self._body.close()

    def _resume(self, error: Exception | None) -> None:
        self._resumes += 1
        what = f"s3 get {self._bucket}/{self._key}: broke at byte {self._at} of {self.size}"
        if self._resumes > _RESUMES:
            raise Transient(what) from error
        self._body.close()
        answer = self._objects.get(self._bucket, self._key, self._same() | {"Range": f"bytes={self._at}-"})
        self._body = answer["Body"]
        self.size = max(self.size, self._at + int(answer.get("ContentLength", 0)))

    def _more_is_there(self, digest: str) -> bool:
        """At the end, but not of what is stored: an answer may be whole and yet too short, or wrong. Raises Corrupt."""
        try:
            self._resume(None)
        except Refused as refused:  # 416: nothing follows
            if digest != self._objects.md5(self._bucket, self._key, self._same()):
                raise Corrupt(f"s3 get {self._bucket}/{self._key}: other bytes than those that are stored") from refused
            self._objects.etags_are_md5 = False  # twice the same: some store's ETags are no MD5
            return False
        return True

    def _same(self) -> dict[str, str]:
        """Asks for exactly what is being read."""
        return {"IfMatch": f'"{self.etag}"'} | ({"VersionId": self.version} if self.version else {})
