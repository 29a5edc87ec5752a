import os
from pathlib import Path

from components.packaging.dependencies import DRAFT, sweep


def test_what_killed_builds_left_goes_and_what_others_work_on_stays(tmp_path: Path) -> None:
    old, new, gone = (tmp_path / f"{DRAFT}{name}" for name in ("old", "new", "gone"))
    for folder in (old, new):
        folder.mkdir()
        (folder / "file").write_text("x")
    os.utime(old, (0, 0))
    gone.symlink_to(tmp_path / "nowhere")  # in the listing, and not there when it is looked at
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {new.name, gone.name}
