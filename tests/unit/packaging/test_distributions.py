from __future__ import annotations

from pathlib import Path

import pytest

from components.packaging.closure import ExternalImport
from components.packaging.distributions import parse_pins, read_pins, resolve
from components.packaging.errors import PackageError
from components.packaging.target import Target

PINS = parse_pins(
    """\
# made by uv
azure-functions==1.26.0 ; python_full_version < '3.13'
    # via -r handlers/requirements.in
azure-functions==2.3.0 ; python_full_version >= '3.13'
    # via -r handlers/requirements.in
botocore==1.44.5
    # via
    #   boto3
    #   s3transfer
boto3==1.44.5
    # via -r handlers/requirements.in
cffi==2.1.1 ; platform_python_implementation != 'PyPy'
    # via cryptography
colorama==0.4.6 ; sys_platform == 'win32'
    # via werkzeug
cryptography==50.0.2
    # via azure-storage-queue
azure-storage-queue==12.18.1
    # via -r handlers/requirements.in
python-dateutil==2.9.0.post0
    # via botocore
six==1.17.0
    # via python-dateutil
s3transfer==0.19.3
    # via boto3
werkzeug==3.1.9
    # via azure-functions
"""
)


def names(module: str, target: Target) -> list[str]:
    return [str(one) for one in resolve([ExternalImport(module, "core/x.py", 3)], PINS, target)]


def test_a_module_brings_what_its_distribution_requires_and_nothing_else() -> None:
    assert names("botocore.session", Target()) == ["botocore==1.44.5", "python-dateutil==2.9.0.post0", "six==1.17.0"]
    assert names("azure.storage.queue.aio", Target())[0] == "azure-storage-queue==12.18.1"
    assert names("dateutil.tz", Target()) == ["python-dateutil==2.9.0.post0", "six==1.17.0"]


def test_markers_follow_the_target_and_not_this_interpreter() -> None:
    assert names("azure.functions", Target("3.12")) == ["azure-functions==1.26.0", "werkzeug==3.1.9"]
    assert names("azure.functions", Target("3.13")) == ["azure-functions==2.3.0", "werkzeug==3.1.9"]
    assert "colorama==0.4.6" in names("azure.functions", Target("3.12", "x86_64-pc-windows-msvc"))


def test_a_database_driver_comes_with_its_compiled_half_and_nothing_else() -> None:
    """psycopg imports psycopg_binary by a name that no graph of imports sees: the pin's own extra brings it.

    Zones, which it wants on Windows only, are pinned for everybody: schedules need them.
    """
    pins = read_pins(Path(__file__).parents[3])
    found = resolve([ExternalImport("psycopg.errors", "core/clients/postgres.py", 1)], pins, Target())
    assert [one.name for one in found] == ["psycopg", "psycopg-binary", "typing-extensions", "tzdata"]


def test_each_distribution_says_why_it_is_in() -> None:
    found = resolve([ExternalImport("botocore", "core/x.py", 3)], PINS, Target())
    assert {one.name: one.why for one in found} == {
        "botocore": "core/x.py:3 imports botocore",
        "python-dateutil": "required by botocore",
        "six": "required by python-dateutil",
    }


def test_an_import_that_nothing_pins_is_an_error() -> None:
    with pytest.raises(PackageError, match=r"core/x.py, line 3: .* got import of polars; add its distribution"):
        names("polars", Target())
    with pytest.raises(PackageError, match=r"import of azure.identity"):
        names("azure.identity", Target())


def test_a_line_that_is_no_pin_is_named() -> None:
    with pytest.raises(PackageError, match=r"line 2: each line must be one pin.* got 'six>=1'"):
        parse_pins("six==1\nsix>=1\n")
