"""Agents that others wrote, played by a bare NATS client: how they come and go, and what is said to those that do it wrong."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import nats
import pytest
import pytest_asyncio
from nats.aio.client import Client

from agents.settings import AgentSettings
from bus import subjects
from bus.connection import Bus
from bus.errors import CerebroError, Refused
from bus.log import entries
from bus.settings import BusSettings
from schemas.dead import DeadLetter
from schemas.entry import Entry
from schemas.learning import Lesson, LessonFilter
from schemas.members import AgentsView, Ask, AskAll
from schemas.tasks import Submission, TaskDetail
from tests.integration import rest
from tests.integration.nexus import nexus

SETTINGS = AgentSettings(lease_s=2.0, progress_s=0.4, lessons_per_minute_max=3)
DEPLOY = {"name": "deploy", "output_schema": {"type": "object", "properties": {"hosts": {"type": "integer"}}, "required": ["hosts"]}}
PATIENCE_S = 30.0
"""Longest wait for anything; never the measure of a test."""


async def eventually(met: Callable[[], Awaitable[Any]]) -> Any:
    return await rest.eventually(met, PATIENCE_S, (CerebroError,))


class Hand:
    """A bare client on one side, and on the other what the mesh says."""

    def __init__(self, nc: Client, bus: Bus) -> None:
        self._nc = nc
        self.bus = bus

    async def put(self, agent: str, profile: Any, instance: str = "1") -> None:
        await self._nc.publish(self.bus.presence_subject(agent, instance), json.dumps(profile).encode())

    @asynccontextmanager
    async def beating(self, agent: str, profile: Any, instance: str = "1") -> AsyncIterator[None]:
        async def beat() -> None:
            while True:
                await self.put(agent, profile, instance)
                await asyncio.sleep(0.5)

        task = asyncio.create_task(beat(), name=agent)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def goodbye(self, agent: str, instance: str = "1") -> None:
        await self._nc.publish(self.bus.presence_subject(agent, instance), b"", headers={"KV-Operation": "DEL"})

    async def publish(self, subject: str, body: Any) -> None:
        await self._nc.publish(self.bus.wire(subject), json.dumps(body).encode())

    async def agents(self) -> AgentsView:
        found: AgentsView = await self.bus.ask(subjects.ASK_AGENTS, AskAll())
        return found

    async def joined(self, agent: str) -> None:
        async def look() -> bool:
            return agent in (await self.agents()).agents

        await eventually(look)

    async def submit(self, task: str, **fields: Any) -> None:
        await self.bus.publish(subjects.TASK_SUBMITTED, Submission(**{"title": task, **fields}), task=task)

    async def task_when(self, task: str, met: Callable[[TaskDetail], bool]) -> TaskDetail:
        async def look() -> TaskDetail | None:
            found: TaskDetail = await self.bus.ask(subjects.ASK_TASK, Ask(id=task))
            return found if met(found) else None

        found: TaskDetail = await eventually(look)
        return found

    async def letters(self, consumer: str) -> list[DeadLetter]:
        subject = subjects.DEAD_LETTER.subject(stream=subjects.MESH, consumer=consumer)
        found = await entries(self.bus, [subject], stream=subjects.DEAD)
        return [e.body for e in found if isinstance(e, Entry)]

    async def letter(self, consumer: str) -> DeadLetter:
        found: list[DeadLetter] = await eventually(lambda: self.letters(consumer))
        [only] = found
        return only


@asynccontextmanager
async def connected(settings: BusSettings) -> AsyncIterator[Hand]:
    """The one place where this module connects."""
    nc = await nats.connect(settings.nats_url)
    bus = await Bus.connect(settings, "hand")
    try:
        yield Hand(nc, bus)
    finally:
        await nc.close()
        await bus.close()


@pytest_asyncio.fixture
async def hand(bus_settings: BusSettings) -> AsyncIterator[Hand]:
    async with nexus(bus_settings, SETTINGS), connected(bus_settings) as found:
        yield found


class TestWork:
    async def test_the_mesh_makes_the_consumer_and_makes_it_again_when_it_was_lost(self, hand: Hand) -> None:
        stream = hand.bus.stream(subjects.MESH)

        async def there() -> Any:
            info = await hand.bus.api(f"CONSUMER.INFO.{stream}.work-ops", {})
            return info.get("config")

        async with hand.beating("ops", {"role": "r", "skills": ["deploy"]}):
            config = await eventually(there)
            assert config["filter_subjects" if "filter_subjects" in config else "filter_subject"] in (
                hand.bus.wire("mesh.task.*.assigned.ops"),
                [hand.bus.wire("mesh.task.*.assigned.ops")],
            )
            await hand.bus.api(f"CONSUMER.DELETE.{stream}.work-ops", {})
            await eventually(there)

    async def test_who_takes_no_tasks_gets_none(self, hand: Hand) -> None:
        async with hand.beating("watcher", {"role": "r", "takes": ["lessons"]}), hand.beating("ops", {"role": "r"}):
            stream = hand.bus.stream(subjects.MESH)

            async def there() -> bool:
                return "error" not in await hand.bus.api(f"CONSUMER.INFO.{stream}.work-ops", {})

            await hand.joined("watcher")
            await eventually(there)
            assert "error" in await hand.bus.api(f"CONSUMER.INFO.{stream}.work-watcher", {})

    async def test_the_open_task_of_one_that_says_goodbye_goes_to_another(self, hand: Hand) -> None:
        profile = {"role": "r", "skills": [DEPLOY]}
        async with hand.beating("second", profile):
            async with hand.beating("first", profile):
                await hand.joined("first")
                await hand.joined("second")
                await hand.submit("t1", required_skills=["deploy"])
                before = await hand.task_when("t1", lambda t: t.assigned_to is not None)
                assert before.assigned_to == "first", "of equals, the first by name"
            await hand.goodbye("first")
            after = await hand.task_when("t1", lambda t: t.fence == 2)
            assert after.assigned_to == "second"
            await hand.publish("mesh.task.t1.result.first", {"fence": 1, "output": {"hosts": 1}})
            await hand.publish("mesh.task.t1.result.second", {"fence": 2, "output": {"hosts": 2}})
            end = await hand.task_when("t1", lambda t: t.finished_at is not None)
            assert (end.status, end.result) == ("succeeded", {"hosts": 2})

    async def test_a_reply_that_is_not_what_was_announced_fails_the_task(self, hand: Hand) -> None:
        async with hand.beating("ops", {"role": "r", "skills": [DEPLOY]}):
            await hand.submit("t1", required_skills=["deploy"])
            await hand.task_when("t1", lambda t: t.assigned_to == "ops")
            await hand.publish("mesh.task.t1.result.ops", {"fence": 1, "output": {"hosts": "many"}})
            end = await hand.task_when("t1", lambda t: t.finished_at is not None)
            assert end.error is not None
            assert (end.status, end.error.code, end.assigned_to) == ("failed", "bad_output", "ops")
            assert "/hosts" in end.error.message


class TestRefused:
    async def test_a_malformed_profile_becomes_a_dead_letter_that_says_where(self, hand: Hand) -> None:
        async with hand.beating("ops", {"role": 5}):
            letter = await hand.letter("members")
            await hand.put("fine", {"role": "r"})
            await hand.joined("fine")
            assert "ops" not in (await hand.agents()).agents
            assert len(await hand.letters("members")) == 1, "however often it is put"
        assert "`$.role`" in letter.reason
        assert (letter.subject, json.loads(base64.b64decode(letter.data))) == ("$KV.presence.ops.1", {"role": 5})

    async def test_a_skill_with_a_broken_schema_becomes_a_dead_letter_that_says_where(self, hand: Hand) -> None:
        profile = {"role": "r", "skills": [{"name": "deploy", "input_schema": {"properties": {"hosts": {"type": "number?"}}}}]}
        async with hand.beating("ops", profile):
            letter = await hand.letter("members")
            assert "ops" not in (await hand.agents()).agents
        assert letter.reason.startswith("broken_schema: input_schema of deploy: /properties/hosts: `type`")

    async def test_once_it_is_mended_it_is_a_member(self, hand: Hand) -> None:
        await hand.put("ops", {"role": 5})
        await hand.letter("members")
        async with hand.beating("ops", {"role": "r"}):
            await hand.joined("ops")

    async def test_a_name_that_is_taken_by_another_agent(self, hand: Hand) -> None:
        async with hand.beating("ops", {"role": "first", "skills": ["deploy"]}):
            await hand.joined("ops")
            async with hand.beating("ops", {"role": "second", "skills": ["deploy"]}, instance="2"):
                letter = await hand.letter("members")
                shown = (await hand.agents()).agents["ops"]
                assert (shown.role, shown.instances) == ("first", 1)
                assert letter.reason.startswith("name_taken: ops.2")
                await hand.goodbye("ops", "1")


class TestFlood:
    async def test_lessons_above_the_limit_are_dead_letters_and_stay_refused(self, bus_settings: BusSettings) -> None:
        async with nexus(bus_settings, SETTINGS), connected(bus_settings) as hand:
            told = [(await hand.bus.publish(subjects.LESSON, Lesson(topic=f"t{n}", content="c"), agent="ops")).event_id for n in range(5)]

            async def both_are_told() -> bool:
                return len(await hand.letters("learning")) == 2

            await eventually(both_are_told)
            assert await self._topics(hand) == ["t0", "t1", "t2"]
            assert {x.reason for x in await hand.letters("learning")} == {"rate_limited: ops has told more than 3 lessons within a minute"}
            with pytest.raises(Refused, match="rate_limited") as refused:
                await hand.bus.ask(subjects.ASK_LESSON, Ask(id=told[4]))
            assert (refused.value.problem().status, refused.value.problem().code) == (429, "rate_limited")
            await hand.bus.publish(subjects.LESSON, Lesson(topic="of another", content="c"), agent="dev")

            async def heard() -> bool:
                return "of another" in await self._topics(hand)

            await eventually(heard)
        async with nexus(bus_settings, SETTINGS), connected(bus_settings) as hand:  # the log is read again, and says the same
            assert await self._topics(hand) == ["of another", "t0", "t1", "t2"]
            assert len(await hand.letters("learning")) == 2

    @staticmethod
    async def _topics(hand: Hand) -> list[str]:
        async def listed() -> Any:
            return (await hand.bus.ask(subjects.ASK_LESSONS, LessonFilter())).lessons

        return sorted(view.topic for view in await eventually(listed))

    async def test_lessons_that_an_agent_has_not_made_its_own(self, hand: Hand) -> None:
        lesson = (await hand.bus.publish(subjects.LESSON, Lesson(topic="t", content="c"), agent="dev")).event_id

        async def missing(agent: str) -> list[str]:
            page = await hand.bus.ask(subjects.ASK_LESSONS, LessonFilter(missing_from=agent))
            return [view.lesson_id for view in page.lessons]

        async def known() -> bool:
            return await missing("ops") == [lesson]

        await eventually(known)
        assert await missing("dev") == [], "it is its own"
        await hand.publish("mesh.learning.ops.integrated", {"lesson_id": lesson})

        async def learned() -> bool:
            return await missing("ops") == []

        await eventually(learned)
