"""`cerebro docs`: docs/settings.md from the settings in the code, so that the page cannot say anything else.

What a setting is for stands below its field as a string. Python does not keep such strings, so they are read from
the source.
"""

import ast
import inspect
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final, get_args, get_origin

import msgspec
from msgspec import Meta

from bus.secret import Secret
from cerebro.settings import Settings, variables

PAGE: Final = Path("docs") / "settings.md"
HEAD: Final = """\
# Settings

Made by `make docs` from `*/settings.py`. Each is an environment variable, read once at the start by `cerebro up`,
which hands them down, and by `cerebro run`. A wrong value or an unknown `CEREBRO_` variable is an error that names it.
A unit is the end of the name: `_s` seconds, `_bytes` bytes, `_len` entries; `_max` and `_min` are limits.
"""
ROW: Final = "| `{name}` | {default} | {range} | {purpose} |"


def write() -> Path:
    """Write the page anew, below the current folder; where it is."""
    PAGE.write_text(page())
    return PAGE


def page() -> str:
    """The whole page: a table for each part."""
    tables: dict[str, list[str]] = {}
    for name, (part, field) in variables(Settings):
        tables.setdefault(part, []).append(row(name, owner(part), field))
    return "\n".join([HEAD, *(table(part, rows) for part, rows in tables.items())])


def owner(part: str) -> type[msgspec.Struct]:
    """The Struct of a part; of the part without a name, the settings themselves."""
    types = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    kind: type[msgspec.Struct] = types.get(part, Settings)
    return kind


def table(part: str, rows: list[str]) -> str:
    title = f"## {part}\n\n{inspect.getdoc(owner(part))}" if part else "## all processes"
    return "\n".join([title, "", "| variable | default | range | what it is |", "| --- | --- | --- | --- |", *rows, ""])


def row(name: str, kind: type[msgspec.Struct], field: msgspec.structs.FieldInfo) -> str:
    """One setting as a line of the table."""
    purpose = dict(purposes(kind)).get(field.name, "")
    return ROW.format(name=name, default=default(field), range=limits(field.type), purpose=" ".join(purpose.split()))


def default(field: msgspec.structs.FieldInfo) -> str:
    value = field.default_factory() if field.default is msgspec.NODEFAULT and callable(field.default_factory) else field.default
    if isinstance(value, Secret):
        return "(secret)"
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return f"`{text}`" if text else "(empty)"


def limits(kind: Any) -> str:
    """What values fit, in a few characters: `≥ 1, ≤ 100`, or the words that may stand there."""
    meta = next((part for part in get_args(kind) if isinstance(part, Meta)), None) if get_origin(kind) is Annotated else None
    if meta is None:
        return " ".join(f"`{word}`" for word in get_args(kind) if isinstance(word, str))
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = [f"{sign} {bound:,}" for name, sign in signs.items() if (bound := getattr(meta, name)) is not None]
    return ", ".join(bounds) or (f"`{meta.pattern}`" if meta.pattern else "")


def purposes(kind: type[msgspec.Struct]) -> Iterator[tuple[str, str]]:
    """The fields of a Struct with the string that stands below each."""
    (body,) = (node.body for node in ast.parse(inspect.getsource(kind)).body if isinstance(node, ast.ClassDef))
    for field, below in pairwise(body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, text
