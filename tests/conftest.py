"""What all tiers share: a clean shell, harmless complaints that are left alone, slow files first."""

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

from tests.slow_files import SECONDS

# How fast examples are made says how busy the machine is; what takes too long for good, pytest's own time limit ends.
settings.register_profile("millrace", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("millrace")

pytest_plugins = ["tests.postgres"]


def pytest_configure(config: pytest.Config) -> None:
    # pulumi_aws says at import that its old names are old, also to those who use the new ones. As an error it would
    # leave the module half-loaded, and everything after it would fail on that instead.
    config.addinivalue_line("filterwarnings", "ignore:.* has been deprecated in favor of .*:DeprecationWarning")
    for name in list(os.environ):
        if name.startswith(("AWS_", "AZURE_", "ARM_", "PULUMI_", "IDENTITY_", "MILLRACE_")):
            del os.environ[name]
    # A shell without job control has what it puts into the background ignore Ctrl-C; so would all that tests start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files first, slowest at the head: begun last, one of them would keep one worker long after the others ended.
    Within a file, and among the quick ones, everything stays where it is.
    """
    items.sort(key=lambda item: -SECONDS.get(item.nodeid.partition("::")[0].removeprefix("tests/"), 0))
