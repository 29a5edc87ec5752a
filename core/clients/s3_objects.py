"""Reading S3 objects as streams; a broken connection is resumed where it broke."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from urllib3.exceptions import HTTPError

from core.clients.aws_session import SDK_ERRORS, AwsSession, fault_of
from core.clients.faults import Changed, Denied, Transient

_RESUMES = 4  # broken connections tolerated per object


class S3Objects:
    """Objects of any bucket the role may read. Thread-safe."""

    def __init__(self, session: AwsSession, *, connections: int) -> None:
        self._session = session
        self._client = session.client("s3", connections=connections)

    def open(self, bucket: str, key: str, version: str | None) -> S3Object:
        """The object's present content, or exactly `version`. Raises Gone, Denied, Refused or Transient."""
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

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`; empty at the end. Raises Transient, or Changed (somebody overwrote it)."""
        while True:
            try:
                piece: bytes = self._body.read(size)
            except (BotoCoreError, HTTPError, OSError) as error:
                self._resume(error)
                continue
            if not piece and self._at < self.size:
                self._resume(None)
                continue
            self._at += len(piece)
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
        more = {"Range": f"bytes={self._at}-", "IfMatch": f'"{self.etag}"'}
        if self.version:
            more["VersionId"] = self.version
        self._body = self._objects.get(self._bucket, self._key, more)["Body"]
