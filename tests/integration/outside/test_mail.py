"""Mail: the client sends through the sink in Resend's form, and SMTP through a real server with STARTTLS."""

import email
import json
import re
import threading
import urllib.error
import urllib.request
from email.message import EmailMessage
from email.policy import default

import pytest

from core.clients.faults import Denied, InDoubt, Refused, Transient
from core.clients.http import Http
from core.clients.mail import Attachment, Mail, Resend
from localcloud.faults.fault import Fault
from tests.integration.outside.place import INBOX, MAIL_KEY, Place

MAIL = Mail(
    to=("librarian@example.com", "Ännchen <other@example.com>"),
    subject="Bericht: 177 geändert, 資料",
    html="<h1>Größe</h1><script>alert(1)</script>" + "<p>x</p>" * 500,
    text="Größe\nzweite Zeile\n",
    attachments=(Attachment("Änderungen.csv", "a;ü\r\n".encode(), "text/csv"), Attachment("x.bin", bytes(range(256)))),
)


def files(place: Place) -> list[EmailMessage]:
    found = sorted((place.mail_folder / "messages").glob("*.eml"))
    return [email.message_from_bytes(one.read_bytes(), policy=default) for one in found]


def test_a_mail_is_kept_whole(place: Place) -> None:
    sent = place.mail().send(MAIL, idempotency_key="run-1")
    (message,) = files(place)
    assert message["X-Sink-Id"] == sent
    assert message["From"] == "Millrace <mill@example.com>"
    assert [one.addr_spec for one in message["To"].addresses] == ["librarian@example.com", "other@example.com"]
    assert message["Subject"] == MAIL.subject
    html, text = message.get_body(("html",)), message.get_body(("plain",))
    assert html is not None
    assert text is not None
    assert html.get_content().strip() == MAIL.html
    assert text.get_content().splitlines() == MAIL.text.splitlines()
    attached = [(one.get_filename(), one.get_payload(decode=True)) for one in message.iter_attachments()]
    assert attached == [(one.filename, one.content) for one in MAIL.attachments]
    assert MAIL_KEY not in str(message)


def test_a_key_sends_once_for_a_day_over_restarts(place: Place) -> None:
    key = "ü".encode().hex() + "k" * 252
    first = place.mail().send(MAIL, idempotency_key=key)
    assert place.mail().send(MAIL, idempotency_key=key) == first
    place.restart()
    assert place.mail().send(MAIL, idempotency_key=key) == first
    other = Mail(to=MAIL.to, subject="other", html="", text="")
    with pytest.raises(Refused, match="409 invalid_idempotent_request"):
        place.mail().send(other, idempotency_key=key)
    assert len(files(place)) == 1
    place.clock.ahead_s = 24 * 3600 + 1
    assert place.mail().send(MAIL, idempotency_key=key) != first
    assert len(files(place)) == 2


def test_a_lost_answer_is_asked_again_and_nobody_gets_it_twice(place: Place) -> None:
    with place.faults(Fault(kind="cut", service="mail", operation="SendEmail", every=1, most=2, when="after")):
        sent = place.mail().send(MAIL, idempotency_key="run-2")
    assert [one["X-Sink-Id"] for one in files(place)] == [sent]
    with place.faults(Fault(kind="cut", service="mail", every=1, when="after")), pytest.raises(InDoubt):
        place.mail(tries=2).send(MAIL, idempotency_key="run-3")
    with place.faults(Fault(kind="refuse", service="mail", every=1, status=500)), pytest.raises(Transient):
        place.mail(tries=2).send(MAIL, idempotency_key="run-4")


def test_the_same_key_at_the_same_time(place: Place) -> None:
    (place.mail_folder / "settings.json").write_text('{"per_second": 0, "latency_ms": 400}')
    answers: list[object] = []

    def send() -> None:
        try:
            answers.append(place.mail().send(MAIL, idempotency_key="same"))
        except Transient as error:
            answers.append(str(error))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(files(place)) == 1
    assert sum("concurrent_idempotent_requests" in str(answer) for answer in answers) == 3


def test_a_limit_of_requests_a_second(place: Place) -> None:
    (place.mail_folder / "settings.json").write_text('{"per_second": 2}')
    http = Http(ca_file=place.ca, tries=1)
    statuses = [_post(place, _body(subject=str(number)), http=http)[0] for number in range(3)]
    assert statuses == [200, 200, 429]
    patient = Resend(Http(ca_file=place.ca), url=place.mail_url, key=MAIL_KEY, sender="a@example.com")
    patient.send(MAIL, idempotency_key="k")  # Retry-After is waited for
    assert len(files(place)) == 3


def _body(**more: object) -> dict[str, object]:
    return {"from": "a@example.com", "to": ["b@example.com"], "subject": "s", "text": "t"} | more


def _post(place: Place, body: object, http: Http | None = None, **headers: str) -> tuple[int, dict[str, object]]:
    answer = (http or Http(ca_file=place.ca)).once(
        "POST",
        f"{place.mail_url}/emails",
        headers={"Authorization": f"Bearer {MAIL_KEY}", **{k.replace("_", "-"): v for k, v in headers.items()}},
        body=json.dumps(body).encode() if body is not None else b"{",
        most=10_000,
    )
    return answer.status, json.loads(answer.body)


@pytest.mark.parametrize(
    ("body", "status", "name", "says"),
    [
        (None, 400, "validation_error", "valid JSON"),
        ([], 422, "validation_error", "JSON object"),
        (_body(**{"from": ""}), 422, "missing_required_field", "`from`"),
        (_body(to=[]), 422, "missing_required_field", "`to`"),
        (_body(subject=None), 422, "missing_required_field", "`subject`"),
        (_body(text=None), 422, "missing_required_field", "`html` or `text`"),
        (_body(**{"from": "nobody"}), 422, "validation_error", "Invalid `from` field"),
        (_body(to="b@c, d@e.com"), 422, "validation_error", "Invalid `to` field"),
        (_body(to="b@c.com\r\nBcc: x@y.com"), 422, "validation_error", "Invalid `to` field"),
        (_body(to=["b@c.com"] * 51), 422, "validation_error", "at most 50"),
        (_body(subject="a\nBcc: x@y.com"), 422, "validation_error", "subject"),
        (_body(attachments=[{"content": "eA=="}]), 422, "invalid_attachment", "filename"),
        (_body(attachments=[{"filename": "a", "content": "!"}]), 422, "invalid_attachment", "base64"),
        (_body(attachments=[{"filename": "a", "path": "http://127.0.0.1/"}]), 422, "invalid_attachment", "not fetched"),
    ],
)
def test_what_resend_refuses(place: Place, body: object, status: int, name: str, says: str) -> None:
    got, error = _post(place, body)
    assert (got, error["statusCode"], error["name"]) == (status, status, name)
    assert says in str(error["message"])
    assert files(place) == []


def test_keys_and_domains(place: Place) -> None:
    with pytest.raises(Denied, match="401 validation_error API key is invalid") as caught:
        place.mail(key="re_wrong").send(MAIL, idempotency_key="k")
    assert "re_wrong" not in str(caught.value)
    assert _post(place, _body(), Idempotency_Key="k" * 257)[1]["name"] == "invalid_idempotency_key"
    (place.mail_folder / "settings.json").write_text('{"domains": ["example.org"]}')
    with pytest.raises(Denied, match="not verified"):
        place.mail().send(MAIL, idempotency_key="k")


@pytest.mark.parametrize(
    ("mail", "key"),
    [
        (Mail(to=(), subject="s", html="", text=""), "k"),
        (Mail(to=("a@b.c",) * 51, subject="s", html="", text=""), "k"),
        (Mail(to=("a@b.c\nBcc: x",), subject="s", html="", text=""), "k"),
        (Mail(to=("a@b.c",), subject=" ", html="", text=""), "k"),
        (MAIL, ""),
        (MAIL, "k" * 257),
    ],
)
def test_what_the_client_does_not_even_send(place: Place, mail: Mail, key: str) -> None:
    with pytest.raises(Refused, match="must"):
        place.mail().send(mail, idempotency_key=key)
    assert place.door.calls["mail", "SendEmail"] == 0


def _get(place: Place, path: str) -> tuple[int, str, dict[str, str]]:
    try:
        with urllib.request.urlopen(f"{place.inbox_url}{path}") as answer:  # noqa: S310 -- loopback
            return answer.status, answer.read().decode(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, "", dict(error.headers)


def test_the_inbox_shows_mails_and_runs_nothing_of_them(place: Place) -> None:
    assert "No mail yet" in _get(place, f"/{INBOX}/")[1]
    sent = place.mail().send(MAIL, idempotency_key="run-5")
    (one,) = json.loads(_get(place, f"/{INBOX}/messages.json")[1])
    assert (one["id"], one["subject"], one["key"]) == (sent, MAIL.subject, "run-5")
    assert "資料" in _get(place, f"/{INBOX}/")[1]
    status, page, headers = _get(place, f"/{INBOX}/{sent}/")
    assert status == 200
    assert "<script" not in page
    assert "zweite Zeile" in page
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert not re.search(r"(src|href)=\"(https?:)?//", page)
    _, html, headers = _get(place, f"/{INBOX}/{sent}/html")
    assert "<h1>Größe</h1>" in html
    assert headers["Content-Security-Policy"].startswith("sandbox;")
    _, content, headers = _get(place, f"/{INBOX}/{sent}/files/0")
    assert content == "a;ü\r\n"
    assert headers["Content-Disposition"] == 'attachment; filename="_nderungen.csv"'
    assert _get(place, f"/{INBOX}/{sent}/source.eml")[1].startswith("From:")
    for nothing in (
        f"/{INBOX}/{sent}/files/9",
        f"/{INBOX}/none/",
        "/",
        "/wrong/",
        f"/wrong/{sent}/",
        "/wrong/messages.json",
    ):
        assert _get(place, nothing)[0] == 404
