"""DeleteMessage and ChangeMessageVisibility in the plain case, at a fraction of botocore's processor time.

As `s3_plain`: the address is seen in botocore's own requests, and whatever is not answered with 200 at once is
botocore's to ask again and explain; asking for either twice does no harm.
"""

from __future__ import annotations

from typing import Any

import msgspec
from botocore.awsrequest import AWSPreparedRequest
from botocore.utils import get_environ_proxies
from urllib3.exceptions import HTTPError

from core.clients.aws_session import AwsSession
from core.clients.wire import Wire

_JSON = "application/x-amz-json-1.0"


class PlainSettle:
    """Settles messages of one queue. Thread-safe."""

    def __init__(self, session: AwsSession, client: Any, *, connections: int) -> None:
        self._session = session
        self._url = ""
        """Empty: this way is not open."""
        self._seen = False
        client.meta.events.register("before-send.sqs.ReceiveMessage", self._learn)
        ca_file = session.verify if isinstance(session.verify, str) else None
        self._wire = Wire(connections=connections, ca_file=ca_file)

    def call(self, operation: str, fields: dict[str, Any]) -> bool:
        """Whether it is done; if not, ask botocore. Raises what getting credentials raises."""
        if not self._url:
            return False
        body = msgspec.json.encode(fields)
        headers = self._session.headers("sqs", "POST", self._url, body)
        headers |= {"X-Amz-Target": f"AmazonSQS.{operation}", "Content-Type": _JSON}
        try:
            answer = self._wire.request("POST", self._url, headers=headers, body=body)
            answer.read()
        except (HTTPError, OSError):
            return False
        return answer.status == 200

    def _learn(self, request: AWSPreparedRequest, **_: Any) -> None:
        """Sees botocore's own requests before they are sent, until one shows the address."""
        if self._seen:
            return
        self._seen = True
        url = str(request.url)
        usual = request.headers.get("Content-Type") in {_JSON, _JSON.encode()}
        if usual and "?" not in url and not get_environ_proxies(url):
            self._url = url
