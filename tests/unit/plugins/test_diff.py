"""Differences in Pulumi's notation."""

from typing import Any

from pulumi.runtime.proto import provider_pb2

from localcloud.engine.provider import Difference
from localcloud.engine.values import changed_paths
from localcloud.plugins.diff import Kind, response


def shown(old: dict[str, Any], new: dict[str, Any], *replaces: str) -> provider_pb2.DiffResponse:
    return response(Difference(changed_paths(old, new), list(replaces)), old, new)


def test_each_property_with_its_kind() -> None:
    old = {"a": {"b": [1, {"c": "x"}], "gone": 1}, "location": "here", "same": True}
    new = {"a": {"b": [1, {"c": "y"}], "fresh": 2}, "location": "there", "same": True}
    answer = shown(old, new, "location")
    assert {path: one.kind for path, one in answer.detailedDiff.items()} == {
        "a.b[1].c": Kind.UPDATE,
        "a.fresh": Kind.ADD,
        "a.gone": Kind.DELETE,
        "location": Kind.UPDATE_REPLACE,
    }
    assert list(answer.replaces) == ["location"]
    assert list(answer.diffs) == ["a", "location"]
    assert answer.deleteBeforeReplace
    assert answer.changes == provider_pb2.DiffResponse.DIFF_SOME


def test_keys_that_are_no_names_are_quoted() -> None:
    answer = shown({"tags": {"a.b": "1"}}, {"tags": {"a.b": "2", 'say "x"': "3"}})
    assert sorted(answer.detailedDiff) == ['tags["a.b"]', 'tags["say \\"x\\""]']


def test_nothing_changed() -> None:
    answer = shown({"a": 1}, {"a": 1})
    assert answer.changes == provider_pb2.DiffResponse.DIFF_NONE
    assert not answer.detailedDiff
