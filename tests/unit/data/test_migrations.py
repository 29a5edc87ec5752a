"""Which migrations are found, in which order, and what may not happen to one that was applied."""

from pathlib import Path

import pytest

from components.data.migrations import Migration, MigrationError, digest, find, missing, parse
from components.errors import DeclarationError


def tree(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(f"-- {file}\n")
    return root


def test_folders_keep_their_order_and_files_their_numbers(tmp_path: Path) -> None:
    root = tree(tmp_path, "b/0002_x.sql", "b/0001_y.sql", "a/0001_z.sql", "a/notes.md")
    found = find("Database", root, ["b", "a"])
    assert [one.path for one in found] == ["b/0001_y.sql", "b/0002_x.sql", "a/0001_z.sql"]
    assert parse([str(one) for one in found]) == found
    assert found[0].digest == digest(b"-- b/0001_y.sql\n")


def test_line_ends_of_a_checkout_do_not_count() -> None:
    assert digest(b"a;\r\nb;\r\n") == digest(b"a;\nb;\n") != digest(b"a; b;\n")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "folder a must hold migrations, got no .sql file"),
        (["a/first.sql"], "named like 0001_what_it_does.sql, got first.sql"),
        (["a/0001_A.sql"], "got 0001_A.sql"),
        (["a/0001_a.sql", "a/0001_b.sql"], "stand once, got 0001_a.sql and 0001_b.sql"),
    ],
)
def test_what_is_no_folder_of_migrations_is_refused(tmp_path: Path, files: list[str], message: str) -> None:
    with pytest.raises(DeclarationError, match=message):
        find("Database", tree(tmp_path, *files), ["a"])


ONE, TWO, THREE = (Migration(f"a/000{number}_x.sql", f"{number}" * 64) for number in (1, 2, 3))
OTHER = Migration("b/0001_x.sql", "9" * 64)


def test_only_what_is_new_is_applied() -> None:
    assert missing([ONE, TWO, OTHER], {}) == [ONE, TWO, OTHER]
    assert missing([ONE, TWO, OTHER], {ONE.path: ONE.digest}) == [TWO, OTHER]
    assert missing([ONE, TWO], {ONE.path: ONE.digest, TWO.path: TWO.digest}) == []


def test_a_program_that_went_back_leaves_what_it_does_not_know() -> None:
    assert missing([ONE], {ONE.path: ONE.digest, TWO.path: TWO.digest}) == []


def test_one_that_was_applied_must_not_change() -> None:
    with pytest.raises(MigrationError) as refused:
        missing([Migration(ONE.path, "f" * 64)], {ONE.path: ONE.digest})
    assert str(refused.value) == (
        "migration a/0001_x.sql: it must be what was applied (111111111111), got ffffffffffff; put it back as it was "
        "and add a new file for the change"
    )


def test_a_new_one_comes_after_those_that_were_applied() -> None:
    with pytest.raises(MigrationError, match=r"a/0002_x.sql: it must come after a/0003_x.sql"):
        missing([ONE, TWO, THREE], {ONE.path: ONE.digest, THREE.path: THREE.digest})
    assert missing([ONE, OTHER], {ONE.path: ONE.digest, "c/0009_x.sql": "0"}) == [OTHER]
