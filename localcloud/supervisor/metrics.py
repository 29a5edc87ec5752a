"""`/metrics` for Prometheus: every Service Bus namespace of this local cloud, on one remembered loopback port.

Whoever else is on this machine may open the port, so it asks for a token, which lies in a file that only its owner
reads; Prometheus takes it with `authorization: {credentials_file: …}`.
"""

import hmac
import secrets
from pathlib import Path
from typing import Final

from aiohttp import web

from localcloud.emulators.cloud import LocalCloud
from localcloud.emulators.private_files import keep_private

SITE: Final = "metrics"
TOKEN_FILE: Final = "metrics.token"  # noqa: S105 - the file's name


async def open_metrics(home: Path, cloud: LocalCloud) -> None:
    """Serves the page; its address is among the endpoints."""
    expected = b"Bearer " + keep_private(home / TOKEN_FILE, lambda: secrets.token_urlsafe(32).encode())

    async def page(request: web.Request) -> web.Response:
        shown = request.headers.get("Authorization", "").encode(errors="replace")
        if not hmac.compare_digest(shown, expected):
            text = f"metrics: the header Authorization must be Bearer and the token in {TOKEN_FILE} of the stack\n"
            return web.Response(status=401, text=text, headers={"WWW-Authenticate": "Bearer"})
        return web.Response(text=cloud.buses.metrics(), content_type="text/plain", charset="utf-8")

    app = web.Application()
    app.router.add_get("/metrics", page)
    cloud.endpoints[SITE] = f"{await cloud.show(SITE, app)}/metrics"
