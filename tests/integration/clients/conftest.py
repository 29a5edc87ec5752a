"""One running local cloud per test module."""

from tests.integration.emulators.conftest import local

__all__ = ["local"]
