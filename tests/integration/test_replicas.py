"""Three whole agents in one process, so that a test can say when one of them dies and when all act at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from agents.main import Agent
from agents.profiles import load
from agents.settings import AgentSettings
from agents.synadia.settings import BridgeSettings
from bus import streams, subjects
from bus.cancelling import end
from bus.connection import Bus, Outgoing, Stored
from bus.ids import uuid7
from bus.log import entries
from bus.settings import BusSettings
from schemas.consensus import Attributes, Proposal
from schemas.entry import Entry

NAMES = ["aria", "nexus", "ricardo"]
GOOD = Attributes(benefit=0.9, cost=0.1, risk=0.1, urgency=0.5, reversible=True)


class DiesBeforeItDecides(Bus):
    """A connection over which nothing is written any more from the moment its agent would write a decision."""

    died = False

    async def put(self, out: Outgoing) -> Stored:
        self.died = self.died or out.row is subjects.DECISION
        if self.died:
            await asyncio.Event().wait()
        return await super().put(out)


@asynccontextmanager
async def mesh(settings: BusSettings, kinds: dict[str, type[Bus]]) -> AsyncIterator[dict[str, Agent]]:
    """The three agents, each ready, on connections of these kinds."""
    await streams.declare(settings)
    profiles = load("")
    agents, tasks = {}, []
    for name in NAMES:
        bus = await kinds.get(name, Bus).connect(settings, name)
        agents[name] = Agent(bus, profiles[name], AgentSettings(), BridgeSettings(prompts=False, members=False), frozenset(NAMES))
        ready = asyncio.Event()
        tasks.append(asyncio.create_task(agents[name].run(ready.set, asyncio.Event()), name=name))
        await ready.wait()
    try:
        yield agents
    finally:
        await end(*tasks)
        await asyncio.gather(*tasks, return_exceptions=True)
        for agent in agents.values():
            await agent.bus.close()


async def decided(bus: Bus, count: int) -> list[Any]:
    """The decisions in the log, once there are `count`."""
    async with asyncio.timeout(30):
        while True:
            found = [e for e in await entries(bus, [subjects.DECISION.wildcard]) if isinstance(e, Entry)]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.05)


async def propose(bus: Bus, count: int) -> list[str]:
    idents = [uuid7() for _ in range(count)]
    proposal = Proposal(title="Go on", attributes=GOOD, electorate=NAMES, timeout_s=20)
    for ident in idents:
        await bus.publish(subjects.PROPOSAL, proposal, proposal=ident, agent="gateway")
    return idents


@pytest.mark.parametrize("victim", NAMES)
async def test_a_decision_writer_killed_before_its_write_is_replaced(nats_url: str, prefix: str, victim: str) -> None:
    settings = BusSettings(nats_url=nats_url, prefix=prefix, log_bytes_max=64 * 1024**2)
    async with mesh(settings, {victim: DiesBeforeItDecides}) as agents:
        observer = await Bus.connect(settings, "observer")
        agents[victim].actor._rank = lambda _lot: 0  # it is the first to write
        idents = await propose(observer, 3)
        found = await decided(observer, 3)
        assert sorted(e.tokens["proposal"] for e in found) == sorted(idents)
        assert isinstance(agents[victim].bus, DiesBeforeItDecides)
        assert agents[victim].bus.died
        await observer.close()


async def test_three_replicas_that_decide_at_once_write_one_decision(nats_url: str, prefix: str) -> None:
    settings = BusSettings(nats_url=nats_url, prefix=prefix, log_bytes_max=64 * 1024**2)
    async with mesh(settings, {}) as agents:
        for agent in agents.values():
            agent.actor._rank = lambda _lot: 0  # nobody waits for another
        observer = await Bus.connect(settings, "observer")
        idents = await propose(observer, 20)
        await decided(observer, 20)
        await asyncio.sleep(1.5)  # whoever lost the race would have written by now
        found = await decided(observer, 20)
        assert sorted(e.tokens["proposal"] for e in found) == sorted(idents)
        opened = await entries(observer, [subjects.OPENED.wildcard])
        assert len(opened) == 20
        for entry in found:
            views = [a.consensus._proposals[entry.tokens["proposal"]] for a in agents.values()]
            assert all(msgspec.json.encode(v.decision) == msgspec.json.encode(entry.body) for v in views)
        await observer.close()


async def test_an_outsider_a_second_vote_and_a_late_vote_are_shown_and_not_counted(nats_url: str, prefix: str) -> None:
    settings = BusSettings(nats_url=nats_url, prefix=prefix, log_bytes_max=64 * 1024**2)
    async with mesh(settings, {}):
        observer = await Bus.connect(settings, "observer")
        [ident] = [uuid7()]
        proposal = Proposal(title="By hand", electorate=["one", "two"], timeout_s=1.5)
        await observer.publish(subjects.PROPOSAL, proposal, proposal=ident, agent="one")
        async with asyncio.timeout(10):
            while not await entries(observer, [subjects.OPENED.subject(proposal=ident)]):
                await asyncio.sleep(0.05)
        for agent, choice in (("one", "approve"), ("one", "reject"), ("mallory", "approve")):
            await observer.publish(subjects.VOTE, b'{"choice": "%s"}' % choice.encode(), proposal=ident, agent=agent)
        [decision] = await decided(observer, 1)
        await observer.publish(subjects.VOTE, b'{"choice": "approve"}', proposal=ident, agent="two")
        assert decision.body.status == "expired"
        assert decision.body.tally == {"approve": 1, "reject": 0, "abstain": 0, "absent": 1}
        assert [(v.agent, v.choice, v.counted) for v in decision.body.votes] == [
            ("one", "approve", True),
            ("one", "reject", False),
            ("mallory", "approve", False),
        ]
        await observer.close()
