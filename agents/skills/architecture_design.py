"""Architecture design: a language model designs, exact checks hold the design together.

The output is a graph and what justifies it: components with one responsibility each, connections between them, decisions with the
alternatives that were turned down (after the architecture decision records of Nygard 2011), risks with likelihood and impact, and for each
requirement the components that meet it. Checked: ids differ, every connection, risk and requirement names components that exist, no
component stands apart or connects to itself, every decision has an alternative, every requirement is met or said not to be. Where a check
fails, the model is told what is wrong, once; where it fails again, the task does. Whether the design is good, no check says.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from agents.llm.prompt import Datum
from agents.skills.model_work import background, from_others, work
from agents.skills.skill import Skill, SkillContext, Speech
from schemas.messages import as_text
from schemas.words import Unit

T = TypeVar("T", str, int)

GOAL_LEN_MAX = 20_000
"""Longest goal, in characters."""
COMPONENTS_MAX = 50
"""Most components of one design."""

Ident = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
Line = Annotated[str, Meta(min_length=1, max_length=500)]
Paragraph = Annotated[str, Meta(min_length=1, max_length=2_000)]
Named = Annotated[list[Ident], Meta(max_length=COMPONENTS_MAX)]


class DesignWanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be designed. Requirements are numbered from 1 in the output; what other tasks gave stands in `dependencies`."""

    goal: Annotated[str, Meta(min_length=1, max_length=GOAL_LEN_MAX)]
    requirements: Annotated[list[Line], Meta(max_length=50)] = []
    constraints: Annotated[list[Line], Meta(max_length=50)] = []
    components_max: Annotated[int, Meta(ge=1, le=COMPONENTS_MAX)] = 20
    dependencies: dict[str, Any] = {}


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the system, and the one thing it is responsible for."""

    id: Ident
    responsibility: Line
    technology: Annotated[str, Meta(max_length=200)] = ""


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """`source` uses `target`."""

    source: Ident
    target: Ident
    purpose: Line
    protocol: Annotated[str, Meta(max_length=200)] = ""


class Alternative(msgspec.Struct, frozen=True, kw_only=True):
    """What could have been chosen, and why it was not."""

    option: Line
    why_not: Line


class DesignDecision(msgspec.Struct, frozen=True, kw_only=True):
    """What was chosen, why, and instead of what. `evidence` are ids of memories or lessons that it rests on."""

    title: Line
    choice: Line
    rationale: Paragraph
    alternatives: Annotated[list[Alternative], Meta(max_length=10)]
    evidence: Annotated[list[Annotated[str, Meta(max_length=255)]], Meta(max_length=20)] = []


class Risk(msgspec.Struct, frozen=True, kw_only=True):
    """What may go wrong in which components, how likely and how bad that is (0…1), and what is done about it."""

    description: Line
    likelihood: Unit
    impact: Unit
    mitigation: Line
    components: Named = []


class Met(msgspec.Struct, frozen=True, kw_only=True):
    """The requirement with this number and the components that meet it; none: it is not met, and `note` says why."""

    requirement: Annotated[int, Meta(ge=1, le=50)]
    components: Named
    note: Annotated[str, Meta(max_length=500)] = ""


class Plan(msgspec.Struct, frozen=True):
    """The design, as the model gives it."""

    summary: Paragraph
    components: Annotated[list[Component], Meta(min_length=1, max_length=COMPONENTS_MAX)]
    connections: Annotated[list[Connection], Meta(max_length=300)]
    decisions: Annotated[list[DesignDecision], Meta(min_length=1, max_length=30)]
    risks: Annotated[list[Risk], Meta(max_length=30)]
    requirements: Annotated[list[Met], Meta(max_length=50)] = []


class Design(msgspec.Struct, frozen=True, kw_only=True):
    """The design. `recalled` are the memories and lessons that were before the model; evidence that was not among them is left out."""

    summary: str
    components: list[Component]
    connections: list[Connection]
    decisions: list[DesignDecision]
    risks: list[Risk]
    requirements: list[Met]
    recalled: list[str] = []


DESIGNING = (
    "Design the system that the task describes: components, each with one responsibility; who uses whom; the decisions that shape it, each"
    " with the alternatives you turned down and why; risks; and for each numbered requirement the components that meet it. Keep every"
    " constraint. No more components than are needed."
)


async def _run(context: SkillContext, wanted: DesignWanted) -> Design:
    task = [
        Datum(kind="task", text=wanted.goal, fields={"components_max": wanted.components_max}, whole=True),
        *(Datum(kind="requirement", text=line, fields={"number": n}) for n, line in enumerate(wanted.requirements, 1)),
        *(Datum(kind="constraint", text=line) for line in wanted.constraints),
        *from_others(wanted.dependencies),
    ]
    known = await background(context, wanted.goal, "technical")

    def check(plan: Plan) -> list[str]:
        return faults(plan, wanted)

    plan, recalled = await work(context, ARCHITECTURE_DESIGN.name, DESIGNING, task, known, Plan, check)
    decisions = [msgspec.structs.replace(d, evidence=[i for i in d.evidence if i in recalled]) for d in plan.decisions]
    return Design(
        summary=plan.summary,
        components=plan.components,
        connections=plan.connections,
        decisions=decisions,
        risks=plan.risks,
        requirements=plan.requirements,
        recalled=recalled,
    )


def faults(plan: Plan, wanted: DesignWanted) -> list[str]:
    """Everything that does not hold together, as sentences."""
    return [*_of_components(plan, wanted.components_max), *_of_references(plan), *_of_requirements(plan, len(wanted.requirements))]


def _of_components(plan: Plan, components_max: int) -> Iterator[str]:
    if len(plan.components) > components_max:
        yield f"{len(plan.components)} components, {components_max} are allowed"
    for ident in _twice(c.id for c in plan.components):
        yield f"component {ident} stands there twice"
    connected = {end for c in plan.connections if c.source != c.target for end in (c.source, c.target)}
    if len(plan.components) > 1:
        yield from (f"component {c.id} is connected to nothing" for c in plan.components if c.id not in connected)


def _of_references(plan: Plan) -> Iterator[str]:
    known = {c.id for c in plan.components}
    for c in plan.connections:
        yield from _unknown(f"connection {c.source} to {c.target}", (c.source, c.target), known)
        if c.source == c.target:
            yield f"component {c.source} is connected to itself"
    for d in plan.decisions:
        if not d.alternatives:
            yield f"decision {d.title!r} names no alternative"
    for risk in plan.risks:
        yield from _unknown(f"risk {risk.description!r}", risk.components, known)
    for met in plan.requirements:
        yield from _unknown(f"requirement {met.requirement}", met.components, known)
        if not met.components and not met.note:
            yield f"requirement {met.requirement} is met by no component, and nothing says why"


def _of_requirements(plan: Plan, count: int) -> Iterator[str]:
    told = [met.requirement for met in plan.requirements]
    yield from (f"requirement {n} does not exist" for n in sorted(set(told)) if n > count)
    yield from (f"requirement {n} stands there twice" for n in _twice(told))
    yield from (f"requirement {n} is not told of" for n in range(1, count + 1) if n not in told)


def _unknown(where: str, named: Sequence[str], known: set[str]) -> Iterator[str]:
    yield from (f"{where} names component {ident}, which does not exist" for ident in dict.fromkeys(named) if ident not in known)


def _twice(items: Iterable[T]) -> list[T]:
    return sorted(item for item, count in Counter(items).items() if count > 1)


def _hear(text: str) -> DesignWanted | None:
    return DesignWanted(goal=text) if 0 < len(text) <= GOAL_LEN_MAX else None


def _say(design: Design) -> str:
    return as_text(msgspec.to_builtins(design))


ARCHITECTURE_DESIGN = Skill(
    name="architecture_design",
    description="Design the parts of a system and how they work together, with decisions, alternatives and risks; checked for coherence.",
    input=DesignWanted,
    output=Design,
    run=_run,
    needs_language_model=True,
    speech=Speech(wants=f"a goal of at most {GOAL_LEN_MAX} characters", hear=_hear, say=_say),
)
