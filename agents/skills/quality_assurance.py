"""Quality assurance: acceptance criteria checked one by one against an artefact, each with its verdict and what was found.

The artefact is any JSON value: a document, a report, another task's output (by `dependencies`, as subtasks get them). Checks are typed
and exact: presence, type, equality, range, containment, count, regular expression, JSON Schema (draft 2020-12). Where no verdict can be
had, as for a pattern that takes too long, it is `undecided`, which is not accepted. Nothing is judged by taste.
"""

import asyncio
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from agents.json_schema import SchemaError
from agents.json_value import depth
from agents.skills.criteria import AnyCriterion, Patterns, Verdict, judge
from agents.skills.patterns_matched import ALL_S_MAX, Match, Question, match_all
from agents.skills.skill import Skill, SkillContext, bad_input

CRITERIA_MAX = 200
"""Most criteria of one check."""
DEPTH_MAX = 100
"""Most levels of an artefact or of a schema."""
ROUNDS_MAX = 10
"""Most rounds of matching, where what one pattern matches decides whether another is asked for."""
MATCHES_MAX = 2_000
"""Most matches of patterns that one check may need."""


class Examination(msgspec.Struct, frozen=True, kw_only=True):
    """The artefact, and what is required of it. Without an artefact, the outputs that the task depends on are it."""

    criteria: Annotated[list[AnyCriterion], Meta(min_length=1, max_length=CRITERIA_MAX)]
    artefact: Any = None
    dependencies: dict[str, Any] = {}


class Assurance(msgspec.Struct, frozen=True, kw_only=True):
    """Accepted where every criterion that is not advisory passed; `unmet` are those that did not. The verdicts are in the order given."""

    accepted: bool
    passed: int
    failed: int
    undecided: int
    unmet: list[str]
    verdicts: list[Verdict]


def assure(asked: Examination, answers: dict[Question, Match]) -> Assurance:
    """The verdicts, given what the patterns match."""
    patterns = Patterns(answers)
    verdicts = [judge(criterion, artefact_of(asked), patterns) for criterion in asked.criteria]
    unmet = [v.id for v in verdicts if v.verdict != "passed" and not v.advisory]
    counts = {decision: sum(v.verdict == decision for v in verdicts) for decision in ("passed", "failed", "undecided")}
    return Assurance(accepted=not unmet, unmet=unmet, verdicts=verdicts, **counts)


def artefact_of(asked: Examination) -> Any:
    return asked.dependencies if asked.artefact is None and asked.dependencies else asked.artefact


def check(asked: Examination) -> None:
    """Raises `SkillError` `bad_input` where a name stands twice or something is nested too deeply."""
    if len({c.id for c in asked.criteria}) < len(asked.criteria):
        raise bad_input("two criteria have the same id", "$.criteria")
    if depth(artefact_of(asked)) > DEPTH_MAX:
        raise bad_input(f"the artefact has more than {DEPTH_MAX} levels", "$.artefact")
    for n, criterion in enumerate(asked.criteria):
        if depth(msgspec.to_builtins(criterion)) > DEPTH_MAX:
            raise bad_input(f"the criterion has more than {DEPTH_MAX} levels", f"$.criteria[{n}]")


def wanted(asked: Examination, answers: dict[Question, Match]) -> list[Question]:
    """What must be matched beside what is known. Raises `SkillError` `bad_input` where a schema cannot be used, or asks too much."""
    patterns = Patterns(answers)
    for n, criterion in enumerate(asked.criteria):
        try:
            judge(criterion, artefact_of(asked), patterns)
        except SchemaError as e:
            raise bad_input(str(e), f"$.criteria[{n}].schema") from e
    if len(answers) + len(patterns.asked) > MATCHES_MAX:
        raise bad_input(f"the patterns have to be matched more than {MATCHES_MAX} times", "$.criteria")
    return list(patterns.asked)


async def examine(asked: Examination) -> Assurance:
    """The verdicts. What one pattern matches may decide which others are asked for, so they are matched round by round."""
    check(asked)
    answers: dict[Question, Match] = {}
    ends_at = asyncio.get_running_loop().time() + ALL_S_MAX
    for _ in range(ROUNDS_MAX):
        questions = await asyncio.to_thread(wanted, asked, answers)
        if not questions:
            break
        answers |= await match_all(questions, ends_at)
    return await asyncio.to_thread(assure, asked, answers)


async def _run(_: SkillContext, asked: Examination) -> Assurance:
    return await examine(asked)


QUALITY_ASSURANCE = Skill(
    name="quality_assurance",
    description="Check an artefact against acceptance criteria one by one, exactly, with a verdict and the evidence for each.",
    input=Examination,
    output=Assurance,
    run=_run,
)
