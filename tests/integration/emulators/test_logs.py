"""Logs Ingestion with Microsoft's SDK, the legacy collector by hand, and the tables they fill."""

import base64
import datetime as dt
import email.utils
import gzip
import hashlib
import hmac
import json
import ssl
import time
import urllib.error
import urllib.request
import uuid
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.monitor.ingestion import LogsIngestionClient

from tests.integration.emulators.local import GROUP, METRICS_PUBLISHER, FixedToken, Local, TokenOf

WORKSPACE = f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/log"
RULE = f"{GROUP}/providers/Microsoft.Insights/dataCollectionRules/dcr"
IMMUTABLE = "dcr-0123456789abcdef0123456789abcdef"
CUSTOMER = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
STREAM = "Custom-Events_CL"
COLUMNS = [
    {"name": "TimeGenerated", "type": "datetime"},
    {"name": "Name", "type": "string"},
    {"name": "Count", "type": "int"},
    {"name": "Raw", "type": "dynamic"},
]


@pytest.fixture(scope="module")
def writer(local: Local) -> str:
    logs = local.cloud.logs
    table = [{**column, "type": column["type"].replace("datetime", "dateTime")} for column in COLUMNS]
    for _ in range(2):  # puts are idempotent
        local.do(lambda: logs.put_workspace(WORKSPACE, CUSTOMER, "log"))
        local.do(lambda: logs.put_table(WORKSPACE, "Events_CL", table))
        local.do(
            lambda: logs.put_rule(
                RULE,
                IMMUTABLE,
                {STREAM: {"columns": COLUMNS}},
                [{"streams": [STREAM], "destinations": ["log"], "transformKql": "source", "outputStream": STREAM}],
                {"logAnalytics": [{"name": "log", "workspaceResourceId": WORKSPACE}]},
            )
        )
    principal = local.identity("writer")
    local.assign(principal, METRICS_PUBLISHER, RULE)
    return principal


def client(local: Local, credential: Any) -> LogsIngestionClient:
    return LogsIngestionClient(
        local.cloud.endpoints["logs"],
        credential,
        connection_verify=local.ca,
        retry_total=0,
        credential_scopes=["https://monitor.azure.com/.default"],
    )


def post(local: Local, principal: str, body: bytes, stream: str = STREAM, **headers: str) -> tuple[int, dict[str, Any]]:
    token = TokenOf(local, principal).get_token("https://monitor.azure.com").token
    url = f"{local.cloud.endpoints['logs']}/dataCollectionRules/{IMMUTABLE}/streams/{stream}?api-version=2023-01-01"
    return send(local, url, body, {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **headers})


def send(local: Local, url: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(url, body, headers)  # noqa: S310 -- loopback
    try:
        with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=local.ca)) as answer:  # noqa: S310
            return answer.status, {}
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {"headers": dict(error.headers), **json.loads(error.read())}


def rows(local: Local, where: str) -> list[list[Any]]:
    return local.do(lambda: local.cloud.logs.query(f"select * from Events_CL where {where}"))[1]  # noqa: S608


def test_rows_arrive_with_declared_columns_only(local: Local, writer: str) -> None:
    mark = uuid.uuid4().hex
    client(local, TokenOf(local, writer)).upload(
        IMMUTABLE,
        STREAM,
        [
            {"TimeGenerated": "2026-01-02T03:04:05+01:00", "Name": mark, "Count": "7", "Raw": {"a": [1]}, "Unknown": 1},
            {"Name": mark, "Count": "x", "Raw": "text"},
        ],
    )
    first, second = rows(local, f"Name = '{mark}'")
    assert first == ["2026-01-02T02:04:05.000000Z", mark, 7, '{"a":[1]}']
    assert second[2:] == [None, "text"]
    assert abs(dt.datetime.fromisoformat(second[0]).timestamp() - time.time()) < 60


def test_limits_of_size_and_shape(local: Local, writer: str) -> None:
    assert post(local, writer, b"[" + b" " * 1_048_575 + b"]")[0] == 413
    zipped = gzip.compress(b"[" + b" " * 1_048_575 + b"]")
    assert post(local, writer, zipped, **{"Content-Encoding": "gzip"})[0] == 413
    assert post(local, writer, b'{"not": "an array"}')[0] == 400
    assert post(local, writer, b"[]", stream="Custom-Other_CL")[1]["error"]["code"] == "InvalidStream"
    mark = uuid.uuid4().hex
    body = json.dumps([{"Name": mark + "é" * 65_536}]).encode()
    assert post(local, writer, gzip.compress(body), **{"Content-Encoding": "gzip"})[0] == 204
    ((_, name, *_),) = rows(local, f"Name like '{mark}%'")
    assert 65_534 <= len(name.encode()) <= 65_536


def test_too_many_requests_a_minute_are_429_with_retry_after(local: Local, writer: str) -> None:
    ingestion = local.cloud.logs.ingestion
    minute = int(local.clock() // 60)
    local.do(lambda: ingestion._spent.update({IMMUTABLE: (minute, 12_000, 0), "next": (minute, 0, 0)}))
    status, answer = post(local, writer, b"[]")
    if int(local.clock() // 60) == minute:  # the limit belongs to the clock's minute
        assert status == 429
        assert 1 <= int(answer["headers"]["Retry-After"]) <= 60
    local.do(ingestion._spent.clear)


def test_no_role_and_wrong_audience_are_refused(local: Local, writer: str) -> None:
    with pytest.raises(HttpResponseError) as refused:
        client(local, TokenOf(local, local.identity("nobody"))).upload(IMMUTABLE, STREAM, [{"Name": "x"}])
    assert refused.value.status_code == 403
    wrong = TokenOf(local, writer, "https://storage.azure.com").get_token().token
    with pytest.raises(ClientAuthenticationError):
        client(local, FixedToken(wrong)).upload(IMMUTABLE, STREAM, [{"Name": "x"}])


def test_a_second_of_work_takes_twenty_thousand_rows(local: Local, writer: str) -> None:
    mark = uuid.uuid4().hex
    body = gzip.compress(json.dumps([{"Name": mark, "Count": n, "Raw": "x" * 300} for n in range(2_500)]).encode(), 1)
    started = time.process_time()  # of client and service, both in here: a busy machine takes longer, not more
    for _ in range(8):
        assert post(local, writer, body, **{"Content-Encoding": "gzip"})[0] == 204
    seconds = time.process_time() - started
    ((count,),) = local.do(lambda: local.cloud.logs.query(f"select count(*) from Events_CL where Name = '{mark}'"))[1]  # noqa: S608
    assert count == 20_000
    assert seconds < 2.0, f"20,000 rows took {seconds:.2f} s"


def test_the_legacy_collector_checks_its_signature_and_names_columns_by_type(local: Local, writer: str) -> None:
    body = json.dumps(
        [{"Name": "a", "Count": 1, "Ok": True, "At": "2026-01-02T03:04:05Z", "Nested": {"x": 1}}]
    ).encode()
    assert collect(local, body, "wrong" + "0" * 3) == 403
    assert collect(local, body, local.do(lambda: local.cloud.logs.shared_key(WORKSPACE))) == 200
    columns, got = local.do(lambda: local.cloud.logs.query("select * from Legacy_CL"))
    assert columns == ["TimeGenerated", "Name_s", "Count_d", "Ok_b", "At_t", "Nested_s"]
    assert got[0][1:] == ["a", 1.0, 1, "2026-01-02T03:04:05.000000Z", '{"x":1}']


def collect(local: Local, body: bytes, key: str) -> int:
    date = email.utils.formatdate(usegmt=True)
    text = f"POST\n{len(body)}\napplication/json\nx-ms-date:{date}\n/api/logs"
    signature = base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()
    headers = {
        "Authorization": f"SharedKey {CUSTOMER}:{signature}",
        "Content-Type": "application/json",
        "Log-Type": "Legacy",
        "x-ms-date": date,
    }
    return send(local, f"{local.cloud.endpoints['collector']}/api/logs?api-version=2016-04-01", body, headers)[0]


def test_queries_cannot_write(local: Local, writer: str) -> None:
    import sqlite3

    with pytest.raises(sqlite3.OperationalError):
        local.do(lambda: local.cloud.logs.query("delete from Events_CL"))


def test_a_rule_without_its_table_is_refused(local: Local, writer: str) -> None:
    with pytest.raises(ValueError, match="InvalidOutputTable"):
        local.do(
            lambda: local.cloud.logs.put_rule(
                RULE + "2",
                "dcr-2",
                {"Custom-X_CL": {"columns": COLUMNS}},
                [{"streams": ["Custom-X_CL"], "destinations": ["log"]}],
                {"logAnalytics": [{"name": "log", "workspaceResourceId": WORKSPACE}]},
            )
        )
