"""Continuity: what an agent needs to go on where it stopped, from memory's own tables; no agent has to be there."""

import asyncio
from typing import Any, Final

import asyncpg

from bus import subjects
from memory.database import Database, statement
from memory.episodes import decoded, get_episodes
from memory.settings import MemorySettings
from memory.working import WorkingMemory
from schemas.continuity import AffectThen, Continuity, ContinuityRequest, Handoff, OpenTask
from schemas.memory import EpisodeView, WorkingFilter, WorkingView
from schemas.words import PAGE_LEN_MAX, rfc3339

TASKS: Final = statement("open_tasks")
LAST: Final = statement("last_handoff")
PROJECTS: Final = statement("project_handoffs")
IMPORTANT: Final = statement("recent_important")
AFFECT: Final = statement("last_affect")


class Continuations:
    """`tell` answers `memory.continuity`. Of an agent that memory does not know, there is nothing to tell: everything is empty."""

    def __init__(self, database: Database, working: WorkingMemory, settings: MemorySettings) -> None:
        self._database = database
        self._working = working
        self._settings = settings

    async def tell(self, asked: ContinuityRequest) -> Continuity:
        """Everything at once. Raises `Unavailable`."""
        agent = asked.agent_id
        tasks, last, projects, important, working, affect = await asyncio.gather(
            self._database.rows(TASKS, agent, self._settings.continuity_tasks_max),
            self._database.row(LAST, agent),
            self._database.rows(PROJECTS, agent, self._settings.continuity_projects_max),
            self._important(agent),
            self._working_of(agent),
            self._database.row(AFFECT, subjects.AFFECT.subject(agent=agent)),
        )
        return Continuity(
            agent_id=agent,
            open_tasks=[_task(r) for r in tasks],
            last_handoff=_handoff(last) if last else None,
            projects=[_handoff(r) for r in projects],
            recent_important=important,
            working_memory=working,
            affect=_affect(affect) if affect else None,
        )

    async def _important(self, agent: str) -> list[EpisodeView]:
        s = self._settings
        bounds = (s.continuity_importance_min, s.continuity_scanned_max, s.continuity_episodes_max)
        found = await self._database.rows(IMPORTANT, agent, *bounds)
        return await get_episodes(self._database, [r["episode_id"] for r in found])

    async def _working_of(self, agent: str) -> list[WorkingView]:
        return (await self._working.list(WorkingFilter(agent_id=agent, limit=PAGE_LEN_MAX))).items


def _task(r: asyncpg.Record) -> OpenTask:
    return OpenTask(
        task_id=r["task_id"],
        title=r["title"],
        fence=r["fence"],
        assigned_at=rfc3339(r["assigned_at"]),
        input=decoded(r["input"]),
        handoff_packet=decoded(r["handoff_packet"]),
    )


def _handoff(r: asyncpg.Record) -> Handoff:
    return Handoff(
        episode_id=r["episode_id"],
        project_dna_id=r["project_dna_id"],
        handoff_packet=decoded(r["handoff_packet"]),
        timestamp=rfc3339(r["timestamp"]),
    )


def _affect(r: asyncpg.Record) -> AffectThen:
    said: dict[str, Any] = decoded(r["action_details"])
    known = {name: said[name] for name in ("valence", "arousal", "dominance", "label", "cause")}
    return AffectThen(**known, updated_at=rfc3339(r["recorded_at"]))
