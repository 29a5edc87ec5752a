"""Alma's and the mail provider's stand-ins behind a real door with TLS, without the rest of the local cloud."""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from core.clients.alma import Alma
from core.clients.http import Http
from core.clients.mail import Resend
from localcloud.emulators.ca import CertificateAuthority
from localcloud.emulators.door import Door, Troubles
from localcloud.emulators.ports import Ports
from localcloud.emulators.refusals import json_reply
from localcloud.faults.fault import Fault, Schedule
from localcloud.faults.injector import Injector
from localcloud.outside.alma import journal, settings
from localcloud.outside.alma.data import Library
from localcloud.outside.alma.service import AlmaService
from localcloud.outside.alma.settings import Settings
from localcloud.outside.mail.inbox import Inbox
from localcloud.outside.mail.service import MailService
from tests.integration.emulators.local import Clock
from tests.loop_thread import LoopThread

T = TypeVar("T")
KEY, MAIL_KEY, INBOX = "l8xx0123456789abcdef", "re_0123456789abcdef", "inbox-secret"


class Place:
    """Both services, and clients of them."""

    def __init__(self, home: Path) -> None:
        self.home, self.clock = home, Clock()
        self._loop = LoopThread("outside")
        authority = CertificateAuthority(home / "ca")
        self.ca = str(authority.ca_file)
        self.door = Door(Ports(home / "ports.json"), authority.server_context)
        self.alma_folder, self.mail_folder = home / "alma", home / "mail"
        self.library = Library(self.alma_folder)
        self.run(self._open())
        self.limits(per_second=0)
        (self.mail_folder / "settings.json").write_text('{"per_second": 0}')

    async def _open(self) -> None:
        self.service = AlmaService(self.alma_folder, KEY, clock=self.clock)
        self.mail_service = MailService(self.mail_folder, MAIL_KEY, clock=self.clock)
        self.alma_url = await self.door.open(self.service)
        self.mail_url = await self.door.open(self.mail_service)
        inbox = Inbox(self.mail_service.store, INBOX).app()
        self.inbox_url = await self.door.open_app("inbox", inbox, Troubles(json_reply), tls=False)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run(work)

    def do(self, work: Callable[[], T]) -> T:
        return self._loop.do(work)

    def limits(self, **more: Any) -> None:
        settings.write(self.alma_folder, Settings(**more))

    def alma(self, key: str = KEY, **more: Any) -> Alma:
        return Alma(Http(ca_file=self.ca), url=self.alma_url, key=key, **more)

    def mail(self, key: str = MAIL_KEY, **more: Any) -> Resend:
        http = Http(ca_file=self.ca, sleep=lambda _: None, **more)
        return Resend(http, url=self.mail_url, key=key, sender="Millrace <mill@example.com>")

    def journal(self) -> list[journal.Entry]:
        return list(journal.read(self.alma_folder))

    @contextmanager
    def faults(self, *faults: Fault, seed: int = 1) -> Iterator[None]:
        async def nobody(_process: str) -> None:
            """Nothing is killed here."""

        injector = self.do(lambda: Injector(Schedule(name="test", faults=list(faults)), seed, nobody))
        self.door.fault = injector
        try:
            yield
        finally:
            self.door.fault = None
            self.do(injector.close)

    def restart(self) -> None:
        """As after a kill: what is in memory is gone."""
        self.run(self.door.close_all())
        self.run(self._open())

    def stop(self) -> None:
        self.run(self.door.close_all())
        self._loop.close()
