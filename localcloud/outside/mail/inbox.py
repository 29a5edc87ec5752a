"""The mails in a browser: plain pages, no scripts, nothing fetched from anywhere.

Served on loopback under an address that holds a secret, to which a file of the owner's leads: another user of the
machine finds nothing. A mail's own HTML is shown in a frame that may neither run nor load anything.
"""

import datetime as dt
import hmac
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from html import escape
from typing import Any, cast

import msgspec
from aiohttp import web

from localcloud.outside.mail.store import Kept, Store

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .8rem .3rem 0;"
    "border-bottom:1px solid #ddd;vertical-align:top}iframe{width:100%;height:28rem;border:1px solid #ddd}"
    "pre{white-space:pre-wrap;background:#f6f6f6;padding:1rem}"
)
_PAGE = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_BODY = {
    **_PAGE,
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "frame-ancestors 'self'",
}


class Inbox:
    """The pages over a store."""

    def __init__(self, store: Store, secret: str) -> None:
        """`secret`: the first part of every path."""
        self._store, self._secret = store, secret

    def app(self) -> web.Application:
        """Routes: the list (page and JSON), a mail, its HTML, its attachments, its source."""
        app = web.Application(middlewares=[self._only_with_the_secret])
        base = "/{secret}"
        app.add_routes(
            [
                web.get(f"{base}/", self._list),
                web.get(f"{base}/messages.json", self._json),
                web.get(f"{base}/{{id}}/", self._mail),
                web.get(f"{base}/{{id}}/html", self._html),
                web.get(f"{base}/{{id}}/source.eml", self._source),
                web.get(f"{base}/{{id}}/files/{{number:\\d+}}", self._attachment),
            ]
        )
        return app

    @property
    def _only_with_the_secret(self) -> Any:
        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            given = request.match_info.get("secret", "")
            if not hmac.compare_digest(given.encode(errors="replace"), self._secret.encode()):
                return web.Response(status=404, text="Not found", headers=_PAGE)
            return await handler(request)

        return middleware

    async def _json(self, _request: web.Request) -> web.Response:
        body = msgspec.json.encode(self._store.all())
        return web.Response(body=body, content_type="application/json", headers=_PAGE)

    async def _list(self, _request: web.Request) -> web.Response:
        rows = "".join(
            f"<tr><td>{_time(one)}</td><td>{escape(', '.join(one.to))}</td>"
            f'<td><a href="{one.id}/">{escape(one.subject) or "(no subject)"}</a></td></tr>'
            for one in reversed(self._store.all())
        )
        table = f"<table><tr><th>When</th><th>To</th><th>Subject</th></tr>{rows}</table>"
        return _page("Mail", table if rows else "<p>No mail yet.</p>")

    async def _mail(self, request: web.Request) -> web.Response:
        kept = self._kept(request)
        message = self._store.message(kept)
        rows = "".join(
            f"<tr><th>{name}</th><td>{escape(str(message[name]))}</td></tr>"
            for name in ("From", "To", "Cc", "Bcc", "Reply-To", "Date", "Subject", "X-Sink-Key")
            if message[name]
        )
        files = "".join(
            f'<li><a href="files/{number}" download>{escape(one.get_filename() or "file")}</a></li>'
            for number, one in enumerate(message.iter_attachments())
        )
        frame = '<iframe sandbox src="html" title="HTML"></iframe>' if _part(message, "html") else ""
        text = _part(message, "plain")
        return _page(
            kept.subject or "(no subject)",
            f'<p><a href="../">All mail</a> · <a href="source.eml" download>Source</a></p><table>{rows}</table>'
            f"<ul>{files}</ul>{frame}{f'<pre>{escape(text)}</pre>' if text else ''}",
        )

    async def _html(self, request: web.Request) -> web.Response:
        html = _part(self._store.message(self._kept(request)), "html")
        return web.Response(text=html, content_type="text/html", headers=_BODY)

    async def _source(self, request: web.Request) -> web.Response:
        kept = self._kept(request)
        return _download(kept.file, (self._store.folder / kept.file).read_bytes())

    async def _attachment(self, request: web.Request) -> web.Response:
        files = list(self._store.message(self._kept(request)).iter_attachments())
        number = int(request.match_info["number"])
        if number >= len(files):
            raise web.HTTPNotFound
        content = files[number].get_payload(decode=True)
        return _download(files[number].get_filename() or "file", content if isinstance(content, bytes) else b"")

    def _kept(self, request: web.Request) -> Kept:
        kept = self._store.get(request.match_info["id"])
        if kept is None:
            raise web.HTTPNotFound
        return kept


def landing(address: str) -> str:
    """A page that leads to `address`."""
    target = escape(address)
    return (
        f'<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={target}"><title>Mail</title>'
        f'<p><a href="{target}">Mail</a>\n'
    )


def _part(message: EmailMessage, subtype: str) -> str:
    body = message.get_body((subtype,))
    return cast("str", body.get_content()) if body is not None else ""


def _time(one: Kept) -> str:
    return f"{dt.datetime.fromtimestamp(one.at, dt.UTC):%Y-%m-%d %H:%M:%S} UTC"


def _page(title: str, body: str) -> web.Response:
    html = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
        f"<h1>{escape(title)}</h1>{body}</html>"
    )
    return web.Response(text=html, content_type="text/html", headers=_PAGE)


def _download(name: str, content: bytes) -> web.Response:
    safe = "".join(one if one.isascii() and (one.isalnum() or one in "-_. ") else "_" for one in name)
    headers = {**_PAGE, "Content-Disposition": f'attachment; filename="{safe}"'}
    return web.Response(body=content, content_type="application/octet-stream", headers=headers)
