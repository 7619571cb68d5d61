"""Pattern recognition: what recurs in episodes, each finding with how often, how often by chance, how sure it is and where it stands.

- Sequences: action types that follow each other in sessions. Closed frequent subsequences (PrefixSpan, Pei et al. 2001; Wang and Han
  2004) of at most 5 steps with at most 2 others between two, in pieces of at most 24 episodes; against the same actions in random order.
- Bursts: Kleinberg's automaton with two states (2002) finds them; an exact scan test against evenly spread events judges them.
- Associations: Fisher's exact test (1935), within episodes and within sessions, one premise or two (productive rules, Webb 2007).
- Periods: pauses within a tenth of one length, against exponential pauses, binomially.

What is told is decided by the false discovery rate (Benjamini and Hochberg 1995, over all that might have been found), so that noise
yields nothing. The same episodes give the same findings.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from agents.skills.associations import Association, associations, episode_cases, sitting_cases
from agents.skills.bursts import Burst, bursts
from agents.skills.episodes import gather
from agents.skills.happenings import Happening, happening, sittings
from agents.skills.periods import Period, periods
from agents.skills.sequences import PIECE_LEN_MAX, Recurring, recurring
from agents.skills.significance import SIGNIFICANCE
from agents.skills.skill import Skill, SkillContext, is_echo
from schemas.memory import ActionType, RecentFilter
from schemas.words import Time, Token, epoch, rfc3339

EXAMINED_MAX = 10_000
"""Most episodes that are examined."""
AGENTS_MAX = 20
"""Most agents that can be named."""
TYPES_MAX = 50
"""Most action types that can be named."""
GAP_S_MAX = 7 * 86_400.0
"""Longest pause within what counts as done in one go."""
FINDINGS_MAX = 25
"""Most findings of each kind that are told, the surest first."""
EVIDENCE_MAX = 12
"""Most ids of episodes beside one finding."""
DIGITS = 4
"""Significant digits of a figure."""

OneOrMore = Token | Annotated[list[Token], Meta(max_length=AGENTS_MAX)]


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """Which episodes to look at: of one agent or several, with a tag, of some action types, within a time; the newest `limit` of them.

    A pattern counts from `support_min` on. `gap_s`: without a session, a longer pause in seconds begins something new.
    """

    agent_id: OneOrMore | None = None
    tag: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    action_types: Annotated[list[ActionType], Meta(max_length=TYPES_MAX)] = []
    since: Time | None = None
    until: Time | None = None
    limit: Annotated[int, Meta(ge=1, le=EXAMINED_MAX)] = 2_000
    support_min: Annotated[int, Meta(ge=2, le=EXAMINED_MAX)] = 3
    gap_s: Annotated[float, Meta(gt=0, le=GAP_S_MAX)] = 1_800.0
    false_rate_max: Annotated[float, Meta(gt=0, le=1)] = SIGNIFICANCE


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What every finding says: how often, how often chance alone would, how unlikely that is (`p`), and the share of false findings
    among all that are at least as sure (`q`); the sentence; and some of the episodes.
    """

    sentence: str
    support: int
    share: float
    expected: float
    p: float
    q: float
    episodes: list[str]


class SequenceFound(Finding, frozen=True, kw_only=True):
    """Action types that follow each other. `support` and `share` count sessions, or parts of long ones; the episodes are occurrence
    after occurrence.
    """

    steps: list[str]


class BurstFound(Finding, frozen=True, kw_only=True):
    """An action type that came densely. `share` is the part of all its episodes; `expected` how many such a time has on average."""

    action_type: str
    since: str
    until: str


class AssociationFound(Finding, frozen=True, kw_only=True):
    """Where all `premises` are, `conclusion` is too, in `confidence` of the cases and `lift` times as often as elsewhere on average.

    `within`: whether an episode is a case, or a session.
    """

    premises: list[str]
    conclusion: str
    within: str
    confidence: float
    lift: float


class PeriodFound(Finding, frozen=True, kw_only=True):
    """An action type that comes at intervals. `support` and `share` count pauses of this length."""

    action_type: str
    agent_id: str
    period_s: float


class Patterns(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in `examined` episodes between two times; `complete` where nothing that was asked for was left out."""

    examined: int
    sessions: int
    since: str | None
    until: str | None
    complete: bool
    sequences: list[SequenceFound]
    bursts: list[BurstFound]
    associations: list[AssociationFound]
    periods: list[PeriodFound]


def recognise(happenings: Sequence[Happening], asked: Examined, *, complete: bool = True) -> Patterns:
    """What recurs in these."""
    rows = sittings(happenings, asked.gap_s)
    times = [h.at for h in happenings]
    rate, least = asked.false_rate_max, asked.support_min
    return Patterns(
        examined=len(happenings),
        sessions=len(rows),
        since=rfc3339(epoch(min(times))) if times else None,
        until=rfc3339(epoch(max(times))) if times else None,
        complete=complete,
        sequences=[_sequence(r) for r in recurring(rows, least, rate, EVIDENCE_MAX)[:FINDINGS_MAX]],
        bursts=[_burst(b) for b in bursts(happenings, rate, EVIDENCE_MAX) if b.support >= least][:FINDINGS_MAX],
        associations=_associations(happenings, rows, asked),
        periods=[_period(p) for p in periods(happenings, rate, EVIDENCE_MAX) if p.support >= least][:FINDINGS_MAX],
    )


def _associations(happenings: Sequence[Happening], rows: Sequence[Sequence[Happening]], asked: Examined) -> list[AssociationFound]:
    """Those within episodes, and those within sessions that these do not say already."""
    limits = (asked.support_min, asked.false_rate_max, EVIDENCE_MAX)
    close = associations(episode_cases(happenings), *limits, one_action=True)
    said = {frozenset((*a.premises, a.conclusion)) for a in close}
    wide = [a for a in associations(sitting_cases(rows), *limits) if frozenset((*a.premises, a.conclusion)) not in said]
    told = [*(_association(a, "episode") for a in close), *(_association(a, "session") for a in wide)]
    return sorted(told, key=lambda a: (a.q, a.p))[:FINDINGS_MAX]


# Saying


def _sequence(r: Recurring) -> SequenceFound:
    steps = " → ".join(r.steps)
    sentence = f"{steps}: in {r.support} of {round(r.support / r.share)} {_PARTS}, where {_few(r.expected)} would have it by chance."
    return SequenceFound(**_common(r, sentence), steps=list(r.steps))


_PARTS = f"sessions (long ones in parts of at most {PIECE_LEN_MAX} episodes)"


def _burst(b: Burst) -> BurstFound:
    since, until = rfc3339(epoch(b.start)), rfc3339(epoch(b.end))
    sentence = f"{b.kind} came {b.support} times within {b.end - b.start:.0f} s from {since} on, where {_few(b.expected)} would be average."
    return BurstFound(**_common(b, sentence), action_type=b.kind, since=since, until=until)


def _association(a: Association, within: str) -> AssociationFound:
    premises = " and ".join(a.premises)
    sentence = (
        f"Where there is {premises}, there is {a.conclusion} in {a.confidence:.0%} of the {within}s"
        f" ({a.support} of {round(a.support / a.confidence)}), {a.lift:.1f} times the average."
    )
    return AssociationFound(
        **_common(a, sentence),
        premises=list(a.premises),
        conclusion=a.conclusion,
        within=within,
        confidence=_figure(a.confidence),
        lift=_figure(a.lift),
    )


def _period(p: Period) -> PeriodFound:
    sentence = f"{p.kind} of {p.agent} comes about every {p.period_s:.4g} s: {p.support} of {round(p.support / p.share)} pauses."
    return PeriodFound(**_common(p, sentence), action_type=p.kind, agent_id=p.agent, period_s=_figure(p.period_s))


def _common(found: Recurring | Burst | Association | Period, sentence: str) -> dict[str, Any]:
    figures = {name: _figure(getattr(found, name)) for name in ("share", "expected", "p", "q")}
    return {"sentence": sentence, "support": found.support, "episodes": found.episodes, **figures}


def _figure(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _few(count: float) -> str:
    return f"{count:.1f}" if count >= 0.1 else "hardly any"


# Gathering


def _filters(asked: Examined) -> Iterable[RecentFilter]:
    """One question for each agent; memory filters by a single action type, more are picked here."""
    agents = asked.agent_id if isinstance(asked.agent_id, list) else [asked.agent_id]
    kind = asked.action_types[0] if len(asked.action_types) == 1 else None
    for agent in sorted(set(agents), key=str) or [None]:
        yield RecentFilter(agent_id=agent, action_type=kind, tag=asked.tag, since=asked.since, until=asked.until)


async def _run(context: SkillContext, asked: Examined) -> Patterns:
    found: dict[str, Happening] = {}
    complete = True
    for wanted in _filters(asked):
        episodes, whole = await gather(context, wanted, asked.limit)
        complete = complete and whole
        for e in episodes:
            named = e.action_type in asked.action_types
            if named or not (asked.action_types or is_echo(e.action_type, e.action_details, context.task_id)):
                found[e.episode_id] = happening(e)
    newest = sorted(found.values(), key=lambda h: (-h.at, h.id))
    kept = newest[: asked.limit]
    return await asyncio.to_thread(recognise, kept, asked, complete=complete and len(kept) == len(newest))


PATTERN_RECOGNITION = Skill(
    name="pattern_recognition",
    description="Find what recurs in episodes: sequences of actions, bursts, associations and periods, with support and significance.",
    input=Examined,
    output=Patterns,
    run=_run,
)
