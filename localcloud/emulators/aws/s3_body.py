"""Receiving an object's bytes: plain or aws-chunked, to a file, with every digest the client asked to be checked."""

import base64
import hashlib
import re
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiohttp import StreamReader, web

from localcloud.emulators.aws.errors import AwsError
from localcloud.emulators.aws.sqs_store import md5

MAX_OBJECT_BYTES: Final = 5 * 1024**3
_CHUNK: Final = 256 * 1024
_MAX_LINE: Final = 8192
_MAX_TRAILERS: Final = 20
_SIZE: Final = re.compile(rb"[0-9a-fA-F]{1,15}")


@dataclass(slots=True)
class Payload:
    """A received body: where it lies, its size, MD5 (hex) and the checksum headers to give back."""

    file: Path
    size: int
    etag: str
    checksums: dict[str, str] = field(default_factory=dict)


async def receive(request: web.BaseRequest, file: Path) -> Payload:
    """Writes the body to `file`; AwsError (and no file) when a length, digest or checksum does not match."""
    try:
        return await _receive(request, file)
    except BaseException:
        file.unlink(missing_ok=True)  # noqa: ASYNC240 -- a system call, no wait
        raise


async def _receive(request: web.BaseRequest, file: Path) -> Payload:
    declared = request.headers.get("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
    trailers: dict[str, str] = {}
    chunked = declared.startswith("STREAMING-")
    source = _unchunk(request, trailers) if chunked else request.content.iter_chunked(_CHUNK)
    sha256, digest, crc, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0, 0
    with file.open("wb") as out:
        async for chunk in source:
            size += len(chunk)
            if size > MAX_OBJECT_BYTES:
                raise AwsError("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size", 400)
            out.write(chunk)
            digest.update(chunk)
            sha256.update(chunk)
            crc = zlib.crc32(chunk, crc)
    expected = request.headers.get("x-amz-decoded-content-length" if chunked else "Content-Length")
    if expected is not None and expected != str(size):
        raise AwsError(
            "IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header."
        )
    if len(declared) == 64 and declared != sha256.hexdigest():
        raise AwsError(
            "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed."
        )
    content_md5 = request.headers.get("Content-MD5")
    if content_md5 and base64.b64encode(digest.digest()).decode() != content_md5:
        raise AwsError("BadDigest", "The Content-MD5 you specified did not match what we received.")
    computed = {"x-amz-checksum-crc32": crc.to_bytes(4, "big"), "x-amz-checksum-sha256": sha256.digest()}
    return Payload(file, size, digest.hexdigest(), _checksums(request, trailers, computed))


def _checksums(request: web.BaseRequest, trailers: dict[str, str], computed: dict[str, bytes]) -> dict[str, str]:
    """The checksums the client sent; CRC32 and SHA-256 are verified, others (CRC32C, CRC64NVME, SHA-1) kept as sent."""
    sent = {k.lower(): v for k, v in request.headers.items() if k.lower().startswith("x-amz-checksum-")}
    sent |= {k: v for k, v in trailers.items() if k.startswith("x-amz-checksum-")}
    sent = {
        name: value for name, value in sent.items() if name not in {"x-amz-checksum-mode", "x-amz-checksum-algorithm"}
    }
    for name, value in sent.items():
        if name in computed and base64.b64encode(computed[name]).decode() != value:
            kind = name.removeprefix("x-amz-checksum-").upper()
            raise AwsError("BadDigest", f"The {kind} you specified did not match the calculated checksum.")
    return sent


async def _unchunk(request: web.BaseRequest, trailers: dict[str, str]) -> AsyncIterator[bytes]:
    """aws-chunked: `{hex size}[;chunk-signature=…]` CRLF data CRLF …, then trailers. Chunk signatures are not verified:
    the seed signature is, and the connection is TLS.
    """
    stream = request.content
    while True:
        line = (await _line(stream)).partition(b";")[0]
        if not _SIZE.fullmatch(line):
            raise AwsError("IncompleteBody", "The aws-chunked body is broken.")
        size = int(line, 16)
        if size == 0:
            break
        while size:
            data = await stream.read(min(size, _CHUNK))
            if not data:
                raise AwsError("IncompleteBody", "The aws-chunked body ended early.")
            size -= len(data)
            yield data
        await _line(stream)
    while line := await _line(stream):
        if len(trailers) >= _MAX_TRAILERS:
            raise AwsError("IncompleteBody", "The aws-chunked body has too many trailers.")
        name, _, value = line.decode("latin-1").partition(":")
        trailers[name.strip().lower()] = value.strip()


async def _line(stream: StreamReader) -> bytes:
    try:
        line = await stream.readline()
    except ValueError as error:  # longer than the reader keeps
        raise AwsError("IncompleteBody", "A line of the aws-chunked body is too long.") from error
    if len(line) > _MAX_LINE or not line.endswith(b"\n"):
        raise AwsError("IncompleteBody", "A line of the aws-chunked body is too long or broken off.")
    return line.rstrip(b"\r\n")


def joined_etag(part_etags: list[str]) -> str:
    """The ETag of a multipart object: MD5 of the parts' MD5s, a dash, their number."""
    return f"{md5(b''.join(bytes.fromhex(etag) for etag in part_etags))}-{len(part_etags)}"
