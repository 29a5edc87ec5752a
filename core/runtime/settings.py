"""App settings → a Settings Struct. The only module of `core` and `handlers` that reads the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, TypeVar, get_type_hints

import msgspec

_S = TypeVar("_S", bound=msgspec.Struct)
_EXCERPT = 40  # characters of a wrong value shown: enough to recognise it, too few to leak much


class SettingsError(ValueError):
    """An app setting is missing or has the wrong form; the text says which, and what is wanted."""


def read(kind: type[_S], values: Mapping[str, str] | None = None) -> _S:
    """Decodes `kind` from app settings: the field `source_queue_url` is the setting `SOURCE_QUEUE_URL`.

    An empty value counts as absent where the field has a default (a template's way to say "not set").
    Every wrong setting is named at once. Raises SettingsError.
    """
    source = os.environ if values is None else values
    hints = get_type_hints(kind, include_extras=True)
    found: dict[str, Any] = {}
    wrong: list[str] = []
    for field in msgspec.structs.fields(kind):
        setting = field.name.upper()
        text = source.get(setting)
        if text is None or (text == "" and not field.required):
            if field.required:
                wrong.append(
                    f"{setting} must be set (wanted: {_wanted(hints[field.name])}); add it to the app's settings"
                )
            continue
        try:
            found[field.name] = msgspec.convert(text, hints[field.name], strict=False)
        except msgspec.ValidationError as error:
            wanted = _wanted(hints[field.name])
            wrong.append(
                f"{setting} must be {wanted}, got {_excerpt(setting, text)} ({error}); correct the app setting"
            )
    if wrong:
        raise SettingsError("; ".join(wrong))
    return kind(**found)


def _wanted(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")


def _excerpt(setting: str, text: str) -> str:
    if any(word in setting for word in ("KEY", "SECRET", "TOKEN", "PASSWORD")):
        return f"a value of {len(text)} characters (not shown)"
    return repr(text[:_EXCERPT] + ("…" if len(text) > _EXCERPT else ""))


def ca_file() -> str | None:
    """The file of trusted roots when one is set (a company's proxy, the local cloud); None: the usual public roots."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or None


def identity_endpoint() -> tuple[str, str]:
    """The platform's managed identity endpoint and its header's value; empty strings where the platform has none."""
    return os.environ.get("IDENTITY_ENDPOINT", ""), os.environ.get("IDENTITY_HEADER", "")


def queue_connection(prefix: str) -> tuple[str, str]:
    """Address and client id of a trigger's identity-based connection. Raises SettingsError."""
    found = [os.environ.get(f"{prefix}__{name}", "") for name in ("queueServiceUri", "clientId")]
    if not all(found):
        raise SettingsError(
            f"{prefix}__queueServiceUri and {prefix}__clientId must be set; declare the queue's trigger"
        )
    return found[0], found[1]


def bus_connection(prefix: str) -> tuple[str, str]:
    """The namespace's host and the client id of a Service Bus trigger's connection. Raises SettingsError."""
    found = [os.environ.get(f"{prefix}__{name}", "") for name in ("fullyQualifiedNamespace", "clientId")]
    if not all(found):
        raise SettingsError(
            f"{prefix}__fullyQualifiedNamespace and {prefix}__clientId must be set; declare the trigger"
        )
    return found[0], found[1]


def bus_dead_letters(prefix: str) -> str:
    """The queue for what a step on Functions gives up. Raises SettingsError."""
    name = f"{prefix}_DEAD_LETTER_QUEUE"
    if not (found := os.environ.get(name, "")):
        raise SettingsError(f"{name} must be set; declare the entity with dead_letter_queue=True")
    return found
