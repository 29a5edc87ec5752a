"""The third parties that run beside the local cloud, each with its data under `outside/` in the stack's home: Alma and
the mail provider. They take keys of their own, which every vault here has from the start, as a person would put them.
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from localcloud.emulators.cloud import LocalCloud
from localcloud.emulators.private_files import keep_private, private_folder, write_private
from localcloud.outside.alma import sample
from localcloud.outside.alma.service import AlmaService
from localcloud.outside.alma.settings import FILE as SETTINGS
from localcloud.outside.alma.settings import Settings as AlmaSettings
from localcloud.outside.mail.inbox import Inbox, landing
from localcloud.outside.mail.service import MailService
from localcloud.outside.mail.service import Settings as MailSettings

T = TypeVar("T", AlmaSettings, MailSettings)


class OutsideServices:
    """Started after the emulators and before the record is replayed: vaults are made then."""

    def __init__(self, home: Path, cloud: LocalCloud, *, clock: Callable[[], float] = time.time) -> None:
        """`home`: the folder of all of them."""
        self._home = private_folder(home)
        self._cloud, self._clock = cloud, clock

    @property
    def alma_folder(self) -> Path:
        """Alma's data, settings and journal."""
        return self._home / "alma"

    @property
    def mail_folder(self) -> Path:
        """The mails, and the sink's settings."""
        return self._home / "mail"

    async def start(self) -> None:
        """Opens their sites; the sample is written the first time."""
        keys = {name: self._key(name) for name in ("alma-key", "mail-key")}
        self._cloud.vault.given.update(keys)
        await asyncio.to_thread(sample.write_once, self.alma_folder)
        alma = AlmaService(self.alma_folder, keys["alma-key"], clock=self._clock)
        mail = MailService(self.mail_folder, keys["mail-key"], clock=self._clock)
        await self._cloud.serve(alma)
        await self._cloud.serve(mail)
        await self._open_inbox(mail)

    async def _open_inbox(self, mail: MailService) -> None:
        """The pages' address holds a secret, so what `status` shows is a file of the owner's that leads there."""
        secret = keep_private(self._home / "inbox.key", lambda: secrets.token_urlsafe(16).encode()).decode()
        address = f"{await self._cloud.show('inbox', Inbox(mail.store, secret).app())}/{secret}/"
        page = self._home / "inbox.html"
        write_private(page, landing(address).encode())
        self._cloud.endpoints["inbox"] = page.as_uri()

    def routes(self) -> list[web.RouteDef]:
        """How a test or a person changes their limits: the settings' files, over the supervisor's API."""
        return [
            web.get("/outside/alma/settings", self._get(lambda: self.alma_folder, AlmaSettings)),
            web.put("/outside/alma/settings", self._put(lambda: self.alma_folder, AlmaSettings)),
            web.get("/outside/mail/settings", self._get(lambda: self.mail_folder, MailSettings)),
            web.put("/outside/mail/settings", self._put(lambda: self.mail_folder, MailSettings)),
        ]

    def _key(self, name: str) -> str:
        prefix = "re_local_" if name == "mail-key" else "l8xx"
        return keep_private(self._home / f"{name}.key", f"{prefix}{secrets.token_hex(16)}".encode).decode()

    def _get(self, folder: Callable[[], Path], kind: type[T]) -> Handler:
        async def get(_request: web.Request) -> web.StreamResponse:
            file = folder() / SETTINGS
            return _checked(file.read_bytes() if file.exists() else b"{}", kind)

        return get

    def _put(self, folder: Callable[[], Path], kind: type[T]) -> Handler:
        async def put(request: web.Request) -> web.StreamResponse:
            answer = _checked(await request.read(), kind)
            if answer.status == 200 and isinstance(answer.body, bytes):
                write_private(folder() / SETTINGS, answer.body)
            return answer

        return put


def _checked(body: bytes, kind: type[T]) -> web.Response:
    try:
        settings = msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        return web.json_response({"refused": f"settings: {error}"}, status=409)
    return web.Response(body=msgspec.json.encode(settings), content_type="application/json")
