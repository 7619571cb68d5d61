"""What is logged of members is logged once, whoever is how far in the log."""

from agents.members.actor import Members
from bus import presence, subjects
from bus.connection import Bus
from bus.log import entries
from schemas.entry import Entry
from schemas.members import MembershipChange, Profile
from tests.integration.rest import eventually

OPS = Profile(role="tester", skills=["look"])


async def logged(bus: Bus) -> list[Entry]:
    return [e for e in await entries(bus, [subjects.MEMBER.wildcard]) if isinstance(e, Entry)]


async def test_what_another_one_has_logged_between_a_look_and_the_duty_is_not_logged_again(bus: Bus) -> None:
    members = Members(bus, "nexus", "1", frozenset({"nexus"}))
    await members.listen()
    await presence.beat(bus, "ops", "1", OPS)

    async def due() -> bool:
        return bool(members.duties(bus.now()))

    await eventually(due)
    [joined] = members.duties(bus.now())
    await bus.publish(subjects.MEMBER, MembershipChange(status="joined", instance="1", profile=OPS), agent="ops", expect_last_seq=0)
    for entry in await logged(bus):
        members.apply(entry)  # it is read just before the duty begins
    await joined.run()
    assert [(e.agent, e.body.status) for e in await logged(bus)] == [("ops", "joined")]
