"""What a model may look up, and what it may not ask for."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from agents.llm.door import Tool
from agents.llm.tools import ASKABLE, Lookups
from agents.recall import Noted, Recall, Recalled
from agents.skills import SKILLS
from bus import streams, subjects
from bus.connection import Bus
from bus.log import entries
from bus.settings import BusSettings
from schemas.members import Profile, Skill
from tests.agents.skills.hits import hit

EFFECTS = {"memory_management", "data_consolidation", "final_approval", "infrastructure_management"}
"""Skills that change something, convene others, or tell how the servers are."""


class Memory(Recall):
    """A memory of the test's; None: it does not answer."""

    def __init__(self, bus: Bus, hits: list[Any] | None) -> None:
        super().__init__(bus)
        self.hits = hits

    async def search(self, query: str, **filters: Any) -> Recalled:
        return Recalled(complete=False) if self.hits is None else Recalled(hits=self.hits)


class Place:
    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.noted = Noted()
        self.hits: list[Any] | None = []
        self.members: dict[str, Profile] = {}
        self.left_s = 5.0

    @property
    def tools(self) -> dict[str, Tool]:
        lookups = Lookups(self.bus, "ricardo", lambda: self.members)
        return {t.name: t for t in lookups.tools(Memory(self.bus, self.hits), self.noted, lambda: self.left_s)}

    async def submitted(self) -> int:
        return len(await entries(self.bus, [subjects.TASK_SUBMITTED.wildcard]))


@pytest_asyncio.fixture
async def place(nats_url: str, prefix: str) -> AsyncIterator[Place]:
    settings = BusSettings(nats_url=nats_url, prefix=prefix, log_bytes_max=64 * 1024**2)
    await streams.declare(settings)
    bus = await Bus.connect(settings, "test")
    yield Place(bus)
    await bus.close()


def profile(*skills: str) -> Profile:
    return Profile(skills=[Skill(name=name, input_schema=msgspec.json.schema(SKILLS[name].input)) for name in skills])


class TestWhatMayBeAsked:
    def test_only_skills_that_need_no_model_and_change_nothing(self) -> None:
        assert set(ASKABLE) == {name for name, skill in SKILLS.items() if not skill.needs_language_model} - EFFECTS

    async def test_of_these_what_others_have_now(self, place: Place) -> None:
        place.members = {
            "ricardo": profile("priority_setting"),
            "nexus": profile("debugging", "code_generation", "infrastructure_management"),
        }
        tool = place.tools["ask_agent"]
        assert tool.schema["properties"]["skill"]["enum"] == ["debugging"]
        assert "debugging: traceback, context" in tool.description

    async def test_where_nobody_has_any_there_is_no_such_tool(self, place: Place) -> None:
        place.members = {"ricardo": profile("priority_setting"), "nexus": profile("code_generation")}
        assert set(place.tools) == {"search_memory"}

    @pytest.mark.parametrize(
        "given",
        [
            {"skill": "data_consolidation", "input": {}},
            {"skill": "code_generation", "input": {}},
            {"skill": "priority_setting", "input": {}},
            {"skill": "debugging", "input": "x"},
            {"input": {}},
            {"skill": ["debugging"]},
        ],
    )
    async def test_whatever_else_is_asked_nothing_is_published(self, place: Place, given: dict[str, Any]) -> None:
        place.members = {
            "ricardo": profile("priority_setting"),
            "nexus": profile("debugging", "code_generation"),
            "aria": profile("data_consolidation"),
        }
        assert (await place.tools["ask_agent"].run(given)).startswith("not asked: ")
        assert await place.submitted() == 0

    async def test_nor_when_no_time_is_left(self, place: Place) -> None:
        place.members = {"nexus": profile("debugging")}
        place.left_s = 0.0
        assert (await place.tools["ask_agent"].run({"skill": "debugging", "input": {"traceback": "x"}})).startswith("not asked: ")
        assert await place.submitted() == 0

    async def test_who_does_not_answer_is_said(self, place: Place) -> None:
        place.members = {"nexus": profile("debugging")}
        said = await place.tools["ask_agent"].run({"skill": "debugging", "input": {"traceback": "x"}})
        assert said.startswith("no answer: nobody answers ask.task")
        assert await place.submitted() == 1


class TestMemory:
    async def test_what_is_found_is_fenced_and_noted_but_for_calls_of_the_model(self, place: Place) -> None:
        call = msgspec.structs.replace(hit("c1", "x"), action_type="llm_call")
        place.hits = [hit("m1", "a pump"), call]
        said = await place.tools["search_memory"].run({"query": "pumps"})
        assert ('"id":"m1"' in said, '"c1"' in said, place.noted.ids) == (True, False, ("m1",))

    async def test_without_memory_it_says_so(self, place: Place) -> None:
        place.hits = None
        assert await place.tools["search_memory"].run({"query": "pumps"}) == "memory does not answer"

    @pytest.mark.parametrize("given", [{}, {"query": ""}, {"query": 1}, {"query": "x" * 5_000}])
    async def test_a_query_that_is_none_is_said_to_be(self, place: Place, given: dict[str, Any]) -> None:
        assert (await place.tools["search_memory"].run(given)).startswith("not searched: ")
