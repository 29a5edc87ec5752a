"""Which local cloud a plugin serves, and the guard: only stacks whose own configuration says that they are local.

A stack is local when it carries the local tenancy: the Azure subscription (and, for AWS, the account) that the local
cloud of this project has. Pulumi hands a provider its own namespace of the configuration only, so where that does not
tell (`aws:region` alone), the stack's settings file is read. Everything else is refused before anything is made.
"""

import os
from pathlib import Path
from typing import Any

import yaml

from localcloud.control.kinds import Tenancy
from localcloud.engine.provider import Refused
from localcloud.engine.values import Values
from localcloud.session.local import LocalStack, tenancy_of

ROOT = Path(__file__).resolve().parents[2]
STACK_VARIABLE = "MILLRACE_STACK"
DEFAULT_STACK = "local"


def local_stack(project: str, stack: str) -> LocalStack:
    """The local cloud that a stack's resources live in: its own if it is one of this project's local stacks, else
    (another project's program) the one that the environment names.
    """
    if _text(ROOT / "Pulumi.yaml", "name") == project and is_local(stack):
        named = os.environ.get(STACK_VARIABLE) or stack
        if named != stack:
            raise Refused(
                f"stack {stack}: this shell is set up for stack {named}, where Pulumi would keep its record; use "
                f"`./millrace pulumi … --stack {stack}`, or a shell of its own: "
                f'eval "$({STACK_VARIABLE}={stack} ./millrace pulumi --print-env)"'
            )
        return LocalStack(ROOT, stack)
    return named_stack()


def named_stack() -> LocalStack:
    """The local cloud that the environment names; raises `Refused` when that stack is not a local one."""
    stack = os.environ.get(STACK_VARIABLE) or DEFAULT_STACK
    if not is_local(stack):
        raise Refused(
            f"STOP: {STACK_VARIABLE} must name a local stack, got {stack}: its azure-native:subscriptionId is not that "
            f"of Pulumi.{DEFAULT_STACK}.yaml; run: unset {STACK_VARIABLE}"
        )
    return LocalStack(ROOT, stack)


def is_local(stack: str, root: Path = ROOT) -> bool:
    """Whether a stack of this project carries the local tenancy, which is what Pulumi.local.yaml says."""
    local = _setting(root / f"Pulumi.{DEFAULT_STACK}.yaml", "azure-native:subscriptionId")
    return bool(local) and _setting(root / f"Pulumi.{stack}.yaml", "azure-native:subscriptionId") == local


def tenancy(home: LocalStack) -> Tenancy:
    """Who we are in a local cloud."""
    return tenancy_of(home.program())


def quiet(message: str) -> None:
    """Progress that nobody can be told."""
    del message


def require_local(package: str, project: str, stack: str, config: Values, us: Tenancy) -> None:
    """Raise `Refused`, loudly, unless the stack says that it is local."""
    if package == "azure-native":
        key, ours, said = "subscriptionId", us.subscription_id, config.get("subscriptionId")
    else:
        key, ours, said = "allowedAccountIds", us.aws_account, _one(config.get("allowedAccountIds"))
    if said is None:
        said = _said_by_settings(stack, key, us)
    if said == ours:
        return
    raise Refused(
        f"STOP: stack {project}/{stack} is not local, and this is Millrace's LOCAL {package} plugin: nothing was done. "
        f"{package}:{key} must be {ours} (the local cloud's), got {said or 'nothing'}. To deploy to a real cloud, use "
        f"a shell without the local environment (what `./millrace pulumi --print-env` sets up); to make this stack "
        f"local, run: pulumi config set {_command(package, key, ours)} --stack {stack}"
    )


def _command(package: str, key: str, ours: str) -> str:
    return f"--path '{package}:{key}[0]' {ours}" if key == "allowedAccountIds" else f"{package}:{key} {ours}"


def _said_by_settings(stack: str, key: str, us: Tenancy) -> str | None:
    """What the settings file of the running program says; a local subscription speaks for the AWS account too."""
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (folder / "Pulumi.yaml").is_file():
            file = folder / f"Pulumi.{stack}.yaml"
            if key == "allowedAccountIds":
                own = _one(_setting(file, f"aws:{key}"))
                if own is None and _setting(file, "azure-native:subscriptionId") == us.subscription_id:
                    return us.aws_account
                return own
            subscription = _setting(file, f"azure-native:{key}")
            return None if subscription is None else str(subscription)
    return None


def _one(accounts: Any) -> str | None:
    if accounts is None:
        return None
    return ", ".join(str(account) for account in accounts) if isinstance(accounts, list) else str(accounts)


def _setting(file: Path, key: str) -> Any:
    return (_yaml(file).get("config") or {}).get(key)


def _text(file: Path, key: str) -> str:
    return str(_yaml(file).get(key, ""))


def _yaml(file: Path) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(file.read_text())
    except (FileNotFoundError, yaml.YAMLError):
        return {}
    return loaded if isinstance(loaded, dict) else {}
