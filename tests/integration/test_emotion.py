"""Emotional synchronisation on a real server: agents that feel, one that others wrote, and what a restart repeats."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue

from agents.actor import Actor
from agents.emotion import rules
from agents.emotion.actor import Emotion
from agents.members.actor import Members
from bus import presence, streams, subjects
from bus.connection import Bus
from bus.errors import Refused, TimedOut
from bus.ids import uuid7
from bus.log import entries
from bus.service import Service
from bus.settings import BusSettings
from schemas.consensus import CountedVote, Decision, Opened
from schemas.emotion import Affect, AffectView, Alignment, MeshAffect, StimulusRequest
from schemas.entry import Entry
from schemas.members import AskAll, Profile
from schemas.tasks import Finished

PATIENCE_S = 15.0
"""Longest wait for what must happen."""
BUILTIN = {"nexus": (0.1, 0.1, 0.3), "aria": (0.2, 0.0, 0.0)}


class Running:
    """One built-in agent with membership and emotion, in this event loop."""

    def __init__(self, bus: Bus, name: str) -> None:
        self.bus, self.name, self.load = bus, name, 0.0
        self.members = Members(bus, name, uuid7(), frozenset(BUILTIN))
        self.actor = Actor(bus, self.members.rank)
        self.emotion = Emotion(bus, name, BUILTIN[name], self.members, self.actor.until)
        self.actor.protocols = (self.members, self.emotion)
        self.service = Service(bus, "mesh", "test")

    async def until(self, met: Callable[[], Any]) -> None:
        assert await self.actor.until(lambda: bool(met()), PATIENCE_S)

    async def feels(self, cause: str) -> Affect:
        """Its state once it stands in the log for this cause."""
        await self.until(lambda: cause in getattr(self.emotion.affect(self.name), "cause", ""))
        felt = self.emotion.affect(self.name)
        assert felt
        return felt


class StoppedError(Exception):
    """The agent's TaskGroup ends."""


@asynccontextmanager
async def running(settings: BusSettings, name: str) -> AsyncIterator[Running]:
    agent = Running(await Bus.connect(settings, name), name)
    try:
        async with asyncio.TaskGroup() as group:
            await agent.members.listen()
            await agent.actor.run(group)
            group.create_task(agent.members.beat_for_ever(lambda: Profile(load=agent.load)), name="presence")
            await agent.actor.answer(agent.service)
            await agent.service.start()
            await agent.until(lambda: agent.emotion.affect(name))
            yield agent
            raise StoppedError  # noqa: TRY301 it ends the group from within
    except* StoppedError:
        await agent.service.stop()
        await presence.goodbye(agent.bus, name, agent.members.instance)
    finally:
        await agent.bus.close()


@pytest_asyncio.fixture
async def settings(nats_url: str, prefix: str) -> BusSettings:
    declared = BusSettings(nats_url=nats_url, prefix=prefix, publish_timeout_s=3)
    await streams.declare(declared)
    return declared


@pytest_asyncio.fixture
async def bus(settings: BusSettings) -> AsyncIterator[Bus]:
    connection = await Bus.connect(settings, "test")
    yield connection
    await connection.close()


@pytest_asyncio.fixture
async def nexus(settings: BusSettings) -> AsyncIterator[Running]:
    async with running(settings, "nexus") as agent:
        yield agent


@pytest_asyncio.fixture
async def aria(settings: BusSettings) -> AsyncIterator[Running]:
    async with running(settings, "aria") as agent:
        yield agent


async def states(bus: Bus, agent: str) -> list[Entry]:
    return [e for e in await entries(bus, [subjects.AFFECT.subject(agent=agent)]) if isinstance(e, Entry)]


async def by_hand(bus: Bus, agent: str, **body: Any) -> None:
    """What an agent that others wrote publishes: bare JSON, no headers."""
    await bus.nc.publish(bus.wire(subjects.AFFECT.subject(agent=agent)), json.dumps(body).encode())


async def mesh(bus: Bus) -> MeshAffect:
    felt: MeshAffect = await bus.ask(subjects.ASK_AFFECT, AskAll())
    return felt


async def mesh_with(bus: Bus, *agents: str) -> MeshAffect:
    """The mesh's affect once all of these are in it."""
    async with asyncio.timeout(PATIENCE_S):
        while not set(agents) <= set((felt := await mesh(bus)).agents):
            await asyncio.sleep(0.05)
    return felt


async def stimulate(bus: Bus, agent: str, **what: Any) -> AffectView:
    felt: AffectView = await bus.ask(subjects.ASK_STIMULUS, StimulusRequest(agent=agent, **what))
    return felt


async def held(bucket: KeyValue, key: str) -> bytes:
    try:
        return (await bucket.get(key)).value or b""
    except KeyNotFoundError:
        return b""


@asynccontextmanager
async def external(bus: Bus, agent: str) -> AsyncIterator[None]:
    """An agent that only says that it lives."""

    async def beat() -> None:
        while True:
            await presence.beat(bus, agent, "1", Profile())
            await asyncio.sleep(0.5)

    beating = asyncio.create_task(beat(), name=f"presence of {agent}")
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)


class TestTheMesh:
    async def test_each_agent_begins_at_its_temperament(self, bus: Bus, nexus: Running, aria: Running) -> None:
        felt = await mesh_with(bus, "nexus", "aria")
        assert (felt.agents["nexus"].valence, felt.agents["nexus"].arousal, felt.agents["nexus"].dominance) == BUILTIN["nexus"]
        assert (felt.collective.valence, felt.collective.arousal, felt.collective.dominance) == (0.15, 0.05, 0.15)
        assert 0.9 < felt.coherence < 1
        assert felt.alignment == Alignment(task_concurrency_factor=1.0, approval_confidence_min=0.5)

    async def test_every_replica_and_the_fold_say_the_same(self, bus: Bus, nexus: Running, aria: Running) -> None:
        await stimulate(bus, "nexus", event="threat", intensity=1.0, cause="fire")
        await stimulate(bus, "aria", valence=-1.0, arousal=1.0, intensity=1.0, cause="fire")
        await mesh_with(bus, "nexus", "aria")
        async with asyncio.timeout(PATIENCE_S):
            while not ((felt := (await mesh(bus)).alignment) == nexus.emotion.alignment() == aria.emotion.alignment()):
                await asyncio.sleep(0.05)
        assert felt.task_concurrency_factor < 0.6
        assert felt.approval_confidence_min > 0.7

    async def test_the_bucket_holds_each_state(self, bus: Bus, nexus: Running) -> None:
        await stimulate(bus, "nexus", valence=-0.8, intensity=1.0, cause="pulled")
        bucket = await bus.kv("affect")
        async with asyncio.timeout(PATIENCE_S):
            while b"pulled" not in await held(bucket, "nexus"):
                await asyncio.sleep(0.05)


class TestStimulus:
    async def test_the_state_that_resulted_is_the_answer(self, bus: Bus, nexus: Running) -> None:
        felt = await stimulate(bus, "nexus", valence=-0.8, arousal=0.7, dominance=0.4, intensity=1.0, cause="disk full")
        assert (felt.valence, felt.arousal, felt.dominance, felt.label, felt.cause) == (-0.8, 0.7, 0.4, "hostile", "disk full")

    async def test_many_at_once_each_get_their_own_answer_in_the_order_of_the_log(self, bus: Bus, nexus: Running) -> None:
        causes = [f"cause {i}" for i in range(10)]
        answers = await asyncio.gather(*(stimulate(bus, "nexus", event="praise", intensity=0.1, cause=c) for c in causes))
        assert [a.cause for a in answers] == causes
        asked = [e.body.cause for e in await entries(bus, [subjects.STIMULUS.subject(agent="nexus")]) if isinstance(e, Entry)]
        assert [e.body.cause for e in await states(bus, "nexus")] == ["awake", *asked]

    async def test_an_unknown_agent_is_not_found(self, bus: Bus, nexus: Running) -> None:
        with pytest.raises(Refused) as refused:
            await stimulate(bus, "nobody", event="praise", cause="x")
        assert refused.value.problem().status == 404

    async def test_a_gone_agent_is_a_conflict(self, settings: BusSettings, bus: Bus, nexus: Running) -> None:
        async with running(settings, "aria"):
            await nexus.until(lambda: "aria" in nexus.members.roster)
        await nexus.until(lambda: "aria" in nexus.members.listed("votes") and "aria" not in nexus.members.present("votes"))
        with pytest.raises(Refused) as refused:
            await stimulate(bus, "aria", event="praise", cause="x")
        assert refused.value.problem().status == 409

    async def test_a_stimulus_without_event_or_pull_is_refused(self, bus: Bus, nexus: Running) -> None:
        answer = await bus.nc.request(bus.wire(subjects.ASK_STIMULUS.subject()), b'{"agent": "nexus", "cause": "x"}', timeout=5)
        assert answer.headers
        assert answer.headers["Nats-Service-Error-Code"] == "400"


class TestAnAgentThatOthersWrote:
    async def test_its_bare_affect_counts_and_gets_a_label(self, bus: Bus, nexus: Running) -> None:
        async with external(bus, "ops"):
            await by_hand(bus, "ops", valence=-0.9, arousal=0.7, dominance=-0.6)
            felt = await mesh_with(bus, "nexus", "ops")
        assert felt.agents["ops"].label == "anxious"
        assert felt.collective.valence == pytest.approx((felt.agents["nexus"].valence - 0.9) / 2, abs=1e-4)

    async def test_it_is_left_out_until_it_says_what_it_feels(self, bus: Bus, nexus: Running) -> None:
        async with external(bus, "ops"):
            await nexus.until(lambda: "ops" in nexus.members.roster)
            assert set((await mesh(bus)).agents) == {"nexus"}

    async def test_its_next_state_is_the_answer_to_a_stimulus(self, bus: Bus, nexus: Running) -> None:
        async def answer(_: Any) -> None:
            await by_hand(bus, "ops", valence=0.5, arousal=0.5, dominance=0.5, cause="thanks")

        await bus.nc.subscribe(bus.wire(subjects.STIMULUS.subject(agent="ops")), cb=answer)
        async with external(bus, "ops"):
            await nexus.until(lambda: "ops" in nexus.members.roster)
            assert (await stimulate(bus, "ops", event="praise", cause="well done")).cause == "thanks"

    async def test_its_silence_is_told(self, bus: Bus, nexus: Running) -> None:
        async with external(bus, "ops"):
            await nexus.until(lambda: "ops" in nexus.members.roster)
            with pytest.raises((TimedOut, Refused), match="has not said"):
                await stimulate(bus, "ops", event="praise", cause="well done")

    async def test_a_malformed_affect_is_passed_over(self, bus: Bus, nexus: Running) -> None:
        async with external(bus, "ops"):
            await by_hand(bus, "ops", valence=7, arousal=0, dominance=0)
            await by_hand(bus, "ops", valence=0.3, arousal=0, dominance=0)
            assert (await mesh_with(bus, "ops")).agents["ops"].valence == 0.3


class TestWhatHappensToAnAgent:
    async def test_its_failed_task_is_felt(self, bus: Bus, nexus: Running) -> None:
        await bus.publish(subjects.TASK_FINISHED, Finished(status="failed", agent="nexus"), task="t1")
        assert (await nexus.feels("task t1 failed")).valence < BUILTIN["nexus"][0]

    async def test_its_rejected_proposal_is_felt_and_so_is_a_lost_vote(self, bus: Bus, nexus: Running, aria: Running) -> None:
        proposal = Opened(title="Use Redis", proposer="nexus", deadline="2027-01-01T00:00:00Z", electorate=["nexus", "aria"])
        vote = CountedVote(agent="aria", choice="approve", confidence=1, rationale="", evidence=[], seq=2, counted=True)
        await bus.publish(subjects.OPENED, proposal, proposal="p1")
        rejected = Decision(status="rejected", choice=None, tally={}, votes=[vote], decided_at_seq=2)
        await bus.publish(subjects.DECISION, rejected, proposal="p1")
        assert "Use Redis" in (await nexus.feels("own proposal p1")).cause
        assert (await aria.feels("vote lost")).valence < BUILTIN["aria"][0]

    async def test_an_error_that_only_it_knows_of_is_felt_once_in_a_flood(self, bus: Bus, nexus: Running) -> None:
        for i in range(50):
            nexus.emotion.feel("error", f"error {i}")
        await nexus.feels("error 0")
        await stimulate(bus, "nexus", event="relief", cause="over")
        assert [e.body.cause for e in await states(bus, "nexus")] == ["awake", "error 0", "over"]

    async def test_a_high_load_is_felt_as_overload_once(self, bus: Bus, nexus: Running) -> None:
        nexus.load = 0.95
        assert (await nexus.feels("load 0.95")).arousal > BUILTIN["nexus"][1]
        await stimulate(bus, "nexus", event="relief", cause="over")
        assert sum("load" in e.body.cause for e in await states(bus, "nexus")) == 1


class TestDrift:
    async def test_an_agent_left_alone_comes_back_to_its_temperament_and_says_so(self, bus: Bus, nexus: Running) -> None:
        pulled = await stimulate(bus, "nexus", valence=-1.0, arousal=1.0, dominance=-1.0, intensity=1.0, cause="fire")
        await nexus.until(lambda: nexus.emotion.affect("nexus") and nexus.emotion.affect("nexus").arousal < pulled.arousal)
        last = (await states(bus, "nexus"))[-1].body
        assert last.cause == "fire"
        assert last.valence > pulled.valence
        assert rules.distance(last, rules.named((-1.0, 1.0, -1.0), "")) > rules.DRIFT_MIN


class TestRestart:
    async def test_nothing_is_appraised_twice(self, settings: BusSettings, bus: Bus) -> None:
        async with running(settings, "nexus") as first:
            await bus.publish(subjects.TASK_FINISHED, Finished(status="failed", agent="nexus"), task="t1")
            await first.feels("task t1 failed")
            await stimulate(bus, "nexus", event="blame", cause="slow")
        before = [e.event_id for e in await states(bus, "nexus")]
        async with running(settings, "nexus") as again:
            await stimulate(bus, "nexus", event="relief", cause="again")
            assert again.emotion.affect("nexus") is not None
        assert [e.event_id for e in await states(bus, "nexus")][:-1] == before

    async def test_what_happened_while_it_was_down_is_appraised_afterwards_even_behind_a_later_state(
        self, settings: BusSettings, bus: Bus
    ) -> None:
        async with running(settings, "nexus"):
            pass
        await bus.publish(subjects.TASK_FINISHED, Finished(status="failed", agent="nexus"), task="t1")
        await bus.publish(subjects.AFFECT, rules.named((0.0, 0.0, 0.0), "published beside it"), agent="nexus")
        async with running(settings, "nexus") as again:
            await again.feels("task t1 failed")
        assert sum("t1" in e.body.cause for e in await states(bus, "nexus")) == 1
