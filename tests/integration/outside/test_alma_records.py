"""Records by GET and PUT: what the stand-in takes and refuses, and that nothing but the written field changes."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from core.clients.alma import Alma, Ref, Threshold
from core.clients.faults import Changed, Denied, Gone, InDoubt, Refused, Transient
from localcloud.faults.fault import Fault
from localcloud.outside.alma import sample
from localcloud.outside.alma.data import Kind, json_of
from tests.integration.outside.place import Place


@pytest.fixture
def refs(place: Place) -> dict[str, Ref]:
    sample.write(place.alma_folder)
    item = json_of(place.library.record("item", place.library.names("item")[0]) or b"")
    mms, holding = item["bib_data"]["mms_id"], item["holding_data"]["holding_id"]
    return {
        "bib": Ref("bib", (mms,)),
        "holding": Ref("holding", (mms, holding)),
        "item": Ref("item", (mms, holding, item["item_data"]["pid"])),
        "internal": Ref("user", ("READER-000",)),
        "external": Ref("user", ("reader-001",)),
    }


FIELDS = {
    "bib": "590$a",
    "holding": "852$h",
    "item": "item_data.internal_note_1",
    "internal": "user_group.value",
    "external": "user_group.value",
}


@pytest.mark.parametrize("which", FIELDS)
def test_a_field_is_written_and_nothing_else_changes(place: Place, refs: dict[str, Ref], which: str) -> None:
    alma, ref, field = place.alma(), refs[which], FIELDS[which]
    document = alma.get(ref)
    before = document.encode()
    document.write(field, "Ω neu <1>")
    alma.put(ref, document)
    after = alma.get(ref)
    assert after.read(field) == "Ω neu <1>"
    got = [one.operation for one in place.journal()]
    assert got == [f"{verb}{ref.kind.title()}" for verb in ("Get", "Put", "Get")]
    assert [one.changed for one in place.journal()] == [False, True, False]
    if ref.kind in {"item", "user"}:
        then, now = json.loads(before), json.loads(after.encode())
        for one in (then, now):
            one.get("item_data", {}).pop("modification_date", None)
            one.get("user_group", {}).pop("value", None)
            one.get("item_data", {}).pop("internal_note_1", None)
        assert then == now
    else:
        for other in ("005", "last_modified_date"):  # the service's own
            document.write(other, after.read(other))
        assert document.encode() == after.encode()


def test_the_second_update_is_no_change(place: Place, refs: dict[str, Ref]) -> None:
    alma = place.alma()
    for _ in range(2):
        document = alma.get(refs["item"])
        document.write("item_data.internal_note_1", "same")
        alma.put(refs["item"], document)
    assert [one.changed for one in place.journal()] == [False, True, False, False]


@pytest.mark.parametrize(
    ("kind", "ids"),
    [
        ("bib", ("990000000000",)),
        ("holding", ("990000000101", "22999")),
        ("item", ("990000000101", "220000000101", "23999")),
        ("item", ("1", "2", "230000000101")),
        ("user", ("nobody/../x y",)),
    ],
)
def test_missing_records_are_gone(place: Place, refs: dict[str, Ref], kind: Kind, ids: tuple[str, ...]) -> None:
    with pytest.raises(Gone, match=f"{kind} {ids[0][:3]}.*: 400 "):
        place.alma().get(Ref(kind, ids))
    assert place.journal()[0].status == 400


def test_a_record_whose_file_is_removed_is_gone_at_the_next_call(place: Place, refs: dict[str, Ref]) -> None:
    alma, ref = place.alma(), refs["item"]
    document = alma.get(ref)
    place.library.remove_record("item", ref.ids[-1])
    document.write("item_data.internal_note_1", "x")
    with pytest.raises(Gone):
        alma.put(ref, document)


@pytest.mark.parametrize("ids", [(), ("1", "2"), ("",), ("  ",), ("..",)])
def test_ids_that_are_no_address(place: Place, ids: tuple[str, ...]) -> None:
    with pytest.raises(Refused, match="must have 1 ids, none of them empty"):
        place.alma().get(Ref("bib", ids))
    assert place.journal() == []


def test_a_bib_that_somebody_else_changed_is_left_alone(place: Place, refs: dict[str, Ref]) -> None:
    first, second, ref = place.alma(), place.alma(), refs["bib"]
    mine, theirs = first.get(ref), second.get(ref)
    theirs.write("590$a", "theirs")
    second.put(ref, theirs)
    mine.write("590$a", "mine")
    with pytest.raises(Changed, match="newer version"):
        first.put(ref, mine)
    assert first.get(ref).read("590$a") == "theirs"


def _without(path: str) -> Callable[[dict[str, Any]], None]:
    def change(record: dict[str, Any]) -> None:
        *way, last = path.split(".")
        for step in way:
            record = record[step]
        del record[last]

    return change


@pytest.mark.parametrize(
    ("which", "change", "says"),
    [
        ("item", _without("item_data.barcode"), "401664 Mandatory field is missing: item_data.barcode"),
        ("item", _without("item_data.physical_material_type"), "physical_material_type"),
        ("item", _without("item_data"), "Mandatory field is missing: item_data"),
        ("item", lambda r: r["item_data"].update(pid="1"), "item_data.pid must be"),
        ("internal", _without("last_name"), "401664 Mandatory field is missing: last_name"),
        ("internal", _without("record_type"), "record_type"),
        ("internal", lambda r: r["account_type"].update(value="?"), "401857"),
        ("internal", lambda r: r.update(external_id="x"), "401853"),
        ("external", lambda r: r.update(external_id=""), "401854"),
    ],
)
def test_an_update_without_what_it_must_have_is_refused(
    place: Place, refs: dict[str, Ref], which: str, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    alma, ref = place.alma(), refs[which]
    document = alma.get(ref)
    record = json.loads(document.encode())
    change(record)
    document._body = json.dumps(record).encode()  # type: ignore[attr-defined]
    before = place.library.record(ref.kind, ref.ids[-1])
    with pytest.raises(Refused, match=says):
        alma.put(ref, document)
    assert place.library.record(ref.kind, ref.ids[-1]) == before


def test_a_second_item_with_the_same_barcode_is_refused(place: Place, refs: dict[str, Ref]) -> None:
    alma, ref = place.alma(), refs["item"]
    other = json_of(place.library.record("item", place.library.names("item")[1]) or b"")
    document = alma.get(ref)
    document.write("item_data.barcode", other["item_data"]["barcode"])
    with pytest.raises(Refused, match="already exists"):
        alma.put(ref, document)


def test_a_holding_without_its_location_is_refused(place: Place, refs: dict[str, Ref]) -> None:
    alma, ref = place.alma(), refs["holding"]
    document = alma.get(ref)
    document.write("852$c", None)
    with pytest.raises(Refused, match="402211"):
        alma.put(ref, document)


def test_a_field_that_alma_does_not_know_is_no_success(place: Place, refs: dict[str, Ref]) -> None:
    alma, ref = place.alma(), refs["item"]
    document = alma.get(ref)
    document.write("item_data.internal_note_9", "x")
    with pytest.raises(Refused, match=r"took the record, but item_data\.internal_note_9 must now be 'x' and is None"):
        alma.put(ref, document)


def test_a_field_of_an_external_user_needs_override_and_gets_it(place: Place, refs: dict[str, Ref]) -> None:
    alma, ref = place.alma(), refs["external"]
    document = alma.get(ref)
    document.write("user_group.value", "99")
    document.written.clear()  # so that the client names no field
    alma.put(ref, document)
    assert alma.get(ref).read("user_group.value") == "01"
    document.write("user_group.value", "99")
    alma.put(ref, document)
    assert alma.get(ref).read("user_group.value") == "99"


def test_an_update_whose_answer_is_lost_has_happened(place: Place, refs: dict[str, Ref]) -> None:
    alma, ref = place.alma(), refs["item"]
    document = alma.get(ref)
    document.write("item_data.internal_note_1", "once")
    fault = Fault(kind="cut", service="alma", operation="PutItem", every=1, when="after")
    with place.faults(fault), pytest.raises(InDoubt):
        alma.put(ref, document)
    assert alma.get(ref).read("item_data.internal_note_1") == "once"
    assert [one.operation for one in place.journal()].count("PutItem") == 1


@pytest.mark.parametrize(("status", "kind"), [(500, Transient), (503, Transient), (504, InDoubt), (401, Denied)])
def test_the_service_s_own_troubles(place: Place, refs: dict[str, Ref], status: int, kind: type[Exception]) -> None:
    alma, ref = place.alma(), refs["item"]
    document = alma.get(ref)
    code = "GENERAL_ERROR" if status != 401 else "UNAUTHORIZED"
    fault = Fault(kind="refuse", service="alma", operation="PutItem", every=1, status=status, code=code)
    with place.faults(fault), pytest.raises(kind, match=f"item .*: {status} {code} busy.*tracking id E01-"):
        alma.put(ref, document)


def test_a_throttled_call_is_one_try(place: Place, refs: dict[str, Ref]) -> None:
    alma = place.alma()
    fault = Fault(kind="throttle", service="alma", every=1, seconds=1)
    with place.faults(fault), pytest.raises(Threshold) as caught:
        alma.get(refs["bib"])
    assert not caught.value.daily
    assert alma.requests == len(place.journal()) == 1


def _sliding(times: list[float]) -> int:
    """The most in any second."""
    return max((sum(start - 1 < at <= start for at in times) for start in times), default=0)


def test_the_threshold_holds_in_every_sliding_second(place: Place, refs: dict[str, Ref]) -> None:
    """Eight callers that ask as fast as they can, a clock that the test may not see through."""
    place.limits(per_second=10)
    answers: list[bool] = []
    until = time.monotonic() + 2.5

    def ask() -> None:
        alma = place.alma()
        while time.monotonic() < until:
            try:
                alma.get(refs["bib"])
                answers.append(True)
            except Threshold as threshold:
                answers.append(threshold.daily)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    taken = [one.at for one in place.journal() if one.counted]
    refused = [one for one in place.journal() if not one.counted]
    assert len(taken) == answers.count(True)
    assert {one.code for one in refused} == {"PER_SECOND_THRESHOLD"}
    assert _sliding(taken) == 10
    assert len(taken) >= 20


def test_pace_is_asked_once_for_each_request_right_before_it_leaves(place: Place, refs: dict[str, Ref]) -> None:
    paced: list[float] = []
    alma = place.alma(pace=lambda: paced.append(time.time()))
    for _ in range(5):
        alma.get(refs["bib"])
    arrived = [one.at for one in place.journal()]
    assert len(paced) == alma.requests == len(arrived) == 5
    assert all(before <= at for before, at in zip(paced, arrived, strict=True))

    def broken() -> None:
        raise Transient("no slot")

    with pytest.raises(Transient, match="no slot"):
        place.alma(pace=broken).get(refs["bib"])
    assert len(place.journal()) == 5


def test_a_broken_file_is_the_service_s_fault(place: Place, refs: dict[str, Ref]) -> None:
    place.library.put_record("item", refs["item"].ids[-1], b"{")
    with pytest.raises(Transient, match="500 INTERNAL_SERVER_ERROR"):
        place.alma().get(refs["item"])
    (place.alma_folder / "settings.json").write_text('{"per_secnd": 1}')
    with pytest.raises(Transient, match="per_secnd"):
        place.alma().get(refs["bib"])


def test_json_is_not_for_bibs(place: Place, refs: dict[str, Ref]) -> None:
    alma: Alma = place.alma()
    answer = alma._send("PUT", refs["bib"].path(), "application/json", b"{}", most=10_000)
    assert answer.status == 400
    assert json.loads(answer.body)["errorList"]["error"][0]["errorCode"] == "60105"
