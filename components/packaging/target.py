"""For which Python and platform a package's dependencies are resolved."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass

_LINUX = "manylinux_2_28"  # the glibc of Azure's images for Python 3.12 and later (Debian 12, Azure Linux 3) is newer


@dataclass(frozen=True, slots=True)
class Target:
    """A Python (`"3.12"`) and a platform in uv's words (`"x86_64-manylinux_2_28"`)."""

    python: str = "3.12"
    platform: str = f"x86_64-{_LINUX}"

    @classmethod
    def local(cls) -> Target:
        """The interpreter at hand. Where it equals the cloud's target, the package is the very same one."""
        machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        if sys.platform == "darwin":
            return cls(python, f"{machine}-apple-darwin")
        if sys.platform == "win32":
            return cls(python, f"{machine}-pc-windows-msvc")
        glibc = platform.libc_ver()[0] == "glibc"
        return cls(python, f"{machine}-{_LINUX}" if glibc else f"{machine}-unknown-linux-musl")

    def marker_environment(self) -> dict[str, str]:
        """The variables of PEP 508 markers, as they are on the target (CPython only; `3.12` counts as 3.12.0)."""
        machine, _, system = self.platform.partition("-")
        if system == "apple-darwin":
            names = ("posix", "darwin", "Darwin")
        elif system == "pc-windows-msvc":
            names = ("nt", "win32", "Windows")
        else:
            names = ("posix", "linux", "Linux")
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.0",
            "os_name": names[0],
            "platform_machine": {"aarch64": "arm64"}.get(machine, machine) if names[1] == "darwin" else machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": names[2],
            "platform_version": "",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": names[1],
            "extra": "",
        }
