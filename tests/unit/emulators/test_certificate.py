"""A certificate that has ended is named, and made anew with the next start."""

from pathlib import Path

import pytest

from localcloud.emulators import ca
from localcloud.emulators.ca import CertificateAuthority


def test_an_ended_certificate_is_named_and_the_next_start_renews_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ca, "SERVER_DAYS", 0)
    old = CertificateAuthority(tmp_path)
    trusted = old.ca_file.read_bytes()
    assert old.problem().startswith("certificate: it must not have ended, got 20")
    assert "./millrace down && ./millrace up" in old.problem()
    monkeypatch.undo()
    new = CertificateAuthority(tmp_path)
    assert new.problem() == ""
    assert new.ca_file.read_bytes() == trusted, "who trusted the authority still does"
