"""Members over a real server: what is logged once, and what is known when an agent says that it is ready."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from agents.members.actor import Members
from agents.settings import AgentSettings
from bus import presence, streams, subjects
from bus.connection import Bus
from bus.errors import Conflict
from bus.ids import uuid7
from bus.log import entries
from bus.settings import BusSettings
from schemas.entry import Entry
from schemas.members import AskAll, MembershipChange, Profile
from tests.integration.nexus import builtin
from tests.integration.rest import eventually


async def logged(bus: Bus) -> list[Entry]:
    return [e for e in await entries(bus, [subjects.MEMBER.subject(agent="guest")]) if isinstance(e, Entry)]


async def test_a_duty_that_is_done_late_does_not_log_what_stands_already(nats_url: str, prefix: str) -> None:
    settings = BusSettings(nats_url=nats_url, prefix=prefix, log_bytes_max=64 * 1024**2)
    await streams.declare(settings)
    bus = await Bus.connect(settings, "aria")
    members, instance, profile = Members(bus, "aria", uuid7(), frozenset({"aria"})), uuid7(), Profile()
    await members.listen()

    async def due() -> bool:
        await presence.beat(bus, "guest", instance, profile)
        await asyncio.sleep(0.1)
        return bool(members.duties(datetime.now(UTC)))

    await eventually(due)
    [duty] = members.duties(datetime.now(UTC))
    await bus.publish(subjects.MEMBER, MembershipChange(status="joined", instance=instance, profile=profile), agent="guest")
    [joined] = await logged(bus)
    members.apply(joined)
    with pytest.raises(Conflict):
        await duty.run()
    assert [e.seq for e in await logged(bus)] == [joined.seq]
    await bus.close()


async def test_one_who_joins_waits_a_beat_for_those_who_join_at_the_same_time(nats_url: str, prefix: str) -> None:
    """Their beat may have come before it listened, and their joining may come onto the log after its own."""
    settings = BusSettings(nats_url=nats_url, prefix=prefix, log_bytes_max=64 * 1024**2)
    await streams.declare(settings)
    bus = await Bus.connect(settings, "aria")
    members = Members(bus, "aria", uuid7(), frozenset({"aria"}))
    await members.listen()
    start = datetime.now(UTC)
    members.duties(start)

    async def known() -> bool:
        await members.beat(Profile())
        return "aria" in members.present()

    await eventually(known)
    await bus.publish(subjects.MEMBER, MembershipChange(status="joined", instance=members.instance, profile=Profile()), agent="aria")
    [joined] = [e for e in await entries(bus, [subjects.MEMBER.subject(agent="aria")]) if isinstance(e, Entry)]
    members.apply(joined)
    settling = asyncio.create_task(members.settle())
    await asyncio.sleep(0)
    members.duties(start + timedelta(seconds=0.9))
    await asyncio.sleep(0)
    assert not settling.done()
    members.duties(start + timedelta(seconds=1.8))
    assert await settling
    await bus.close()


async def test_who_is_ready_is_on_the_log_and_has_heard_everyone(nats_url: str, prefix: str) -> None:
    """Whoever of them answers, from the first question on: all are there."""
    settings = BusSettings(nats_url=nats_url, prefix=prefix, log_bytes_max=64 * 1024**2)
    async with builtin("aria", settings, AgentSettings()), builtin("nexus", settings, AgentSettings()):
        bus = await Bus.connect(settings, "gateway")
        joined = {e.agent for e in await entries(bus, [subjects.MEMBER.wildcard]) if isinstance(e, Entry)}
        views = [await bus.ask(subjects.ASK_AGENTS, AskAll()) for _ in range(20)]
        await bus.close()
    assert joined == {"aria", "nexus"}
    assert [{name: a.status for name, a in view.agents.items()} for view in views] == [dict.fromkeys(joined, "active")] * 20
