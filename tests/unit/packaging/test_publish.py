"""What a person reads when Azure refuses a package. A real HTTP server answers as a deployment site does."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest

from components.packaging import publish

Answers = list[tuple[int, str]]


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Answers, list[str]]]:
    """(url, answers to give in turn, paths asked)."""
    answers: Answers = []
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            asked.append(f"{self.command} {self.path}")
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, text = answers.pop(0) if len(answers) > 1 else answers[0]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        do_POST = do_GET = answer  # noqa: N815

        def log_message(self, *_args: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    token = SimpleNamespace(token="t")
    monkeypatch.setattr(publish, "credential", lambda: SimpleNamespace(get_token=lambda _scope: token))
    monkeypatch.setattr(publish, "PAUSE_S", 0.0)
    yield f"http://127.0.0.1:{server.server_port}", answers, asked
    server.shutdown()
    thread.join()
    server.server_close()


def sync(url: str) -> None:
    publish.publish({"app": "demo", "management_url": url, "site_id": "/sites/demo"})


def test_a_refusal_carries_status_and_what_was_said(site: tuple[str, Answers, list[str]]) -> None:
    url, answers, _ = site
    answers.append((500, "ModuleNotFoundError: no module named x"))
    with pytest.raises(publish.DeploymentError, match=r"demo: .* answered 500: ModuleNotFoundError: no module named x"):
        sync(url)


def test_a_busy_site_is_asked_again(site: tuple[str, Answers, list[str]]) -> None:
    url, answers, asked = site
    answers += [(409, "another deployment"), (503, "starting"), (204, "")]
    sync(url)
    assert len(asked) == 3


def test_waiting_for_a_busy_site_ends(site: tuple[str, Answers, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    url, answers, _ = site
    monkeypatch.setattr(publish, "BUSY_WAIT_S", 0.2)
    answers.append((409, "another deployment"))
    with pytest.raises(publish.DeploymentError, match="answered 409: another deployment"):
        sync(url)


def test_a_deployment_that_failed_says_why(site: tuple[str, Answers, list[str]]) -> None:
    url, answers, asked = site
    answers += [(404, ""), (200, '{"status": 1}'), (200, '{"status": 3, "status_text": "the worker could not start"}')]
    with pytest.raises(publish.DeploymentError, match=r"failed .200.: the worker could not start"):
        publish._wait_for_deployment("demo", f"{url}/api/deployments/1")
    assert asked == ["GET /api/deployments/1"] * 3


def test_nobody_there_is_one_sentence(site: tuple[str, Answers, list[str]]) -> None:
    del site
    with pytest.raises(publish.DeploymentError, match=r"demo: http://127.0.0.1:9/.* could not be reached"):
        sync("http://127.0.0.1:9")


def test_an_app_without_a_package_is_seen(site: tuple[str, Answers, list[str]]) -> None:
    url, answers, _ = site
    answers += [(404, ""), (200, '{"status": 4}')]
    assert [publish.published({"app": "demo", "publish_url": url}) for _ in range(2)] == [False, True]


def test_no_machine_is_probed_that_says_nothing_of_an_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IDENTITY_ENDPOINT", "MSI_ENDPOINT", "AZURE_TOKEN_CREDENTIALS", "ARM_USE_MSI"):
        monkeypatch.delenv(name, raising=False)
    publish._credential_of.cache_clear()
    kinds = {type(one).__name__ for one in publish._credential_of("").credentials}
    assert "AzureCliCredential" in kinds
    assert "ManagedIdentityCredential" not in kinds
    kinds = {type(one).__name__ for one in publish._credential_of("http://127.0.0.1:1").credentials}
    assert "ManagedIdentityCredential" in kinds
