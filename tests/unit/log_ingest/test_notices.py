"""The three message forms, and what is none of them."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.log_ingest.notices import File, parse


def _record(key: str, *, bucket: str = "b", name: str = "ObjectCreated:Put", **entry: Any) -> dict[str, Any]:
    return {"eventName": name, "eventTime": "T", "s3": {"bucket": {"name": bucket}, "object": {"key": key, **entry}}}


def _sns(message: Any) -> dict[str, Any]:
    return {"Type": "Notification", "TopicArn": "arn:aws:sns:eu-central-1:1:t", "Message": json.dumps(message)}


DOCUMENT = {"Bucket Name": "b", "Object Key": "logs/a+b%20c.gz", "Event Time": "2025-10-31T12:30:45Z"}
FILE = File("b", "logs/a+b%20c.gz", "2025-10-31T12:30:45Z")


@pytest.mark.parametrize(
    ("message", "files"),
    [
        (DOCUMENT, [FILE]),  # its key stands as it is
        ([DOCUMENT, {**DOCUMENT, "Object Key": "x"}], [FILE, File("b", "x", "2025-10-31T12:30:45Z")]),
        ({"Records": [_record("a+b%2Bc")]}, [File("b", "a b+c", "T")]),
        ({"Records": [_record("a", versionId="v", eTag="e")]}, [File("b", "a", "T", "v", "e")]),
        ({"Records": [_record("a"), _record("b")]}, [File("b", "a", "T"), File("b", "b", "T")]),
        ({"Records": [_record("a"), _record("a")]}, [File("b", "a", "T")]),
        ({"Records": [_record("a", name="s3:ObjectCreated:CompleteMultipartUpload")]}, [File("b", "a", "T")]),
        ({"Records": [_record("a", name="ObjectRemoved:Delete")]}, []),
        ({"Records": []}, []),
        ({"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "T", "Bucket": "b"}, []),
        (_sns(DOCUMENT), [FILE]),
        (_sns({"Records": [_record("a")]}), [File("b", "a", "T")]),
        (_sns({"Event": "s3:TestEvent"}), []),
        (_sns(_sns(DOCUMENT)), [FILE]),
    ],
)  # fmt: skip
def test_known_forms(message: Any, files: list[File]) -> None:
    notice = parse(json.dumps(message))
    assert notice.files == files
    assert notice.faults == []


@given(st.text(min_size=1))
def test_any_key_survives_the_events_encoding(key: str) -> None:
    encoded = quote_plus(key.encode("utf-8", "replace"))
    assert [file.key for file in parse(json.dumps({"Records": [_record(encoded)]})).files] == [
        key.encode("utf-8", "replace").decode()
    ]


@pytest.mark.parametrize(
    "message",
    [None, 1, "text", {}, [], [1], {"Message": 3, "Type": "Notification"}, {"Records": [1]}, {"Records": [{}]},
     {"Records": [_record("")]}, {"Records": [_record("a", bucket="")]}, {"Records": [_record("%ff")]},
     {"Bucket Name": "b", "Object Key": ""}, _sns("no JSON inside"), _sns(_sns(_sns(_sns(DOCUMENT))))],
)  # fmt: skip
def test_unknown_forms(message: Any) -> None:
    notice = parse(json.dumps(message))
    assert notice.files == []
    assert notice.faults


def test_what_is_understood_of_a_message_is_worked_on() -> None:
    notice = parse(json.dumps({"Records": [_record("a"), {"eventSource": "aws:ses"}]}))
    assert [file.key for file in notice.files] == ["a"]
    assert len(notice.faults) == 1


_NAMES = st.sampled_from(["Records", "s3", "bucket", "name", "object", "key", "Message", "Type", "Bucket Name"])


@given(
    st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(_NAMES, inner))
)
def test_no_message_makes_it_stumble(message: Any) -> None:
    parse(json.dumps(message))


def test_a_files_body_announces_it_again() -> None:
    assert parse(FILE.body()).files == [FILE]
