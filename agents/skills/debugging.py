"""Debugging: a Python traceback in, what probably is behind it out, most probable first.

Two things are put together: rules about exceptions (`causes`), and what this agent remembers: lessons it holds and similar
errors it recalls. What is remembered with a fix raises the cause that it supports, or becomes one; both are cited.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from agents.learning.actor import RelevantLesson
from agents.relevance import similarity, terms
from agents.skills import causes
from agents.skills.skill import Skill, SkillContext, Speech, bad_input, is_echo
from agents.skills.tracebacks import Raised, parse
from schemas.memory import SearchHit

TRACEBACK_LEN_MAX = 200_000
"""Longest traceback, in characters."""
CONTEXT_LEN_MAX = 20_000
"""Longest description of the circumstances, in characters."""
RECALLED_MAX = 10
"""Most similar errors that are recalled, and lessons that are asked for."""
DIAGNOSIS_LEN_MAX = 10
"""Most causes that are told."""
SIMILAR_MIN = 0.1
"""Least similarity (0…1) at which something remembered is called similar."""
SUPPORT_MIN = 0.25
"""Least similarity at which something remembered supports a cause rather than being another one."""
WORDS_TOLD_MIN = 2
"""Fewest words of a message that a text must share before it counts as telling it again."""
SUPPORT_WEIGHT = 0.6
"""How much of the remaining doubt a perfectly similar memory takes away."""
LATER_SHARE = 0.8
"""What the causes of an exception weigh that only followed from another one."""
TEXT_LEN_MAX = 1_000
"""Longest text of something similar that is told, in characters."""
FIX_FIELDS = ("fix", "solution", "resolution")
"""Fields of an episode's `action_details` that say what helped."""


class Failing(msgspec.Struct, frozen=True, kw_only=True):
    """A traceback as Python prints it, and what else is known."""

    traceback: Annotated[str, Meta(min_length=1, max_length=TRACEBACK_LEN_MAX)]
    context: Annotated[str, Meta(max_length=CONTEXT_LEN_MAX)] | dict[str, Any] | None = None


class Cause(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What may be behind it, what to do, and what speaks for it: failing lines, and ids of what is remembered."""

    cause: str
    confidence: float
    evidence: list[str]
    fix: str | None = None


class Similar(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something remembered that is like this error."""

    id: str
    kind: str
    text: str
    similarity: float
    fix: str | None = None


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """Causes, most probable first, and what is remembered, most similar first."""

    diagnosis: list[Cause]
    similar: list[Similar]


def diagnose(raised: Sequence[Raised], similar: Sequence[Similar]) -> Diagnosis:
    """Rank the causes of these exceptions in the light of what is remembered."""
    found: dict[str, Cause] = {}
    for error in raised:
        share = 1.0 if error.relation in {"first", "member"} else LATER_SHARE
        for weight, cause, fix in causes.matching(error.name, error.message):
            if cause not in found:
                found[cause] = Cause(cause=cause, confidence=round(weight * share, 4), fix=fix, evidence=_evidence(error))
    told = list(found.values())
    for memory in similar:
        if memory.fix:
            told = _supported(told, memory)
    told.sort(key=lambda c: (-c.confidence, c.cause))
    return Diagnosis(diagnosis=told[:DIAGNOSIS_LEN_MAX], similar=list(similar))


def _evidence(error: Raised) -> list[str]:
    said = f"{error.type}: {error.message}" if error.message else error.type
    places = dict.fromkeys(str(p) for p in (error.own_place, error.place) if p)
    return [said[:TEXT_LEN_MAX], *places]


def _supported(told: list[Cause], memory: Similar) -> list[Cause]:
    """The causes with what is remembered taken in: the nearest one is raised and cites it, or it is one more."""
    near = [similarity(f"{c.cause} {c.fix or ''}", f"{memory.text} {memory.fix}") for c in told]
    best = max(range(len(told)), key=near.__getitem__, default=None)
    if best is None or near[best] < SUPPORT_MIN:
        words = memory.text.splitlines()[0] if memory.text else memory.kind
        cause = f"as remembered: {words}"[:TEXT_LEN_MAX]
        return [*told, Cause(cause=cause, confidence=round(memory.similarity, 4), fix=memory.fix, evidence=[cite(memory)])]
    raised = told[best]
    doubt = (1 - raised.confidence) * (1 - SUPPORT_WEIGHT * memory.similarity)
    fix = f"{memory.fix} ({cite(memory)})" + (f"; {raised.fix}" if raised.fix else "")
    told[best] = replace(raised, confidence=round(1 - doubt, 4), fix=fix, evidence=[*raised.evidence, cite(memory)])
    return told


def cite(memory: Similar) -> str:
    """How something remembered is named in evidence."""
    return f"{memory.kind} {memory.id}"


def question(raised: Sequence[Raised]) -> str:
    """What memory is asked: the errors and where they were raised."""
    places = [f"{r.place.function} {r.place.code}" for r in raised if r.place]
    return " ".join([*(f"{r.name} {r.message}" for r in raised), *places])


def remembered(raised: Sequence[Raised], hits: Sequence[SearchHit], lessons: Sequence[RelevantLesson]) -> list[Similar]:
    """What is like the error, most similar first; a lesson that is recalled and held is told once."""
    held = {r.lesson_id: _from_lesson(r, raised) for r in lessons}
    recalled = {h.id: _from_hit(h, raised) for h in hits if h.id not in held}
    found = [s for s in [*held.values(), *recalled.values()] if s.similarity >= SIMILAR_MIN]
    return sorted(found, key=lambda s: (-s.similarity, s.id))[:RECALLED_MAX]


def nearness(raised: Sequence[Raised], text: str) -> float:
    """How like the error a text is, 0…1: its similarity to the whole, or the share of an error's message that it tells again."""
    said = set(terms(text))
    messages = [{t for t in terms(f"{e.name} {e.message}") if len(t) > 1 and not t.isdigit()} for e in raised]
    told = [len(m & said) / len(m) for m in messages if len(m & said) >= WORDS_TOLD_MIN]
    return max([similarity(question(raised), text), *told])


def _from_lesson(r: RelevantLesson, raised: Sequence[Raised]) -> Similar:
    text = f"{r.lesson.topic}\n{r.lesson.content}"
    near = max(r.similarity, nearness(raised, text)) * r.lesson.confidence
    return Similar(id=r.lesson_id, kind="lesson", text=text[:TEXT_LEN_MAX], similarity=round(near, 4), fix=r.lesson.content[:TEXT_LEN_MAX])


def _from_hit(hit: SearchHit, raised: Sequence[Raised]) -> Similar:
    near = round(nearness(raised, hit.text), 4)
    fix = hit.text if hit.kind == "lesson" else next((hit.action_details[f] for f in FIX_FIELDS if hit.action_details.get(f)), None)
    fix = fix[:TEXT_LEN_MAX] if isinstance(fix, str) else None
    return Similar(id=hit.id, kind=hit.kind, text=hit.text[:TEXT_LEN_MAX], similarity=near, fix=fix)


async def _run(context: SkillContext, failing: Failing) -> Diagnosis:
    raised = parse(failing.traceback)
    if not raised:
        raise bad_input("no Python exception stands in this text", "$.traceback")
    asked = f"{question(raised)} {failing.context or ''}".strip()
    recalled = await context.recall.search(asked, limit=2 * RECALLED_MAX)
    hits = [h for h in recalled.hits if not is_echo(h.action_type, h.action_details, context.task_id)]
    lessons = context.lessons(asked, "technical", RECALLED_MAX)
    return diagnose(raised, remembered(raised, hits, lessons))


def _hear(text: str) -> Failing | None:
    return Failing(traceback=text[-TRACEBACK_LEN_MAX:]) if parse(text[-TRACEBACK_LEN_MAX:]) else None


def _say(told: Diagnosis) -> str:
    causes_ = [f"{n}. {c.cause} ({c.confidence:.0%})" + (f"\n   Fix: {c.fix}" if c.fix else "") for n, c in enumerate(told.diagnosis, 1)]
    similar = [f"- {cite(s)}: {s.text.splitlines()[0] if s.text else ''}" for s in told.similar]
    lines = causes_ or ["No cause is known of this error."]
    return "\n".join([*lines, *(["Similar:", *similar] if similar else [])])


DEBUGGING = Skill(
    name="debugging",
    description="Find the cause of a Python error from its traceback, with similar errors and lessons that are remembered.",
    input=Failing,
    output=Diagnosis,
    run=_run,
    speech=Speech(wants="a Python traceback", hear=_hear, say=_say),
)
