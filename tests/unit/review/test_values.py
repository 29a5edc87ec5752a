"""Values compared for people."""

import json
from typing import Any

import pytest

from localcloud.engine.values import UNKNOWN
from localcloud.review.values import SHOWN, property_changes

APP = "azure-native:web:WebApp"


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, str | None, str | None]]:
    return [(one.path, one.before, one.after) for one in property_changes(APP, old, new)]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, [("a.b", "1", "2")]),
        ({"a": 1}, {}, [("a", "1", None)]),
        ({}, {"a": UNKNOWN}, [("a", None, "known after up")]),
        ({"a": [1, 2]}, {"a": [1, 3]}, [("a[1]", "2", "3")]),
        ({"a": [1, 2]}, {"a": [1, 2, 3]}, [("a", None, "[3]")]),
        ({"a": [1, 1]}, {"a": [1]}, [("a", "[1,1]", "[1]")]),
        ({"a": True}, {"a": None}, [("a", "true", "null")]),
        ({"a": "[secret 0a1b]"}, {"a": "[secret ffff]"}, [("a", "[secret]", "[secret]")]),
        ({"a": json.dumps({"S": [{"x": 1}]})}, {"a": json.dumps({"S": [{"x": 2}]})}, [("a.S[0].x", "1", "2")]),
    ],
)
def test_differences(old: dict[str, Any], new: dict[str, Any], expected: list[tuple[str, str, str]]) -> None:
    assert changes(old, new) == expected


def test_named_items_are_compared_by_name() -> None:
    old = {"siteConfig": {"appSettings": [{"name": "A", "value": "1"}, {"name": "C", "value": "3"}]}}
    new = {"siteConfig": {"appSettings": [{"name": "B", "value": "2"}, {"name": "C", "value": "4"}]}}
    assert changes(old, new) == [
        ("siteConfig.appSettings[A]", "1", None),
        ("siteConfig.appSettings[B]", None, "2"),
        ("siteConfig.appSettings[C]", "3", "4"),
    ]


def test_long_values_are_cut_around_what_differs() -> None:
    ((_, before, after),) = changes({"a": "x" * 500 + "1" + "y" * 500}, {"a": "x" * 500 + "2" + "y" * 500})
    assert before is not None
    assert after is not None
    assert "1y" in before
    assert "2y" in after
    assert max(len(before), len(after)) <= SHOWN + 2
