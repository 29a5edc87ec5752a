"""Named statements of a .sql file."""

from pathlib import Path

import pytest

from components.packaging.closure import source_tree
from core.sql import named, parse


def test_each_statement_by_its_name_without_its_comments() -> None:
    found = parse(
        "-- a file\n-- name: one\n-- 100 % of it\nselect 1;\n\n-- name: two\nselect\n  -- why\n  2;\n", "x.sql"
    )
    assert found == {"one": "select 1;", "two": "select\n  2;"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-- name: one\nselect 1;\n-- name: one\nselect 2;", "line 3.*got 'one' a second time"),
        ("-- name: One!\nselect 1;", "line 1.*got 'One!'"),
        ("select 1;\n-- name: one\nselect 1;", "line 1: a statement must follow its"),
        ("-- name: one\n-- only words", "none after one"),
    ],
)
def test_a_file_that_could_be_read_in_two_ways_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(text, "x.sql")


def test_the_job_machines_statements_are_read_once() -> None:
    found = named("core.jobs", "queries.sql")
    assert found is named("core.jobs", "queries.sql")
    assert all("--" not in text for text in found.values())


def test_a_package_carries_the_statements_and_no_migration() -> None:
    closure = source_tree(Path(__file__).parents[3]).closure(["core.jobs.machine", "core.alma_analytics.starting"])
    sql = {file.path for file in closure.files if file.path.endswith(".sql")}
    assert {"core/jobs/queries.sql", "core/alma_analytics/jobs.sql"} <= sql
    assert not [path for path in sql if "migrations" in path]
    assert "tzdata" in {external.module for external in closure.externals}  # nothing but zoneinfo ever opens it
