"""What counts as which change, and which changes can lose data."""

import pytest

from localcloud.review.compare import compare
from localcloud.review.data import HOLDS, held_by
from localcloud.review.shapes import Risk
from tests.unit.review.sides import contents, part, side, urn

ACCOUNT = "azure-native:storage:StorageAccount"
BLOBS = "azure-native:storage:BlobContainer"
QUEUE = "aws:sqs/queue:Queue"
APP = "azure-native:web:WebApp"


def test_equal_sides_change_nothing() -> None:
    one = side(part(APP, "a", inputs={"name": "a"}))
    assert compare("prod", one, one).state == "same"


def test_kinds_of_change() -> None:
    base = side(
        part(APP, "kept", inputs={"httpsOnly": False}),
        part(APP, "dropped"),
        part(ACCOUNT, "moved", inputs={"accountName": "one"}),
    )
    head = side(
        part(APP, "kept", inputs={"httpsOnly": True}),
        part(APP, "new"),
        part(ACCOUNT, "moved", inputs={"accountName": "two"}),
    )

    review = compare("prod", base, head)

    assert {change.name: change.kind for change in review.resources} == {
        "kept": "update",
        "dropped": "delete",
        "moved": "replace",
        "new": "create",
    }
    (moved,) = [change for change in review.resources if change.name == "moved"]
    assert [(one.path, one.before, one.after, one.replaces) for one in moved.properties] == [
        ("accountName", "one", "two", True)
    ]


def test_resources_stand_below_their_system_and_component() -> None:
    worker = part("millrace:workers:FunctionWorker", "fetch")
    identity = part("millrace:foundation:Identity", "fetch", parent=worker.urn)
    head = side(worker, identity, part(APP, "app", parent=worker.urn), part(BLOBS, "deep", parent=identity.urn))

    review = compare("prod", side(), head)

    assert {(one.name, one.system, one.component) for one in review.resources} == {
        ("app", "ingest", "FunctionWorker fetch"),
        ("deep", "ingest", "FunctionWorker fetch"),
    }


def risks(*args: tuple[object, ...]) -> list[Risk]:
    base, head = args
    return compare("prod", side(*base), side(*head)).risks  # type: ignore[arg-type]


def test_what_holds_data_is_a_risk_when_it_goes_and_nothing_else_is() -> None:
    found = risks((part(QUEUE, "q", protect=True), part(APP, "a")), ())
    assert [(risk.kind, risk.name, risk.protected, risk.holds) for risk in found] == [
        ("delete", "q", True, "its messages")
    ]


def test_a_replacement_takes_along_what_lies_inside() -> None:
    inside = part(BLOBS, "failed", dependencies=[urn(ACCOUNT, "data")])
    (risk,) = risks(
        (part(ACCOUNT, "data", inputs={"accountName": "one"}), inside),
        (part(ACCOUNT, "data", inputs={"accountName": "two"}), inside),
    )
    assert (risk.kind, risk.because, risk.with_it) == ("replace", ["accountName"], ["BlobContainer failed"])


def test_losing_protection_is_a_risk_although_nothing_else_changes() -> None:
    (risk,) = risks((part(QUEUE, "q", protect=True),), (part(QUEUE, "q", protect=False),))
    assert (risk.kind, risk.protected) == ("unprotect", True)


@pytest.mark.parametrize("type_", sorted(HOLDS))
def test_every_listed_type_is_a_full_token(type_: str) -> None:
    assert held_by(type_)
    assert type_.count(":") == 2


def test_packages_by_file_and_distribution() -> None:
    base = side(packages=[contents("a", "1", {"x.py": "1", "y.py": "1"}, "msgspec==0.18"), contents("b", "9", {})])
    head = side(
        packages=[contents("a", "2", {"x.py": "2", "z.py": "1"}, "msgspec==0.19", "idna==3"), contents("b", "9", {})]
    )

    (change,) = compare("prod", base, head).packages

    assert (change.app, change.added, change.removed, change.changed) == ("a", ["z.py"], ["y.py"], ["x.py"])
    assert [(one.path, one.before, one.after) for one in change.distributions] == [
        ("idna", None, "3"),
        ("msgspec", "0.18", "0.19"),
    ]


def test_roles_settings_and_outputs() -> None:
    base = side(roles=[("w", "queue.send", "q", "Sender")], settings={"a": "1"}, outputs=["x"])
    head = side(roles=[("w", "queue.read", "q", "Reader")], settings={"a": "2"}, outputs=["y"])

    review = compare("prod", base, head)

    assert review.roles_added == [("w", "queue.read", "q", "Reader")]
    assert review.roles_removed == [("w", "queue.send", "q", "Sender")]
    assert [(one.path, one.before, one.after) for one in review.settings] == [("a", "1", "2")]
    assert (review.outputs_added, review.outputs_removed) == (["y"], ["x"])


def test_states_of_a_stack() -> None:
    refused = side()
    refused.refused = ["no"]
    assert compare("s", side(), None).state == "gone"
    assert compare("s", None, side()).state == "new"
    assert compare("s", side(), refused).state == "refused"
    assert compare("s", refused, side()).state == "base_refused"


def test_a_lock_that_goes_and_a_plan_of_another_kind_are_seen() -> None:
    locked = part("azure-native:authorization:ManagementLockByScope", "ingest-lock")
    app = "azure-native:web:WebApp"
    flex = part(app, "ingest", inputs={"serverFarmId": "/plans/ingest"}, replace_on_changes=["serverFarmId"])
    y1 = part(app, "ingest", inputs={"serverFarmId": "/plans/ingest-y1"}, replace_on_changes=["serverFarmId"])
    review = compare("prod", side(locked, flex), side(y1))
    assert [(risk.kind, risk.name, risk.holds) for risk in review.risks] == [
        ("unprotect", "ingest-lock", "what it locks")
    ]
    (change,) = [one for one in review.resources if one.type == app]
    assert (change.kind, [(one.path, one.replaces) for one in change.properties]) == (
        "replace",
        [("serverFarmId", True)],
    )
