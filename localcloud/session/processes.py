"""The supervisor's process, seen from outside: its environment, whether it lives, how it is ended."""

import os
import signal


def own_environment() -> dict[str, str]:
    """The supervisor's environment: ours, without what belongs to a cloud account of the person who started it."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "AZURE_", "ARM_", "PULUMI_", "IDENTITY_"))
    }


def alive(pid: int) -> bool:
    """Whether the process still runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        # A child of ours that has ended but was not waited for still has its number.
        return os.waitpid(pid, os.WNOHANG) == (0, 0)
    except ChildProcessError:
        return True


def end(pid: int) -> None:
    """Ask the process to end in order; one that is gone already is fine."""
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
