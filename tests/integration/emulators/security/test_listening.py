"""Everything that listens, listens on loopback: emulators, Azurite, the servers that Pulumi's own engine talks to."""

import os
import subprocess
import sys

import pytest

from tests.contract.previews import ROOT
from tests.e2e.project import descendants, listening
from tests.integration.emulators.local import Local

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at sockets through /proc")
LOOPBACK = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}
"""127.0.0.1, ::1 and the former as the latter's kind, as the kernel shows them."""


def test_emulators_and_azurite_listen_on_loopback(local: Local) -> None:
    local.run(local.cloud.postgres.put_server("db-listening"))
    azurite = local.cloud._azurite._process
    assert azurite is not None
    assert azurite.pid in descendants(os.getpid())
    for pids in ({azurite.pid}, descendants(os.getpid())):
        found = listening(pids)
        assert found
        assert found <= LOOPBACK


@pytest.mark.parametrize("arguments", [["provider", "azure-native"], ["provider", "aws"], ["language"]])
def test_the_engine_s_servers_listen_on_loopback(arguments: list[str]) -> None:
    module, *rest = arguments
    command = [sys.executable, "-m", f"localcloud.plugins.{module}", *rest]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip().isdigit()
            found = listening({process.pid})
            assert found
            assert found <= LOOPBACK
        finally:
            process.kill()
