"""Work that goes on where it stopped: a built-in agent dies in the middle of a task, and whoever takes it up finds its last packet."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from agents.skills import SKILLS
from agents.skills.skill import Skill, SkillContext
from bus import subjects
from bus.settings import BusSettings
from memory.settings import MemorySettings
from schemas.continuity import Continuity, ContinuityRequest
from schemas.graph import GraphRequest, GraphView
from tests.integration.test_tasks import PATIENCE_S, Mesh, existing, memory, remember, result

STEPS = 5
STOPS_AT = 3
"""The step before which the first performer is held up, until it is killed."""


class Walk(msgspec.Struct):
    question: str = ""


class Walker:
    """A skill of several steps that leaves a packet after each. `done` is every step that was done, and by whom."""

    def __init__(self) -> None:
        self.done: list[tuple[str, int]] = []
        self.found: list[dict[str, Any] | None] = []
        self.held_up = asyncio.Event()

    def skills(self) -> dict[str, Skill]:
        return {"walk": Skill(name="walk", description="walk work", input=Walk, output=dict, run=self._walk)}

    async def _walk(self, context: SkillContext, given: Walk) -> Any:
        self.found.append(context.handoff)
        first = (context.handoff or {"done": 0})["done"] + 1
        if given.question:
            await context.recall.search(given.question)
        for step in range(first, STEPS + 1):
            if step == STOPS_AT and not self.held_up.is_set():
                self.held_up.set()
                await asyncio.Event().wait()
            self.done.append((context.agent, step))
            await context.checkpoint({"done": step})
        return {"by": context.agent, "first": first}


@pytest_asyncio.fixture
async def mesh(nats_url: str, prefix: str) -> AsyncIterator[Mesh]:
    async with existing(BusSettings(nats_url=nats_url, prefix=prefix)) as found:
        yield found


@pytest.fixture
def settings(new_database: str, redis_url: str) -> MemorySettings:
    return MemorySettings(postgres_dsn=new_database, redis_url=redis_url, embedding="none", pool_size_min=1, pool_size_max=6)


@pytest.fixture
def walker() -> Walker:
    return Walker()


async def continuity(mesh: Mesh, agent: str) -> Continuity:
    found: Continuity = await mesh.bus.ask(subjects.MEMORY_CONTINUITY, ContinuityRequest(agent_id=agent), timeout_s=PATIENCE_S)
    return found


class TestABuiltInAgent:
    async def test_another_one_goes_on_after_the_last_checkpoint(self, mesh: Mesh, settings: MemorySettings, walker: Walker) -> None:
        async with memory(mesh, settings):
            agents = {name: await mesh.agent(name, walker.skills()) for name in ("nexus", "aria")}
            await mesh.submit("t1", required_skills=["walk"])
            await asyncio.wait_for(walker.held_up.wait(), PATIENCE_S)
            first = walker.done[0][0]
            other = "aria" if first == "nexus" else "nexus"
            await agents[first].kill()
            task = await mesh.end("t1")
            assert (task.status, task.fence, task.result) == ("succeeded", 2, {"by": other, "first": STOPS_AT})
            assert walker.done == [(first, 1), (first, 2), (other, 3), (other, 4), (other, 5)]
            assert walker.found == [None, {"done": 2}]

    async def test_so_does_the_same_one_restarted(self, mesh: Mesh, settings: MemorySettings, walker: Walker) -> None:
        async with memory(mesh, settings):
            nexus = await mesh.agent("nexus", walker.skills(), "1")
            await mesh.submit("t1", required_skills=["walk"])
            await asyncio.wait_for(walker.held_up.wait(), PATIENCE_S)
            await nexus.kill()
            await mesh.agent("nexus", walker.skills(), "2")
            assert (await mesh.end("t1")).status == "succeeded"
            assert [step for _, step in walker.done] == [1, 2, 3, 4, 5]
            assert walker.found[-1] == {"done": 2}

    async def test_memory_tells_of_it_while_no_agent_is_there(self, mesh: Mesh, settings: MemorySettings, walker: Walker) -> None:
        nexus = await mesh.agent("nexus", walker.skills())
        await mesh.submit("t1", title="Walk", required_skills=["walk"], timeout_s=600)
        await asyncio.wait_for(walker.held_up.wait(), PATIENCE_S)
        await nexus.kill()
        async with memory(mesh, settings):
            async with asyncio.timeout(PATIENCE_S):
                while not (told := await continuity(mesh, "nexus")).last_handoff or told.last_handoff.handoff_packet != {"done": 2}:
                    await asyncio.sleep(0.05)
            (task,) = told.open_tasks
            assert (task.task_id, task.title, task.handoff_packet) == ("t1", "Walk", {"done": 2})

    async def test_without_memory_the_work_begins_anew(self, mesh: Mesh, walker: Walker) -> None:
        agents = {name: await mesh.agent(name, walker.skills()) for name in ("nexus", "aria")}
        await mesh.submit("t1", required_skills=["walk"])
        await asyncio.wait_for(walker.held_up.wait(), PATIENCE_S)
        await agents[walker.done[0][0]].kill()
        assert (await mesh.end("t1")).status == "succeeded"
        assert [step for _, step in walker.done] == [1, 2, 1, 2, 3, 4, 5]


class TestReceipts:
    async def test_a_result_tells_what_its_skill_recalled_and_the_graph_both_ways(
        self, mesh: Mesh, settings: MemorySettings, walker: Walker
    ) -> None:
        walker.held_up.set()
        async with memory(mesh, settings):
            note = await remember(mesh, "The bridge at the mill is closed.")
            await mesh.agent("nexus", walker.skills())
            await mesh.submit(
                "t1", title="Walk to the mill", required_skills=["walk"], input={"question": "is the bridge at the mill open"}
            )
            task = await mesh.end("t1")
            result = next(h.body for h in task.history if h.entry == "result")
            assert result["recalled"] == [note]
            await come_to_the_end(mesh)
            assert informed(await graph(mesh, "t1")) == [(note, "t1", "nexus")]
            assert informed(await graph(mesh, note)) == [(note, "t1", "nexus")]


class TestCrossReferences:
    async def test_what_a_query_recalls_hangs_together_over_what_it_did_not(self, mesh: Mesh, settings: MemorySettings) -> None:
        async with memory(mesh, settings):
            cause = await remember(mesh, "A pillar gave way in the flood.")
            notes = [await remember(mesh, f"The bridge at the mill is closed ({n}), see {cause}.") for n in range(2)]
            await mesh.agent("aria", {"cross_reference_analysis": SKILLS["cross_reference_analysis"]})
            found = await result(mesh, "cross_reference_analysis", {"query": "which bridge is closed"})
            assert {n["id"] for n in found["nodes"] if n["start"]} == set(notes)
            assert {(e["source"], e["kind"], e["target"]) for e in found["edges"]} == {(n, "mentions", cause) for n in notes}
            assert any(path[1:] == [cause] for path in found["paths"])


async def graph(mesh: Mesh, ident: str) -> GraphView:
    found: GraphView = await mesh.bus.ask(subjects.MEMORY_GRAPH, GraphRequest(id=ident), timeout_s=PATIENCE_S)
    return found


def informed(view: GraphView) -> list[tuple[str, str, str]]:
    return [(e.source, e.target, e.agent_id) for e in view.edges if e.kind == "informed"]


async def come_to_the_end(mesh: Mesh) -> None:
    """Wait until memory has all that stands on the log by now: what is said last is persisted last."""
    await remember(mesh, "the end")
