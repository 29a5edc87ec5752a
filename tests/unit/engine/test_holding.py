"""One process at a time."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from localcloud.engine.holding import holder, holding

ROOT = Path(__file__).resolve().parents[3]


def test_a_second_one_is_told_who_is_first_and_may_when_it_is_done(tmp_path: Path) -> None:
    file = tmp_path / "new" / "a.lock"
    assert holder(file) is None
    with holding(file, RuntimeError):
        assert holder(file) == os.getpid()
        with pytest.raises(RuntimeError, match=rf"^{os.getpid()}$"), holding(file, RuntimeError):
            pass
    assert holder(file) is None
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with holding(file, RuntimeError):
        pass


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    file = tmp_path / "a.lock"
    killed = "import os, sys, pathlib; from localcloud.engine.holding import holding as h\n"
    killed += "with h(pathlib.Path(sys.argv[1]), RuntimeError): os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", killed, str(file)], cwd=ROOT, check=False)
    assert file.read_text() != str(os.getpid())
    with holding(file, RuntimeError):
        assert file.read_text() == str(os.getpid())
