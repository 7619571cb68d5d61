"""What an agent goes on from, from memory's own tables."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest_asyncio
from msgspec.structs import replace

from bus import subjects
from memory.cache import Cache
from memory.continuity import Continuations
from memory.database import Database
from memory.episode_row import EpisodeRow
from memory.open_tasks import erase_tasks
from memory.settings import MemorySettings
from memory.working import WorkingMemory
from schemas.continuity import Continuity, ContinuityRequest
from schemas.emotion import Affect
from schemas.memory import WorkingPut
from schemas.tasks import AssignedTask, Assignment, Finished, Submission
from tests.memory.logged import logged

MakeRow = Callable[..., EpisodeRow]
Remember = Callable[[Sequence[EpisodeRow]], Any]

PROJECT = "0192f0c0-0000-7000-8000-0000000000aa"
OTHER = "0192f0c0-0000-7000-8000-0000000000bb"
LONG_S = 7 * 86_400.0


@pytest_asyncio.fixture
async def working(database: Database, redis_url: str, prefix: str) -> AsyncIterator[WorkingMemory]:
    cache = Cache(redis_url, prefix, timeout_s=1, retry_s=0.01)
    yield WorkingMemory(database, cache)
    await cache.close()


@pytest_asyncio.fixture
async def continuations(database: Database, working: WorkingMemory, settings: MemorySettings) -> Continuations:
    return Continuations(database, working, replace(settings, continuity_tasks_max=2, continuity_episodes_max=2))


async def told(continuations: Continuations, agent: str = "ops") -> Continuity:
    return await continuations.tell(ContinuityRequest(agent_id=agent))


def submitted(seq: int, task: str, timeout_s: float = LONG_S) -> EpisodeRow:
    """Submitted now: what is open is a matter of the clock."""
    row = logged(seq, subjects.TASK_SUBMITTED, Submission(title=f"do {task}", input={"n": seq}, timeout_s=timeout_s), task=task)
    return replace(row, recorded_at=datetime.now(UTC))


def assigned(seq: int, task: str, agent: str = "ops", fence: int = 1) -> EpisodeRow:
    body = Assignment(fence=fence, lease_s=1, task=AssignedTask(title=task, task_id=task))
    return logged(seq, subjects.TASK_ASSIGNED, body, task=task, agent=agent)


class TestOpenTasks:
    async def test_the_oldest_are_told_with_their_input_and_fence(self, continuations: Continuations, remember: Remember) -> None:
        await remember([submitted(n, f"t{n}") for n in (1, 2, 3)])
        await remember([assigned(4, "t2"), assigned(5, "t1"), assigned(6, "t3")])
        tasks = (await told(continuations)).open_tasks
        assert [(t.task_id, t.title, t.fence, t.input) for t in tasks] == [("t2", "do t2", 1, {"n": 2}), ("t1", "do t1", 1, {"n": 1})]

    async def test_what_went_to_another_agent_is_the_others(self, continuations: Continuations, remember: Remember) -> None:
        await remember([submitted(1, "t1"), assigned(2, "t1"), assigned(3, "t1", "aria", 2)])
        assert (await told(continuations)).open_tasks == []
        assert [t.fence for t in (await told(continuations, "aria")).open_tasks] == [2]

    async def test_what_has_ended_is_not_told(self, continuations: Continuations, remember: Remember) -> None:
        end = logged(3, subjects.TASK_FINISHED, Finished(status="expired"), task="t1")
        await remember([submitted(1, "t1"), assigned(2, "t1"), end])
        assert (await told(continuations)).open_tasks == []

    async def test_nor_what_is_out_of_time_while_no_agent_is_there_to_say_so(
        self, continuations: Continuations, remember: Remember
    ) -> None:
        await remember([submitted(1, "t1", timeout_s=0.000001), assigned(2, "t1")])
        assert (await told(continuations)).open_tasks == []

    async def test_the_last_packet_about_it_is_told_whoever_left_it(
        self, continuations: Continuations, make_row: MakeRow, remember: Remember
    ) -> None:
        await remember([submitted(1, "t1"), assigned(2, "t1", "aria")])
        await remember([make_row(n, agent="aria", action_details={"task": "t1"}, handoff_packet={"step": n}) for n in (3, 4)])
        await remember([make_row(5, agent="aria", handoff_packet={"of": "something else"}), assigned(6, "t1", fence=2)])
        await remember([make_row(7, agent="ops", action_details={"task": "t1", "text": "no packet"})])
        (task,) = (await told(continuations)).open_tasks
        assert task.handoff_packet == {"step": 4}


class TestForgetting:
    async def test_a_task_whose_submission_is_forgotten_is_gone(
        self, database: Database, continuations: Continuations, remember: Remember
    ) -> None:
        await remember([submitted(1, "t1"), submitted(2, "t2"), assigned(3, "t1"), assigned(4, "t2")])
        async with database.transaction() as connection:
            await erase_tasks(database, connection, ["event-1"])
        assert [t.task_id for t in (await told(continuations)).open_tasks] == ["t2"]


class TestHandoffs:
    async def test_the_last_one_and_the_last_of_each_project(
        self, continuations: Continuations, make_row: MakeRow, remember: Remember
    ) -> None:
        await remember(
            [
                make_row(1, agent="ops", handoff_packet={"n": 1}, project_dna_id=PROJECT),
                make_row(2, agent="ops", handoff_packet={"n": 2}, project_dna_id=OTHER),
                make_row(3, agent="ops", handoff_packet={"n": 3}, project_dna_id=PROJECT),
                make_row(4, agent="ops", handoff_packet={"n": 4}),
                make_row(5, agent="ops", project_dna_id=OTHER),
                make_row(6, agent="aria", handoff_packet={"n": 6}, project_dna_id=OTHER),
            ]
        )
        answer = await told(continuations)
        assert answer.last_handoff is not None
        assert (answer.last_handoff.episode_id, answer.last_handoff.handoff_packet) == ("event-4", {"n": 4})
        assert [(p.project_dna_id, p.handoff_packet["n"]) for p in answer.projects] == [(PROJECT, 3), (OTHER, 2)]


class TestTheRest:
    async def test_recent_important_episodes_newest_first(
        self, continuations: Continuations, make_row: MakeRow, remember: Remember
    ) -> None:
        weights = (0.9, 0.2, 0.8, 0.6, 0.59)
        await remember([make_row(n, agent="ops", importance_score=w) for n, w in enumerate(weights, 1)])
        assert [e.episode_id for e in (await told(continuations)).recent_important] == ["event-4", "event-3"]

    async def test_working_memory_is_the_agents_own(self, continuations: Continuations, working: WorkingMemory) -> None:
        for agent in ("ops", "aria"):
            await working.put(WorkingPut(session_id="s", key=agent, agent_id=agent, context_data={"at": 3}))
        assert [w.key for w in (await told(continuations)).working_memory] == ["ops"]

    async def test_the_last_affect_is_told_and_nothing_that_only_looks_like_one(
        self, continuations: Continuations, make_row: MakeRow, remember: Remember
    ) -> None:
        felt = [Affect(valence=v, arousal=0, dominance=0, cause="c") for v in (0.1, 0.2)]
        await remember([logged(n, subjects.AFFECT, f, agent="ops") for n, f in enumerate(felt, 1)])
        await remember([make_row(3, agent="ops", action_type=subjects.AFFECT.name)])
        affect = (await told(continuations)).affect
        assert affect is not None
        assert (affect.valence, affect.cause, affect.updated_at) == (0.2, "c", "2026-11-22T10:00:02.000000Z")

    async def test_of_an_unknown_agent_there_is_nothing_to_tell(self, continuations: Continuations) -> None:
        nothing = Continuity(
            agent_id="nobody", open_tasks=[], last_handoff=None, projects=[], recent_important=[], working_memory=[], affect=None
        )
        assert await told(continuations, "nobody") == nothing
