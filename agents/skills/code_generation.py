"""Code generation: a language model writes the files, exact checks say what they are; nothing is executed.

The model is given the description, the constraints, files for context, and what is remembered and learned of such work, all as data. Its
files are then checked: paths are safe and differ, sizes are within bounds, and what can be parsed here parses (Python by its own grammar,
JSON, TOML). Where a check fails, the model is told what is wrong, once; where it fails again, the task does. What parses need not do what
was asked: that is for review and tests, `quality_assurance` for instance.
"""

import ast
import json
import re
import tomllib
import warnings
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from agents.llm.prompt import Datum
from agents.skills.model_work import background, from_others, work
from agents.skills.skill import Skill, SkillContext, Speech

DESCRIPTION_LEN_MAX = 20_000
"""Longest description, in characters."""
FILES_MAX = 20
"""Most files of one output, and of the context."""
CONTENT_LEN_MAX = 60_000
"""Characters of one file."""
TOTAL_LEN_MAX = 300_000
"""Characters of all files of one output."""

PATH_PATTERN = r"^(?!.*(?:^|/)\.\.?(?:/|$))[A-Za-z0-9_.][A-Za-z0-9_.@+-]*(?:/[A-Za-z0-9_.@+-]+)*$"
"""A relative path of plain names, without `.` and `..`."""

FilePath = Annotated[str, Meta(max_length=200)]
Line = Annotated[str, Meta(min_length=1, max_length=500)]


class SourceFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file: its path is relative, with `/`."""

    path: FilePath
    content: Annotated[str, Meta(max_length=CONTENT_LEN_MAX)]


class CodeWanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be written. `context` are files that it must fit; what other tasks gave stands in `dependencies`."""

    description: Annotated[str, Meta(min_length=1, max_length=DESCRIPTION_LEN_MAX)]
    language: Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9 +#./-]{0,39}$")] = "python"
    constraints: Annotated[list[Line], Meta(max_length=50)] = []
    context: Annotated[list[SourceFile], Meta(max_length=FILES_MAX)] = []
    dependencies: dict[str, Any] = {}


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One check of the output. `passed` is null where nothing here can check it."""

    name: str
    passed: bool | None
    detail: str = ""


class Draft(msgspec.Struct, frozen=True):
    """What the model writes."""

    files: Annotated[list[SourceFile], Meta(min_length=1, max_length=FILES_MAX)]
    explanation: Annotated[str, Meta(max_length=8_000)]


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """The files, what they are, and what was checked. `recalled` are the memories and lessons that were before the model."""

    files: list[SourceFile]
    explanation: str
    checks: list[Check]
    recalled: list[str] = []


WRITING = (
    "Write the program code that the task describes, whole and ready to use, as files with relative paths. Keep every constraint. Explain"
    " shortly how it works and what you assumed. Write nothing that the task does not need."
)


async def _run(context: SkillContext, wanted: CodeWanted) -> Code:
    task = [
        Datum(kind="task", text=wanted.description, fields={"language": wanted.language}, whole=True),
        *(Datum(kind="constraint", text=line) for line in wanted.constraints),
        *(Datum(kind="file", text=file.content, fields={"path": file.path}, whole=True) for file in wanted.context),
        *from_others(wanted.dependencies),
    ]
    known = await background(context, wanted.description, "technical")

    def faults(draft: Draft) -> list[str]:
        return [f"{check.name}: {check.detail}" for check in checks(draft, wanted.language) if check.passed is False]

    draft, recalled = await work(context, CODE_GENERATION.name, WRITING, task, known, Draft, faults)
    return Code(files=draft.files, explanation=draft.explanation, checks=checks(draft, wanted.language), recalled=recalled)


def checks(draft: Draft, language: str) -> list[Check]:
    """Every check of a draft, in order; of each file whether it parses."""
    paths = [file.path for file in draft.files]
    bad = [path for path in paths if not re.fullmatch(PATH_PATTERN, path)]
    twice = sorted({path for path in paths if paths.count(path) > 1})
    total = sum(len(file.content) for file in draft.files)
    empty = not any(file.content.strip() for file in draft.files)
    return [
        _check("paths are safe", f"not a relative path of plain names: {', '.join(bad)}" if bad else ""),
        _check("paths differ", f"twice: {', '.join(twice)}" if twice else ""),
        _check("size", f"{total} characters in all, {TOTAL_LEN_MAX} are allowed" if total > TOTAL_LEN_MAX else ""),
        _check("not empty", "no file has any content" if empty else ""),
        *(parses(file, language) for file in draft.files),
    ]


def _check(name: str, fault: str) -> Check:
    return Check(name=name, passed=not fault, detail=fault)


def parses(file: SourceFile, language: str) -> Check:
    """Whether a file parses; null where there is no parser for it here."""
    name = f"{file.path} parses"
    ending = file.path.rpartition("/")[2].rpartition(".")
    parse = PARSERS.get(ending[2].lower() if ending[1] else language.lower())
    if parse is None:
        return Check(name=name, passed=None, detail="there is no parser for it here")
    try:
        return Check(name=name, passed=True, detail=parse(file.content))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as e:
        return Check(name=name, passed=False, detail=f"{type(e).__name__}: {e}")


def _python(content: str) -> str:
    """Parse; what the parser warns of. Raises SyntaxError, ValueError (a NUL), RecursionError or MemoryError (nested too deeply)."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        ast.parse(content)
    return "; ".join(str(w.message) for w in warned)


def _json(content: str) -> str:
    json.loads(content)
    return ""


def _toml(content: str) -> str:
    tomllib.loads(content)
    return ""


PARSERS: Mapping[str, Callable[[str], str]] = {
    "py": _python,
    "pyi": _python,
    "python": _python,
    "json": _json,
    "toml": _toml,
}
"""By the ending of a file, or, where it has none, by the language that was asked for."""


def _hear(text: str) -> CodeWanted | None:
    return CodeWanted(description=text) if 0 < len(text) <= DESCRIPTION_LEN_MAX else None


def _say(code: Code) -> str:
    return "\n\n".join([*(f"{file.path}:\n```\n{file.content}\n```" for file in code.files), code.explanation])


CODE_GENERATION = Skill(
    name="code_generation",
    description="Write program code from a description, as files, and check that their paths are safe and that they parse.",
    input=CodeWanted,
    output=Code,
    run=_run,
    needs_language_model=True,
    speech=Speech(wants=f"a description of at most {DESCRIPTION_LEN_MAX} characters", hear=_hear, say=_say),
)
