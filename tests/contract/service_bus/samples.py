"""Microsoft's own samples, unchanged, against a namespace of ours: each a process of its own, as a reader would run it.

`.venv/bin/python -m tests.contract.service_bus.samples` downloads the source of the pinned SDK, in which they are, and
prints what came of each; further arguments are the only ones to run (`send_queue.py`). A sample's own settings are
environment variables. What surrounds it stands in for a cloud account: `localhost`, whose ports of AMQP and HTTPS lead
to the namespace's, a managed identity's endpoint for `DefaultAzureCredential`, and the root that the namespace's
certificate is checked with (the SDK takes `certifi`'s).
"""

import http.server
import json
import os
import secrets
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from localcloud.emulators.ca import CertificateAuthority
from localcloud.emulators.service_bus.broker.model import Envelope
from localcloud.emulators.service_bus.broker.options import QueueOptions, SubscriptionOptions, TopicOptions
from localcloud.emulators.service_bus.broker.service import Service
from localcloud.emulators.service_bus.management.admin import Administration
from localcloud.emulators.service_bus.protocol.access import Verb
from localcloud.emulators.service_bus.protocol.errors import Refused
from localcloud.emulators.service_bus.server import Server
from tests.loop_thread import LoopThread

NOT_RUN = {
    "proxy": "wants a proxy",
    "connection_to_custom_endpoint_address": "wants an address filled in",
    "sample_code_servicebus": "pieces for the documentation, which call each other's entities",
    "client_identity_authentication": "wants a client secret of Entra",
}
ENDLESS = {"receive_iterator_queue": "message 9", "failure_and_recovery": "Data 9"}
"""They wait for more messages until somebody stops them: after this line."""
LIMIT_S = 600
"""Those about renewing locks hold one for 100 seconds, several times."""
AT_ONCE = 4
_KEY_NAME, _KEY = "RootManageSharedAccessKey", "SAS_KEY_VALUE"
_SURROUNDINGS = """
import certifi, os, socket
certifi.where = lambda: os.environ["SAMPLES_CA"]
ask = socket.getaddrinfo
def asked(host, port, *more, **named):
    return ask(host, os.environ["SAMPLES_PORT"] if str(port) in ("5671", "443") else port, *more, **named)
socket.getaddrinfo = asked
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """One sample's end."""

    name: str
    seconds: float
    fault: str
    """Empty: it ended well."""


class Identity:
    """A managed identity's endpoint; the tokens that it gave."""

    def __init__(self) -> None:
        self.given: set[str] = set()
        given = self.given

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                token = secrets.token_urlsafe(32)
                given.add(token)
                body = json.dumps({
                    "access_token": token, "expires_on": int(time.time()) + 3600, "token_type": "Bearer",
                    "resource": "https://servicebus.azure.net/",
                })  # fmt: skip
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/token"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def check(self, token: str, _entity: str, _verb: Verb | None) -> float:
        """For the namespace: until when the token is good."""
        if token not in self.given:
            raise Refused("the token is not known")
        return time.time() + 3600

    def close(self) -> None:
        """Answers nobody any more."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def namespace(folder: Path, identity: Identity) -> Iterator[int]:
    """A fresh one, with the samples' entities and some messages; its port."""
    loop = LoopThread()

    async def begin() -> tuple[Server, Administration, int]:
        service = Service()
        service.start()
        service.create_queue("samples", QueueOptions())
        service.create_queue("sessions", QueueOptions(requires_session=True))
        service.create_topic("topic", TopicOptions())
        service.create_subscription("topic", "subscription", SubscriptionOptions())
        administration = Administration(service)
        server = Server(service, authorize=identity.check)
        speaks_http = await administration.start()
        context = CertificateAuthority(folder).server_context()
        for place, session in (("samples", None), ("sessions", "one"), ("topic", None)):
            service.send(place, [_message(number, session) for number in range(10)])
        return server, administration, await server.listen(("127.0.0.1", 0), context, speaks_http)

    server, administration, port = loop.run(begin())
    try:
        yield port
    finally:
        loop.run(server.close())
        loop.run(administration.close())
        loop.close()


def _message(number: int, session: str | None) -> Envelope:
    """Something to receive, as in a namespace that is in use."""
    body = f"message {number}".encode()
    return Envelope(bytes((0, 0x53, 0x75, 0xA0, len(body))) + body, session_id=session, rewritten=True)


def run(sample: Path, folder: Path) -> Ran:
    """Runs one sample in `folder`."""
    folder.mkdir()
    identity = Identity()
    (folder / "sitecustomize.py").write_text(_SURROUNDINGS)
    began = time.monotonic()
    try:
        with namespace(folder, identity) as port:
            environment = _environment(folder, port, identity.url)
            fault = _end_of(sample, environment, folder)
    finally:
        identity.close()
    return Ran(f"{sample.parent.name}/{sample.name}", time.monotonic() - began, fault)


def _environment(folder: Path, port: int, identity: str) -> dict[str, str]:
    """What a reader of the samples would export, and what surrounds them."""
    root = str(folder / "ca.pem")
    return {
        "SERVICEBUS_FULLY_QUALIFIED_NAMESPACE": "localhost",
        "SERVICEBUS_CONNECTION_STR": f"Endpoint=sb://localhost;SharedAccessKeyName={_KEY_NAME};SharedAccessKey={_KEY}",
        "SERVICEBUS_SAS_POLICY": _KEY_NAME,
        "SERVICEBUS_SAS_KEY": _KEY,
        "SERVICEBUS_QUEUE_NAME": "samples",
        "SERVICEBUS_SESSION_QUEUE_NAME": "sessions",
        "SERVICEBUS_SESSION_ID": "one",
        "SERVICEBUS_TOPIC_NAME": "topic",
        "SERVICEBUS_SUBSCRIPTION_NAME": "subscription",
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(folder),
        "SAMPLES_PORT": str(port),
        "SAMPLES_CA": root,
        "REQUESTS_CA_BUNDLE": root,
        "SSL_CERT_FILE": root,
        "IDENTITY_ENDPOINT": identity,
        "IDENTITY_HEADER": "samples",
    }


def _end_of(sample: Path, environment: dict[str, str], folder: Path) -> str:
    last = ENDLESS.get(sample.stem.removesuffix("_async"))
    with subprocess.Popen(
        [sys.executable, "-u", str(sample)], env=environment, cwd=folder, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace",
    ) as process:  # fmt: skip
        late = threading.Timer(LIMIT_S, process.kill)
        late.start()
        told: list[str] = []
        for line in process.stdout or ():
            told.append(line.rstrip())
            if told[-1] == last:
                process.kill()
                return ""
        late.cancel()
    if process.returncode == 0 and last is None:
        return ""
    return "\n    ".join([f"exit code {process.returncode}", *told[-12:]])


def source(folder: Path) -> Path:
    """The samples' folder in the pinned SDK's source."""
    wanted = f"azure-servicebus=={version('azure-servicebus')}"
    get = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--no-binary",
        ":all:",
        "--dest",
        str(folder),
    ]
    subprocess.run([*get, wanted], check=True)
    (packed,) = folder.glob("*.tar.gz")
    with tarfile.open(packed) as archive:
        archive.extractall(folder, filter="data")
    return next(folder.glob("*/samples"))


def main() -> None:
    """Ends with 1 when a sample does not end well."""
    say, only = Console(soft_wrap=True, highlight=False).print, set(sys.argv[1:])
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(AT_ONCE) as pool:
        folder = Path(name)
        found = sorted(source(folder).glob("*_samples/*.py"))
        chosen = [
            one for one in found if one.stem.removesuffix("_async") not in NOT_RUN and (not only or one.name in only)
        ]
        places = [folder / f"run-{number}" for number in range(len(chosen))]
        ran = []
        for one in pool.map(run, chosen, places):
            say(f"{one.name:<75}{one.seconds:6.1f} s  {one.fault or 'well'}", markup=False)
            ran.append(one)
    wrong = sum(bool(one.fault) for one in ran)
    say(f"{len(ran) - wrong} of {len(ran)} samples of azure-servicebus {version('azure-servicebus')} ended well")
    for sample, why in NOT_RUN.items():
        say(f"not run: {sample}, {why}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
