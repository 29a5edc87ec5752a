from __future__ import annotations

from pathlib import Path

import pytest

from components.packaging.closure import imported_names, source_tree
from components.packaging.errors import PackageError


def project(root: Path, files: dict[str, str]) -> Path:
    for name, text in ({"handlers/__init__.py": "", "core/__init__.py": ""} | files).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


FILES = {
    "handlers/requirements.txt": "",
    "handlers/a/__init__.py": "",
    "handlers/a/one.py": "from core.x.y import f\nimport json\n",
    "handlers/a/two.py": "import msgspec\n",
    "core/x/__init__.py": "",
    "core/x/y.py": (
        "from typing import TYPE_CHECKING\nfrom core.z import g as f\nif TYPE_CHECKING:\n    import core.types_only\n"
    ),
    "core/x/q.sql": "select 1",
    "core/x/y.sql": "select 2",
    "core/x/w.sql": "select 3",
    "core/x/w.py": "",
    "core/x/data/deep/a.bin": "1",
    "core/x/.hidden": "1",
    "core/x/sub/__init__.py": "",
    "core/x/sub/other.txt": "1",
    "core/z.py": "def g():\n    import core.lazy\n    from azure.functions import (\n        FunctionApp,\n    )\n",
    "core/lazy.py": "import urllib3, botocore.session\n",
    "core/types_only.py": "",
}


def test_closure_holds_what_is_imported_and_says_why(tmp_path: Path) -> None:
    closure = source_tree(project(tmp_path, FILES)).closure(["handlers.a.one"])
    assert {file.path: file.why[-1] for file in closure.files} == {
        "core/__init__.py": "core",
        "core/lazy.py": "core.lazy",
        "core/x/__init__.py": "core.x",
        "core/x/data/deep/a.bin": "core.x's folder",
        "core/x/q.sql": "core.x's folder",
        "core/x/y.py": "core.x.y",
        "core/x/y.sql": "core.x's folder",
        "core/z.py": "core.z",
        "handlers/__init__.py": "handlers",
        "handlers/a/__init__.py": "handlers.a",
        "handlers/a/one.py": "handlers.a.one",
    }
    why = {file.path: file.why for file in closure.files}
    assert why["core/lazy.py"] == ("handlers.a.one", "core.x.y", "core.z", "core.lazy")
    assert [(one.module, one.file, one.line) for one in closure.externals] == [
        ("azure.functions", "core/z.py", 3),
        ("botocore.session", "core/lazy.py", 1),
        ("urllib3", "core/lazy.py", 1),
    ]


def test_two_roots_with_the_same_package_names_do_not_mix(tmp_path: Path) -> None:
    first = project(tmp_path / "first", {"handlers/only_here.py": "import core.a\n", "core/a.py": ""})
    second = project(tmp_path / "second", {"handlers/only_here.py": "import core.b\n", "core/b.py": ""})
    paths = [
        {file.path for file in source_tree(root).closure(["handlers.only_here"]).files} for root in (first, second)
    ]
    assert "core/a.py" in paths[0]
    assert "core/b.py" in paths[1]


def test_an_edit_is_seen_in_the_same_process(tmp_path: Path) -> None:
    root = project(tmp_path, FILES)
    before = source_tree(root)
    assert source_tree(root) is before
    (root / "handlers/a/two.py").write_text("import core.lazy\n")
    assert "core/lazy.py" in {file.path for file in source_tree(root).closure(["handlers.a.two"]).files}


def test_a_missing_module_names_who_asks_for_it(tmp_path: Path) -> None:
    root = project(tmp_path, FILES)
    with pytest.raises(PackageError, match=r"no core/nothing.py .* create core/nothing.py"):
        source_tree(root).closure(["handlers.a.one", "core.nothing"])


def test_a_folder_that_is_no_package_is_named(tmp_path: Path) -> None:
    root = project(tmp_path, {"handlers/b/step.py": ""})
    with pytest.raises(PackageError, match=r"got no handlers/b/__init__.py; create handlers/b/__init__.py"):
        source_tree(root).closure(["handlers.b.step"])


def test_a_folder_without_the_packages_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"no handlers/__init__.py"):
        source_tree(tmp_path)


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        ("import a.b as c, d", ["a.b", "d"]),
        ("from azure import identity as i, core  # why", ["azure.identity", "azure.core"]),
        ("    from azure.storage.queue import (", ["azure.storage.queue"]),
        ("from a import (b, c)", ["a.b", "a.c"]),
        ("from a import *", ["a"]),
        ("x = 1", []),
    ],
)
def test_imported_names(statement: str, names: list[str]) -> None:
    assert imported_names(statement) == names
