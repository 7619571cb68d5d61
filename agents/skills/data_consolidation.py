"""Data consolidation: episodes that say the same become concepts. Memory does it, run by run; this asks until nothing is left.

It stops before the task's time is over, and says then that there is more. What was done is kept: another task goes on from there.
"""

import asyncio
from typing import Literal

import msgspec

from agents.skills.skill import Skill, SkillContext, SkillError
from bus import subjects
from bus.errors import CerebroError, Refused, TimedOut, Unavailable
from schemas.concepts import ConsolidateRequest, ConsolidationReport
from schemas.words import Time, Token

RUN_S_MAX = 60.0
"""Longest wait for one run."""
SPARE_S = 1.0
"""How long before the end of the task's time the last answer must be there."""
RUNS_MAX = 1_000
"""Most runs of one task."""
IDLE_RUNS_MAX = 2
"""Runs one after the other that look at nothing, and say that there is more, after which it is given up."""
LATER_PAUSE_S = 0.5
"""Pause before it is asked again where memory says that it cannot now."""
CONCEPTS_TOLD_MAX = 1_000
"""Most ids of concepts that are told."""
LATER = 409
"""What memory answers where another run is under way: ask again, as where it is away or behind the log."""
LATE = "consolidation_late"
"""The code of a run whose report did not come in time."""

Ending = Literal["complete", "time", "runs", "idle", "memory"]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What to consolidate: the episodes of one agent, those from a time on, or all."""

    agent_id: Token | None = None
    since: Time | None = None


class Consolidated(msgspec.Struct, frozen=True, kw_only=True):
    """All runs together. `complete`: nothing that was asked for is left. `ended` says why it ended: nothing was left, the task's time or
    the number of runs was used up, memory looked at nothing more, or it did not answer any more. The concepts are those formed
    or joined, at most 1,000.
    """

    runs: list[str]
    examined: int
    formed: int
    joined: int
    contradictions: int
    concepts: list[str]
    complete: bool
    ended: Ending
    took_ms: float


def combined(reports: list[ConsolidationReport], ended: Ending) -> Consolidated:
    """The reports as one."""
    concepts = list(dict.fromkeys(ident for report in reports for ident in report.concepts))
    return Consolidated(
        runs=[report.run for report in reports],
        examined=sum(report.examined for report in reports),
        formed=sum(report.formed for report in reports),
        joined=sum(report.joined for report in reports),
        contradictions=sum(report.contradictions for report in reports),
        concepts=concepts[:CONCEPTS_TOLD_MAX],
        complete=ended == "complete",
        ended=ended,
        took_ms=round(sum(report.took_ms for report in reports), 3),
    )


def ending(reports: list[ConsolidationReport]) -> Ending | None:
    """Why no further run is asked for after these, or None where one is."""
    if reports and reports[-1].complete:
        return "complete"
    if len(reports) >= IDLE_RUNS_MAX and not any(report.examined for report in reports[-IDLE_RUNS_MAX:]):
        return "idle"
    return "runs" if len(reports) >= RUNS_MAX else None


async def consolidate(context: SkillContext, wanted: Wanted) -> Consolidated:
    """Ask for run after run. Raises `SkillError` where not even one could be done."""
    reports: list[ConsolidationReport] = []
    while (ended := ending(reports)) is None:
        try:
            reports.append(await _next_run(context, wanted))
        except SkillError as e:
            if not reports:
                raise
            return combined(reports, "time" if e.code == LATE else "memory")
        await context.tell(f"{len(reports)} runs: {sum(r.examined for r in reports)} episodes examined")
    return combined(reports, ended)


async def _next_run(context: SkillContext, wanted: Wanted) -> ConsolidationReport:
    """The report of one run; where memory cannot now, it is asked again as long as there is time. Raises `SkillError`."""
    asked = ConsolidateRequest(agent_id=wanted.agent_id, since=wanted.since)
    hindrance = "there is no time for a run"
    while (left_s := context.left_s() - SPARE_S) > 0:
        try:
            report: ConsolidationReport = await context.bus.ask(subjects.MEMORY_CONSOLIDATE, asked, timeout_s=min(RUN_S_MAX, left_s))
            return report
        except Refused as e:
            if e.problem().status != LATER:
                raise SkillError("consolidation_refused", f"memory refused to consolidate: {e}") from e
            hindrance = str(e)
        except Unavailable as e:
            hindrance = str(e)
        except TimedOut as e:
            raise SkillError(LATE, f"the run may go on, but its report is late: {e}", retryable=True) from e
        except CerebroError as e:
            raise SkillError("memory_unavailable", f"memory does not consolidate: {e}", retryable=True) from e
        await asyncio.sleep(min(LATER_PAUSE_S, left_s))
    raise SkillError(LATE, hindrance, retryable=True)


DATA_CONSOLIDATION = Skill(
    name="data_consolidation",
    description="Have memory consolidate episodes into concepts until nothing is left or the time is over, and report what was formed.",
    input=Wanted,
    output=Consolidated,
    run=consolidate,
)
