"""`cerebro docs`: docs/skills.md from the skills in the code: who has each, by what method it works, what goes in and comes out."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import inspect as kinds

from agents import profiles
from agents.skills import SKILLS
from agents.skills.skill import Skill

PAGE: Final = Path("docs") / "skills.md"
HEAD: Final = """\
# Skills

Made by `make docs` from `agents/skills/*.py`. A task names the skills it needs (`required_skills`); its `input` is what the table of
the skill says, and so is its `result`. A field without a default must be there; unknown fields are ignored. What does not fit is
`bad_input` with the path. Lengths of texts are in characters, of lists in items.
"""


def write() -> Path:
    """Write the page anew, below the current folder; where it is."""
    PAGE.write_text(page())
    return PAGE


def page() -> str:
    """The whole page: a list of all skills, then a part for each."""
    return "\n".join([HEAD, *_overview(), "", *(line for skill in SKILLS.values() for line in _part(skill))])


def _overview() -> Iterator[str]:
    yield "| skill | agent | what it does |"
    yield "| --- | --- | --- |"
    for name, skill in sorted(SKILLS.items(), key=lambda item: (owners(item[0]), item[0])):
        note = " Needs a language model." if skill.needs_language_model else ""
        yield f"| [`{name}`](#{name}) | {owners(name)} | {skill.description}{note} |"


def owners(name: str) -> str:
    """The agents that have a skill in their profile."""
    return ", ".join(agent for agent, profile in sorted(profiles.load("").items()) if name in profile.primary_functions)


def _part(skill: Skill) -> Iterator[str]:
    module = inspect.getmodule(skill.run)
    note = " Without a language model it fails as `needs_language_model`." if skill.needs_language_model else ""
    yield from (f"## {skill.name}", "", f"{owners(skill.name)}. {skill.description}{note}", "")
    yield from (inspect.cleandoc(module.__doc__ or "") if module else "", "")
    told: set[type] = set()
    for title, kind in (("Input", skill.input), ("Output", skill.output)):
        for struct in structs(kinds.type_info(kind)):
            if struct.cls not in told:
                told.add(struct.cls)
                yield from _table(f"{title}: " if struct.cls is kind else "", struct)


def structs(kind: kinds.Type) -> Iterator[kinds.StructType]:
    """The Structs in a type, itself first, each once."""
    ahead, seen = [kind], set()
    while ahead:
        found = ahead.pop(0)
        inner = _inner(found)
        if isinstance(found, kinds.StructType):
            if found.cls in seen:
                continue
            seen.add(found.cls)
            yield found
        ahead[:0] = inner


def _inner(kind: kinds.Type) -> list[kinds.Type]:
    match kind:
        case kinds.StructType(fields=fields):
            return [field.type for field in fields]
        case kinds.ListType(item_type=item):
            return [item]
        case kinds.DictType(value_type=value):
            return [value]
        case kinds.UnionType(types=types):
            return list(types)
    return []


def _table(title: str, struct: kinds.StructType) -> Iterator[str]:
    docs = [kind.__doc__ or "" for kind in struct.cls.__mro__ if kind.__module__ == struct.cls.__module__]  # its own, and its kin's
    yield from (f"**{title}{struct.cls.__name__}.** {' '.join(' '.join(docs).split())}".strip(), "")
    if struct.fields or struct.tag:
        yield from ("| field | value | default |", "| --- | --- | --- |")
        yield from [f"| `{struct.tag_field}` | `{struct.tag}` |  |"] if struct.tag else []
        yield from (f"| `{field.encode_name}` | {value(field.type)} | {default(field)} |" for field in struct.fields)
        yield ""


def default(field: kinds.Field) -> str:
    """What stands for an absent field; nothing where it must be there."""
    if field.required:
        return ""
    made = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    return f"`{msgspec.json.encode(made).decode()}`"


def value(kind: kinds.Type) -> str:
    """A type in words, with its bounds."""
    match kind:
        case kinds.StructType(cls=cls):
            return cls.__name__
        case kinds.ListType(item_type=item):
            return f"list{_bounds(kind)} of {value(item)}"
        case kinds.DictType(value_type=inner):
            return "object" if isinstance(inner, kinds.AnyType) else f"object of {value(inner)}"
        case kinds.UnionType(types=types):
            return " or ".join(value(each) for each in types)
        case kinds.LiteralType(values=values):
            return " or ".join(f"`{each}`" for each in values)
        case kinds.Metadata(type=inner):
            return value(inner)
    return NAMES.get(type(kind), "anything") + _bounds(kind)


NAMES: Final[dict[type, str]] = {
    kinds.StrType: "text",
    kinds.IntType: "whole number",
    kinds.FloatType: "number",
    kinds.BoolType: "true or false",
    kinds.NoneType: "null",
    kinds.DateTimeType: "time (RFC 3339)",
}
SIGNS: Final = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "min_length": "≥", "max_length": "≤"}


def _bounds(kind: Any) -> str:
    told = [f"{sign} {bound:,}" for name, sign in SIGNS.items() if (bound := getattr(kind, name, None)) is not None]
    pattern = getattr(kind, "pattern", None)
    if pattern:
        told.append("`" + pattern.replace("|", "\\|") + "`")
    return f" ({', '.join(told)})" if told else ""
