"""Errors whose text is meant for the user; everything else is a defect and shows its trace."""

from components.packaging.errors import PackageError
from core.clients.faults import Fault
from localcloud.control.client import Unreachable
from localcloud.deadletters.place import DeadLetterError
from localcloud.engine.config import ConfigError
from localcloud.engine.embedded import ProgramError
from localcloud.engine.provider import Refused
from localcloud.engine.state import StackBusyError, StateError
from localcloud.host.spec import HostError
from localcloud.session.local import LocalCloudError

EXPECTED: tuple[type[Exception], ...] = (
    ConfigError,
    DeadLetterError,
    Fault,
    FileNotFoundError,
    HostError,
    LocalCloudError,
    PackageError,
    ProgramError,
    Refused,
    StackBusyError,
    StateError,
    Unreachable,
)
