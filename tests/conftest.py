"""What all tiers share: a shell's cloud accounts never reach a test, and two harmless complaints are left alone."""

import os

import pytest
from hypothesis import HealthCheck, settings

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
