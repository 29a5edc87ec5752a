"""App settings → Struct; errors a person can act on."""

from __future__ import annotations

from typing import Literal

import msgspec
import pytest

from core.runtime.settings import SettingsError, ca_file, read


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    queue_url: str
    tries: int
    wait_s: float = 5.0
    mode: Literal["strict", "lenient"] = "strict"
    max_age_days: int | None = None
    shared_key: int = 0
    on: bool = False


def test_names_and_types() -> None:
    got = read(Wanted, {"QUEUE_URL": "https://q", "TRIES": "3", "WAIT_S": "0.5", "MODE": "lenient", "ON": "true"})
    assert got == Wanted(queue_url="https://q", tries=3, wait_s=0.5, mode="lenient", on=True)


def test_empty_means_absent_where_there_is_a_default() -> None:
    assert read(Wanted, {"QUEUE_URL": "", "TRIES": "1", "MAX_AGE_DAYS": "", "MODE": ""}).max_age_days is None
    assert read(Wanted, {"QUEUE_URL": "u", "TRIES": "1", "MAX_AGE_DAYS": "0"}).max_age_days == 0


def test_every_wrong_setting_is_named_with_what_is_wanted() -> None:
    with pytest.raises(SettingsError) as caught:
        read(Wanted, {"TRIES": "many " * 100, "MODE": "sloppy", "SHARED_KEY": "c2VjcmV0"})
    text = str(caught.value)
    assert "QUEUE_URL must be set (wanted: str)" in text
    assert "TRIES must be int, got 'many" in text
    assert "MODE" in text
    assert "strict" in text
    assert "c2VjcmV0" not in text
    assert len(text) < 900


def test_the_ca_file_is_found_in_either_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    assert ca_file() is None
    monkeypatch.setenv("SSL_CERT_FILE", "/b")
    assert ca_file() == "/b"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/a")
    assert ca_file() == "/a"
