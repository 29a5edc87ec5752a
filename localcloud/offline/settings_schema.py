"""The described schema of a stack's settings, written from the program's own Structs (stacks/configuration.py).

Three texts come from it: the `config:` section of Pulumi.yaml, a JSON Schema for editors, and the tables for people.
Pulumi's own form knows no nested fields, wants a default for every key that a stack may leave out, and, where a `type`
is declared, refuses a wrong value before the program can name the command that mends it; so the type stands in the
description, and the program does the refusing.
"""

import json
from typing import Any

import msgspec
import yaml
from msgspec import inspect

from stacks.configuration import Configuration
from stacks.setting_words import default, description, fields, plain, words

SECTION, END = "  # settings: written from stacks/configuration.py\n", "  # end of settings\n"
TABLE, TABLE_END = "<!-- settings: written from stacks/configuration.py -->\n", "<!-- end of settings -->\n"


def project_config() -> dict[str, dict[str, Any]]:
    """Key → description (type last) and default, as Pulumi.yaml declares them."""
    return {
        field.encode_name: {
            "description": f"{description(field.type)} ({words(field.type)})",
            "default": default(field),
        }
        for field in fields(Configuration)
    }


def project_section() -> str:
    """The same as lines of Pulumi.yaml, below `config:`."""
    text = yaml.safe_dump(project_config(), sort_keys=False, allow_unicode=True, width=10_000, default_flow_style=False)
    return "".join(f"  {line}\n" for line in text.splitlines())


def json_schema() -> str:
    """Of a whole `Pulumi.<stack>.yaml`: what this project's namespace may hold; other namespaces are free."""
    schemas, definitions = msgspec.json.schema_components([Configuration], ref_template="#/$defs/{name}")
    del schemas
    own = definitions.pop("Configuration")
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Settings of a stack",
        "type": "object",
        "properties": {
            "config": {
                "type": "object",
                "properties": {f"millrace:{key}": value for key, value in own["properties"].items()},
                "patternProperties": {"^(?!millrace:)[^:]+:": {}},
                "additionalProperties": False,
            }
        },
        "$defs": definitions,
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def in_project(text: str) -> str:
    """Pulumi.yaml with this section in it; what stands around it stays."""
    before, _, rest = text.partition(SECTION)
    _, end, after = rest.partition(END)
    return f"{before}{SECTION}{project_section()}{end}{after}"


def in_page(text: str) -> str:
    """A Markdown page with the table between its marks."""
    before, _, rest = text.partition(TABLE)
    _, end, after = rest.partition(TABLE_END)
    return f"{before}{TABLE}{table()}{end}{after}"


def table() -> str:
    """Every key, nested ones by their dotted path, as a Markdown table."""
    rows = ["| Key | What it may be | Default | Meaning |", "|---|---|---|---|"]
    for field in fields(Configuration):
        rows += _rows(f"millrace:{field.encode_name}", field)
    return "\n".join(rows) + "\n"


def _rows(name: str, field: inspect.Field) -> list[str]:
    value, bare = default(field), plain(field.type)
    if isinstance(bare, inspect.StructType):
        below = [row for inner in bare.fields for row in _rows(f"{name}.{inner.encode_name}", inner)]
        return [f"| `{name}` | an object | | {description(field.type)} |", *below]
    shown = "needed" if field.required else "" if value in (None, "", [], {}) else f"`{_json(value)}`"
    return [f"| `{name}` | {words(field.type)} | {shown} | {description(field.type)} |"]


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
