"""Acceptance criteria: what each checks, and its verdict on an artefact, with what was found. Pure; patterns are matched elsewhere."""

from collections.abc import Callable, Mapping
from functools import singledispatch
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from agents.json_schema import faults
from agents.json_value import JsonType, NothingThereError, at, canonical, has_type, is_number, shown
from agents.skills.patterns_matched import PATTERN_LEN_MAX, Match, Question

PATH_LEN_MAX = 1_000
"""Longest JSON pointer, in characters."""
VALUES_MAX = 1_000
"""Most values one of which may stand there."""
FAULTS_TOLD_MAX = 5
"""Most faults of one schema that are told."""

Name = Annotated[str, Meta(min_length=1, max_length=255)]
Decision = Literal["passed", "failed", "undecided"]
Amount = Annotated[float, Meta(ge=-1e15, le=1e15)]
Size = Annotated[int, Meta(ge=0, le=10**9)]


class Criterion(msgspec.Struct, frozen=True, kw_only=True, tag_field="check"):
    """`path` is a JSON pointer (RFC 6901) into the artefact, empty for the whole. An `advisory` criterion may fail."""

    id: Name
    path: Annotated[str, Meta(max_length=PATH_LEN_MAX)] = ""
    description: Annotated[str, Meta(max_length=PATH_LEN_MAX)] = ""
    advisory: bool = False


class Present(Criterion, frozen=True, kw_only=True, tag="present"):
    """Something stands there; with `absent`, nothing does."""

    absent: bool = False


class HasType(Criterion, frozen=True, kw_only=True, tag="type"):
    """It is of this type; 1.0 is an integer."""

    type: JsonType


class Equals(Criterion, frozen=True, kw_only=True, tag="equals"):
    """It is this value; numbers may differ by `tolerance`. The order of fields does not count, 1 and 1.0 are the same, 1 and true not."""

    value: Any
    tolerance: Annotated[float, Meta(ge=0, le=1e15)] = 0.0


class OneOf(Criterion, frozen=True, kw_only=True, tag="one_of"):
    """It is one of these values."""

    values: Annotated[list[Any], Meta(min_length=1, max_length=VALUES_MAX)]


class Range(Criterion, frozen=True, kw_only=True, tag="range"):
    """It is a number within these bounds."""

    at_least: Amount | None = None
    at_most: Amount | None = None
    above: Amount | None = None
    below: Amount | None = None


class Contains(Criterion, frozen=True, kw_only=True, tag="contains"):
    """A text has this text in it, a list this item, an object this field."""

    value: Any
    ignore_case: bool = False


class Count(Criterion, frozen=True, kw_only=True, tag="count"):
    """So many items of a list, fields of an object, characters of a text."""

    at_least: Size = 0
    at_most: Size | None = None


class Regex(Criterion, frozen=True, kw_only=True, tag="regex"):
    """A text has something of this pattern (Python's syntax), or is one as a `whole`."""

    pattern: Annotated[str, Meta(max_length=PATTERN_LEN_MAX)]
    whole: bool = False


class Schema(Criterion, frozen=True, kw_only=True, tag="schema"):
    """It is as this JSON Schema (draft 2020-12) says; keywords that are not known are refused."""

    schema: dict[str, Any] | bool


AnyCriterion = Present | HasType | Equals | OneOf | Range | Contains | Count | Regex | Schema


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """On one criterion: why, and `evidence`, what stands there, as JSON, its beginning where it is long."""

    id: str
    check: str
    path: str
    advisory: bool
    verdict: Decision
    reason: str
    evidence: str | None


class Patterns:
    """What patterns match, as far as it is known; what was asked without an answer is kept in `asked`, and is undecided."""

    def __init__(self, answers: Mapping[Question, Match]) -> None:
        self._answers = answers
        self.asked: dict[Question, None] = {}
        self.undecided: list[str] = []

    def match(self, pattern: str, text: str, *, whole: bool = False) -> Match:
        """The answer, or that there is none."""
        question = Question(pattern, text, whole)
        answer = self._answers.get(question, UNKNOWN)
        if answer is UNKNOWN:
            self.asked[question] = None
        if answer.matches is None:
            self.undecided.append(answer.detail)
        return answer

    def found(self, pattern: str, text: str) -> bool:
        """Whether the pattern is found; as if it were where that is not known, so that what depends on it is looked at too."""
        return self.match(pattern, text).matches is not False


UNKNOWN = Match(None, "there are more patterns that depend on each other than are matched")


def judge(criterion: AnyCriterion, artefact: Any, patterns: Patterns) -> Verdict:
    """The verdict. Raises `SchemaError` where the criterion's schema cannot be used."""
    patterns.undecided.clear()
    evidence: str | None = None
    try:
        value = at(artefact, criterion.path)
        evidence = shown(value)
        fault = _fault(criterion, value, patterns)
    except NothingThereError as e:
        fault = "" if isinstance(criterion, Present) and criterion.absent else str(e)
    decision: Decision = "undecided" if patterns.undecided else "failed" if fault else "passed"
    return Verdict(
        id=criterion.id,
        check=str(criterion.__struct_config__.tag),
        path=criterion.path,
        advisory=criterion.advisory,
        verdict=decision,
        reason=patterns.undecided[0] if patterns.undecided else fault or "as it should be",
        evidence=evidence,
    )


@singledispatch
def _fault(criterion: Any, _: Any, __: Patterns) -> str:
    """What is wrong with the value that stands there; nothing where it is as it should be."""
    raise NotImplementedError(criterion)


@_fault.register
def _(criterion: Present, _: Any, __: Patterns) -> str:
    return "something stands there" if criterion.absent else ""


@_fault.register
def _(criterion: HasType, value: Any, _: Patterns) -> str:
    return "" if has_type(value, criterion.type) else f"it is no {criterion.type}"


@_fault.register
def _(criterion: Equals, value: Any, _: Patterns) -> str:
    if is_number(value) and is_number(criterion.value):
        away = abs(value - criterion.value)
        return "" if away <= criterion.tolerance else f"it differs from {shown(criterion.value)} by {away:g}"
    return "" if canonical(value) == canonical(criterion.value) else f"it is not {shown(criterion.value)}"


@_fault.register
def _(criterion: OneOf, value: Any, _: Patterns) -> str:
    return "" if canonical(value) in {canonical(v) for v in criterion.values} else f"it is none of {shown(criterion.values)}"


@_fault.register
def _(criterion: Range, value: Any, _: Patterns) -> str:
    if not is_number(value):
        return "it is no number"
    bounds: list[tuple[float | None, Callable[[float], bool], str]] = [
        (criterion.at_least, lambda b: value >= b, "at least"),
        (criterion.at_most, lambda b: value <= b, "at most"),
        (criterion.above, lambda b: value > b, "above"),
        (criterion.below, lambda b: value < b, "below"),
    ]
    return "; ".join(f"it is not {word} {bound:g}" for bound, holds, word in bounds if bound is not None and not holds(bound))


@_fault.register
def _(criterion: Contains, value: Any, _: Patterns) -> str:
    part = criterion.value
    if isinstance(value, str) and isinstance(part, str):
        holds = part.casefold() in value.casefold() if criterion.ignore_case else part in value
    elif isinstance(value, list):
        holds = canonical(part) in {canonical(item) for item in value}
    elif isinstance(value, dict) and isinstance(part, str):
        holds = part in value
    else:
        return f"it cannot contain {shown(part)}"
    return "" if holds else f"{shown(part)} is not in it"


@_fault.register
def _(criterion: Count, value: Any, _: Patterns) -> str:
    if not isinstance(value, str | list | dict):
        return "it has nothing to be counted"
    if len(value) < criterion.at_least:
        return f"it has {len(value)}, fewer than {criterion.at_least}"
    return f"it has {len(value)}, more than {criterion.at_most}" if criterion.at_most is not None and len(value) > criterion.at_most else ""


@_fault.register
def _(criterion: Regex, value: Any, patterns: Patterns) -> str:
    if not isinstance(value, str):
        return "it is no text"
    match = patterns.match(criterion.pattern, value, whole=criterion.whole)
    return "" if match.matches is not False else f"it {'is not' if criterion.whole else 'has nothing'} of the pattern {criterion.pattern}"


@_fault.register
def _(criterion: Schema, value: Any, patterns: Patterns) -> str:
    told = [f"{fault.path or 'the whole'}: {fault.message}" for fault in faults(criterion.schema, value, patterns.found)]
    more = f"; and {len(told) - FAULTS_TOLD_MAX} more" if len(told) > FAULTS_TOLD_MAX else ""
    return "; ".join(told[:FAULTS_TOLD_MAX]) + more
