"""What is counted of what the log brings, and how many names at most."""

from datetime import UTC, datetime
from typing import Any

from bus import subjects
from bus.log import Delivery
from memory.tally import AGENTS_MAX, OTHERS, Tally
from schemas.entry import Malformed


def delivery(subject: str, delivered: int = 1) -> Delivery:
    entry = Malformed(seq=1, time=datetime.now(UTC), event_id="e", subject=subject, reason="", headers={}, data=b"")
    msg: Any = None  # nothing is settled here
    return Delivery(entry, delivered, 0, "memory", msg)


def episode(agent: str) -> str:
    return subjects.EPISODE.subject(agent=agent)


class TestTally:
    def test_messages_are_counted_by_kind_and_by_the_agent_in_their_subject(self) -> None:
        tally = Tally()
        opened = subjects.OPENED.subject(proposal="p")
        tally.add([delivery(episode("nexus")), delivery(episode("aria")), delivery(opened)])
        tally.add([delivery(episode("nexus"))])
        assert tally.counts == {"episode": {"nexus": 2, "aria": 1}, "consensus.opened": {"mesh": 1}}

    def test_what_is_delivered_again_was_counted_before(self) -> None:
        tally = Tally()
        tally.add([delivery(episode("nexus")), delivery(episode("nexus"), 2)])
        assert tally.counts == {"episode": {"nexus": 1}}

    def test_what_is_on_no_subject_of_the_table_is_no_message(self) -> None:
        tally = Tally()
        tally.add([delivery("mesh.learning.a.b.c")])
        assert tally.counts == {}

    def test_agents_beyond_the_limit_are_counted_together(self) -> None:
        tally = Tally()
        tally.add(delivery(episode(f"agent-{n}")) for n in range(AGENTS_MAX + 5))
        tally.add([delivery(episode("agent-0"))])
        assert len(tally.counts["episode"]) == AGENTS_MAX + 1
        assert (tally.counts["episode"][OTHERS], tally.counts["episode"]["agent-0"]) == (5, 2)
