"""What a file of report jobs may say, and what is said of the rest."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.alma_analytics.jobs import jobs_of, validate
from core.messages.alma_analytics import ReportJob
from tests.unit.alma_analytics.rows import row

RULE = row()["rule"]
CHANGE = RULE["set"][0]


def rule(**changes: Any) -> dict[str, Any]:
    return {"rule": RULE | changes}


def change(**changes: Any) -> dict[str, Any]:
    return rule(set=[{key: value for key, value in (CHANGE | changes).items() if value is not None}])


def report(**changes: Any) -> dict[str, Any]:
    return {"report": row()["report"] | changes}


def test_a_job_with_everything_and_one_with_the_least_are_taken() -> None:
    least = {"name": "count", "report": {"path": "/shared/Count"}, "recipients": ["a@b.org"]}
    rows = [row(), least]
    assert validate(rows) == []
    assert [job.name for job in jobs_of(rows)] == ["overdue-items", "count"]


WRONG = [
    (row(name="Overdue items"), "name must be text of the form", 'got "Overdue items"'),
    (row(name=None), "name must be text", "got nothing"),
    (row(recipients=[]), "recipients must be a list of 1 or more", "got []"),
    (row(recipients=["a@b.org", "nobody"]), "recipients[2] must be a mail address", 'got "nobody"'),
    (row(recipients=["a@b.org", "A@b.org"]), "recipients must be without doubles", "2 times"),
    (row(enabled="yes"), "enabled must be true or false", 'got "yes"'),
    (row(schedul="0 6 * * *"), "schedul must be one of", "do you mean schedule?"),
    (row(schedule="0 6 * *"), "schedule must be cron with five fields", "4 fields"),
    (row(schedule="0 0 6 * * *"), "schedule must be cron with five fields", "6 fields"),
    (row(schedule="0 25 * * *"), "schedule must be cron with five fields", "Bad hour"),
    (row(schedule="0 0 31 2 *"), "schedule must be cron with five fields", "Bad day-of-month"),
    (row(time_zone="Europe/Berlyn"), "time_zone must be an IANA time zone", "do you mean Europe/Berlin?"),
    (row(time_zone="/etc/passwd"), "time_zone must be an IANA time zone", "got '/etc/passwd'"),
    (row(**report(path="shared/Reports")), "report.path must be a report's full path", 'got "shared/Reports"'),
    (row(**report(path="/shared/\x00")), "report.path must be text without control characters", "u0000"),
    (row(**report(limit=30)), "report.limit must be a whole number from 25 to 1000, a multiple of 25", "got 30"),
    (row(**report(limit=True)), "report.limit must be a whole number", "got true"),
    (row(**report(filter="a = b")), "report.filter must be Analytics' XML filter", "syntax error"),
    (row(**report(filter="<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>")), "report.filter must be", "document type"),
    (row(**report(key=None)), "report.key must be given", "got nothing"),
    (row(other=None), "report.key must be left out without a second report", 'got "Barcode"'),
    (row(other=None), "rule.set[1].column must be a column of the job's own report", 'got "other.Due date"'),
    (row(other="Loans"), "other must be fields (path, filter, limit, key)", 'got "Loans"'),
    (row(**rule(kind="book")), "rule.kind must be one of bib, holding, item, user", 'got "book"'),
    (row(**rule(ids=["MMS Id"])), "rule.ids must be a list of 3, as a record of kind item has", 'got ["MMS Id"]'),
    (row(**rule(ids=["a", "a", "b"])), "rule.ids must be without doubles", '"a" 2 times'),
    (row(**rule(matched="main_only")), "rule.set[1].column must be a column of the job's own report while", "other."),
    (row(**rule(set=[])), "rule.set must be a list of 1 or more", "got []"),
    (row(**rule(set=[CHANGE, CHANGE])), "rule.set must be without doubles", "2 times"),
    (row(**change(value="x")), "rule.set[1] must be a change with either column or value", "got both"),
    (row(**change(column=None)), "rule.set[1] must be a change with either column or value", "got nothing"),
    (row(**change(field="590$a")), "rule.set[1].field must be a dotted path of a record of kind item", 'got "590$a"'),
    (row(**change(field=None)), "rule.set[1].field must be text", "got nothing"),
    ("a job", "the row must be fields (name, report", 'got "a job"'),
]


@pytest.mark.parametrize(("wrong", "must", "got"), WRONG, ids=[f"{one[1]}-{one[2]}"[:60] for one in WRONG])
def test_a_wrong_row_is_refused_with_its_field(wrong: Any, must: str, got: str) -> None:
    found = [str(one) for one in validate([wrong])]
    assert [text for text in found if must in text and got in text], found


def test_every_fault_of_every_row_is_named_at_once() -> None:
    rows = [row(schedule="never", recipients=["x"]), row(name="fine"), row(name="third", report={"limit": 7}, rule=5)]
    assert [(one.row, one.name, one.field) for one in validate(rows)] == [
        (1, "overdue-items", "schedule"),
        (1, "overdue-items", "recipients[1]"),
        (3, "third", "report.path"),
        (3, "third", "report.limit"),
        (3, "third", "rule"),
        (3, "third", "report.key"),
    ]


def test_one_fault_is_named_once() -> None:
    assert len(validate([row(recipients=[5], time_zone=7, **rule(ids=[1, 2, 3], set=[{"field": 1, "value": 2}]))])) == 7


def test_a_name_used_twice_is_refused_in_both_rows() -> None:
    assert [(one.row, one.field) for one in validate([row(), row(name="other"), row()])] == [(1, "name"), (3, "name")]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["other.X", "<a/>", "item"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def broken(draw: st.DrawFn) -> Any:
    """A good row with something put at a random place."""
    found = msgspec.json.decode(msgspec.json.encode(row()))
    place: Any = found
    while True:
        keys = sorted(place) if isinstance(place, dict) else range(len(place))
        key = draw(st.sampled_from(list(keys)))
        if not isinstance(place[key], dict | list) or not place[key] or draw(st.booleans()):
            place[key] = draw(VALUES)
            return found
        place = place[key]


@settings(deadline=None)
@given(broken())
def test_what_is_found_good_is_a_job_and_nothing_is_too_strange_to_be_judged(row: Any) -> None:
    try:
        msgspec.convert(row, ReportJob)
    except msgspec.ValidationError:
        assert validate([row])
    else:
        for one in validate([row]):
            assert one.must
            assert one.got


@settings(deadline=None)
@given(VALUES)
def test_any_value_as_a_row_is_judged(value: Any) -> None:
    assert validate([value])
