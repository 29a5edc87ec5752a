"""What Alma's answers mean to a caller, in the bodies that are known of the real service and of its gateway."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping

import pytest

from core.clients.alma import Alma, Ref, ReportFault, Threshold, TokenExpired
from core.clients.alma_errors import words_of
from core.clients.faults import Changed, Corrupt, Denied, Fault, Gone, InDoubt, Refused, Transient
from core.clients.http import Answer, Http

KEY = "l8xx0123456789"
ITEM, BIB = Ref("item", ("1", "2", "3")), Ref("bib", ("99 1/é",))


def xml(code: str, text: str, ns: str = ' xmlns="http://com/exlibris/urm/general/xmlbeans"') -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\r\n<web_service_result{ns}>\r\n'
        f"<errorsExist>true</errorsExist>\r\n<errorList><error>\n <errorCode>{code}</errorCode>"
        f"<errorMessage>{text}</errorMessage><trackingId>E01-1409095748-ZYFO9-AWAE1</trackingId></error>"
        "<error><errorCode>2</errorCode></error></errorList></web_service_result>"
    ).encode()


def json_(code: str, text: str) -> bytes:
    error = f'{{"errorCode":"{code}","errorMessage":"{text}","trackingId":"E01-0101190932-VOBYO-AWAE1"}}'
    return f'{{"errorsExist":true,"errorList":{{"error":[{error}]}},"result":null}}'.encode()


class Scripted(Http):
    """One answer; keeps what was asked."""

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.answer = Answer(status, headers or {}, body)
        self.asked: list[tuple[str, str, Mapping[str, str], bytes | None]] = []

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
        assert most > 0
        self.asked.append((method, url, headers, body))
        if ready is not None:
            ready()
        return self.answer


def alma(status: int, body: bytes, **headers: str) -> tuple[Alma, Scripted]:
    http = Scripted(status, body, {name.replace("_", "-"): value for name, value in headers.items()})
    return Alma(http, url="https://api-eu.example.com/", key=KEY), http


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, xml("PER_SECOND_THRESHOLD", "HTTP requests are more than allowed per second"), Threshold),
        (429, json_("DAILY_THRESHOLD", "HTTP requests are more than allowed per day"), Threshold),
        (403, xml("DAILY_THRESHOLD", "..."), Threshold),
        (429, b"", Threshold),
        (400, xml("UNAUTHORIZED", "API-key not defined or not configured to allow this API."), Denied),
        (401, b"<html>Unauthorized</html>", Denied),
        (403, json_("FORBIDDEN", "forbidden"), Denied),
        (400, json_("402203", "Input parameters mmsId 99 is not valid."), Gone),
        (400, xml("33007", "No record found for MMS id 99"), Gone),
        (400, json_("401689", "No items found for barcode 1"), Gone),
        (400, xml("401861", "User with identifier X was not found.", ns=' xmlns=""'), Gone),
        (400, json_("999999", "Item does not exist"), Gone),
        (404, b"", Gone),
        (400, json_("401652", "General Error - An error has occurred while processing the request."), Refused),
        (400, json_("401664", "Mandatory field is missing: last_name"), Refused),
        (403, xml("REQUEST_TOO_LARGE", "request too large"), Denied),
        (400, xml("402252", "Cannot save: a newer version of the record exists"), Changed),
        (500, json_("INTERNAL_SERVER_ERROR", "The web server encountered an unexpected condition"), Transient),
        (503, xml("ROUTING_ERROR", "routing error"), Transient),
        (502, b"<html><body><h1>502 Bad Gateway</h1></body></html>", Transient),
        (504, b"", Transient),
        (408, b"", Transient),
        (302, b"", Refused),
    ],
)
def test_answers(status: int, body: bytes, kind: type[Fault]) -> None:
    with pytest.raises(Fault) as caught:
        alma(status, body)[0].get(ITEM)
    assert type(caught.value) is kind
    assert str(caught.value).startswith(f"item 1/2/3: {status}")
    if isinstance(caught.value, Threshold):
        assert caught.value.daily == (b"DAILY" in body)


def test_a_gateway_that_got_no_answer_to_an_update_leaves_it_in_doubt() -> None:
    document = alma(200, b'{"item_data": {"pid": "3"}}')[0].get(ITEM)
    for status, kind in ((502, InDoubt), (504, InDoubt), (500, Transient)):
        with pytest.raises(Fault) as caught:
            alma(status, b"")[0].put(ITEM, document)
        assert type(caught.value) is kind
    with pytest.raises(InDoubt, match="answered with something unreadable"):
        alma(200, b'{"item_da')[0].put(ITEM, document)


def test_a_record_that_cannot_be_read_says_whose_it_is() -> None:
    for body, kind in ((b'{"item_da', Corrupt), (b"[]", Refused)):
        with pytest.raises(kind, match=r"^item 1/2/3: record"):
            alma(200, body)[0].get(ITEM)
    with pytest.raises(Refused, match=r"^bib 99 1/é: XML must have no DOCTYPE"):
        alma(200, b"<!DOCTYPE bib><bib/>")[0].get(BIB)


@pytest.mark.parametrize(
    ("status", "body", "first", "later"),
    [
        (400, xml("GENERAL_ERROR", "Path not found (/shared/x)"), ReportFault, TokenExpired),
        (500, xml("INTERNAL_SERVER_ERROR", "Path not found (/shared/x)"), ReportFault, Transient),
        (400, xml("123456", "Token is invalid"), ReportFault, TokenExpired),
        (500, xml("420033", "No more rows to fetch"), Transient, TokenExpired),
        (500, b"", Transient, Transient),
        (401, b"", Denied, Denied),
        (429, b"", Threshold, Threshold),
        (200, b"", Corrupt, Corrupt),
        (200, b"<report><QueryResult><IsFin", Corrupt, Corrupt),
        (200, b"<html/>", ReportFault, ReportFault),
        (200, xml("GENERAL_ERROR", "x"), ReportFault, TokenExpired),
        (200, xml("PER_SECOND_THRESHOLD", "x"), Threshold, Threshold),
    ],
)
def test_reports(status: int, body: bytes, first: type[Fault], later: type[Fault]) -> None:
    for token, kind in ((None, first), ("T" * 128, later)):
        with pytest.raises(Fault) as caught:
            alma(status, body)[0].report_page(path="/shared/x", limit=25, token=token)
        assert type(caught.value) is kind, (token, caught.value)
        assert "T" * 20 not in str(caught.value)


def test_requests_as_they_leave() -> None:
    one, http = alma(400, b"", X_Exl_Api_Remaining="4711")
    for call in (
        lambda: one.report_page(path="/shared/Ü & b/?", limit=25, filter='<a b="c"/>'),
        lambda: one.report_page(path="/shared/Ü & b/?", limit=1000, filter="<a/>", token="A+/="),
        lambda: one.get(BIB),
        lambda: one.get(Ref("user", ("a@b.c",))),
    ):
        with pytest.raises(Fault):
            call()
    base = "https://api-eu.example.com/almaws/v1/"
    assert [url for _, url, _, _ in http.asked] == [
        f"{base}analytics/reports?path=%2Fshared%2F%C3%9C%20%26%20b%2F%3F&limit=25&col_names=true&filter=%3Ca%20b%3D%22c%22%2F%3E",
        f"{base}analytics/reports?token=A%2B%2F%3D&limit=1000",
        f"{base}bibs/99%201%2F%C3%A9",
        f"{base}users/a%40b.c",
    ]
    assert [headers["Accept"] for _, _, headers, _ in http.asked] == [*["application/xml"] * 3, "application/json"]
    assert {headers["Authorization"] for _, _, headers, _ in http.asked} == {f"apikey {KEY}"}
    assert (one.requests, one.remaining) == (4, 4711)


def test_the_key_is_in_no_message() -> None:
    with pytest.raises(Refused) as caught:
        alma(400, json_("1", f"bad request apikey={KEY}"))[0].get(ITEM)
    assert KEY not in str(caught.value)
    assert "apikey=***" in str(caught.value)
    assert "tracking id E01-" in str(caught.value)


@pytest.mark.parametrize(
    "body", [b"{", b"{}", b'{"errorList": 3}', b"<a>", b"<!DOCTYPE a><a/>", b"\xff\xfe", b"{" * 9999]
)
def test_a_body_that_is_no_error_is_no_trouble(body: bytes) -> None:
    assert words_of(body).code == ""


def test_the_clients_are_light() -> None:
    """Handler packages carry what is imported."""
    heavy = {"requests", "lxml", "aiohttp", "defusedxml", "httpx", "azure", "boto3", "pydantic"}
    script = f"import sys, core.clients.alma, core.clients.mail; print({heavy!r} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    "body",
    [
        (
            b'{"web_service_result":{"errorsExist":true,"errorList":{"error":{"errorCode":"DAILY_THRESHOLD",'
            b'"errorMessage":"Daily API Request Threshold has been reached.","trackingId":"E01-1"}}}}'
        ),
        (
            b'{"web_service_result":{"errorList":{"error":[{"errorCode":"DAILY_THRESHOLD","errorMessage":'
            b'"Daily API Request Threshold has been reached.","trackingId":"E01-1"}]},"errorsExist":"true"}}'
        ),
        (
            b'{"errorList":{"error":{"errorCode":"DAILY_THRESHOLD","errorMessage":'
            b'"Daily API Request Threshold has been reached.","trackingId":"E01-1"}}}'
        ),
    ],
)
def test_json_errors_come_with_and_without_the_level_around_them(body: bytes) -> None:
    assert words_of(body).shown("") == (
        "DAILY_THRESHOLD Daily API Request Threshold has been reached. (tracking id E01-1)"
    )


def test_json_errors_may_hold_numbers_and_nulls() -> None:
    body = b'{"errorsExist":true,"errorList":{"error":[{"errorCode":401861,"errorMessage":null}]},"result":null}'
    assert words_of(body).code == "401861"
    assert words_of(body).missing(in_words=False)


def test_a_gateways_answer_that_is_no_xml_is_shown_as_it_is() -> None:
    body = (
        b"<web_service_result><errorsExist>true</errorsExist><errorList><error><errorCode>ROUTING_ERROR</errorCode>"
        b"<errorMessage>no route to https://x/almaws/v1/bibs?view=full&expand=none</errorMessage></error></errorList>"
        b"</web_service_result>"
    )
    words = words_of(body)
    assert words.code == ""
    assert "ROUTING_ERROR" in words.text
