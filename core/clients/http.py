"""HTTP with connection reuse, timeouts and bounded retries."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from urllib3.exceptions import HTTPError

from core.clients.faults import InDoubt, Refused, Transient
from core.clients.wire import READ_S, NotSentError, Wire

_RETRIED = frozenset({408, 429, 500, 502, 503, 504})
_NO_ANSWER = frozenset({502, 504})
"""A gateway's word that it got none from the service, which may have done its work."""
_LONGEST_WAIT_S = 30.0
_THROTTLED_TRIES = 20  # a server that says when to come back is healthy


@dataclass(frozen=True, slots=True)
class Answer:
    """The last answer of a call, and how many earlier tries went without any answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    unanswered: int = 0


class Http:
    """A pool of connections. Thread-safe."""

    def __init__(
        self,
        *,
        ca_file: str | None = None,
        connections: int = 32,
        tries: int = 5,
        read_s: float = READ_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._wire = Wire(connections=connections, ca_file=ca_file, read_s=read_s)
        self._tries = tries
        self._clock = clock
        self._sleep = sleep

    def call(
        self,
        method: str,
        url: str,
        *,
        headers: Callable[[], Mapping[str, str]] | Mapping[str, str],
        body: bytes | None = None,
        until: float | None = None,
        renew: Callable[[], None] | None = None,
    ) -> Answer:
        """The first answer that is no passing fault, else the last one.

        `headers` may be a callable: asked anew for each try (tokens, signatures). `until`: a moment of the clock after
        which no further try begins. `renew` is called once after a 401. Raises Transient (nothing was sent)
        or InDoubt (sent, but no answer arrived) when no try was answered.
        """
        unanswered = attempt = 0
        while True:
            attempt += 1
            asked = headers() if callable(headers) else headers
            try:
                reply = self._wire.request(method, url, body=body, headers=asked)
                content = reply.read()
            except (HTTPError, OSError) as error:
                unanswered += not isinstance(error, NotSentError)
                if not self._wait(attempt, None, until):
                    kind = InDoubt if unanswered else Transient
                    why = type(error.__cause__ or error).__name__
                    raise kind(f"{method} {_shown(url)}: no answer after {attempt} tries ({why})") from error
                continue
            unanswered += reply.status in _NO_ANSWER
            answer = Answer(reply.status, reply.headers, content, unanswered)
            if answer.status == 401 and renew is not None:
                renew()
                renew = None
                continue
            if answer.status not in _RETRIED or not self._wait(attempt, reply.headers.get("Retry-After"), until):
                return answer

    def once(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        ready: Callable[[], None] | None = None,
        most: int,
    ) -> Answer:
        """The answer of one try, whatever its status. For calls that only their caller may repeat.

        `ready`: see Wire.request. Raises Transient (nothing was sent), InDoubt (sent, but no whole answer arrived) or
        Refused (the answer has more than `most` bytes).
        """
        try:
            reply = self._wire.request(method, url, body=body, headers=headers, ready=ready)
            content = reply.read(most + 1)
        except (HTTPError, OSError) as error:
            kind = Transient if isinstance(error, NotSentError) else InDoubt
            why = type(error.__cause__ or error).__name__
            raise kind(f"{method} {_shown(url)}: no whole answer ({why})") from error
        if len(content) > most:
            reply.close()
            raise Refused(f"{method} {_shown(url)}: the answer must have at most {most} bytes, got more")
        return Answer(reply.status, reply.headers, content)

    def _wait(self, attempt: int, retry_after: str | None, until: float | None) -> bool:
        """Waits before the next try; False when there is none left, or no time for it."""
        if attempt >= (self._tries if retry_after is None else _THROTTLED_TRIES):
            return False
        wait = min(_LONGEST_WAIT_S, 0.2 * 2.0**attempt) * (0.5 + random.random() / 2)  # noqa: S311 - jitter, no secret
        if retry_after is not None and retry_after.strip().isdigit():
            wait = float(retry_after) + random.random() / 4  # noqa: S311 - not all at once
        if until is not None and self._clock() + wait > until:
            return False
        if wait > 2 * _LONGEST_WAIT_S:  # the server asks for more patience than a try is worth
            return False
        self._sleep(wait)
        return True


def _shown(url: str) -> str:
    """The URL without its query: a signature or token in it must not reach a log."""
    return url.split("?", 1)[0]


def failure(answer: Answer, what: str) -> str:
    """A short text for an answer that is not the wanted one: what, status, the service's own code and words."""
    code = answer.headers.get("x-ms-error-code", "")
    words = answer.body[:200].decode("utf-8", "replace").replace("\n", " ")
    return f"{what}: {answer.status} {code} {words}".strip()
