"""What the state of memory calls for."""

from datetime import UTC, datetime
from typing import Any

from agents.skills.memory_management import DUPLICATE_IDS_MAX, Advice, Duplicate, Held, advise, duplicates, held_of
from schemas.memory import Holdings, MemoryStats, SourceHeld
from tests.agents.skills.hits import episode

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def held(**fields: Any) -> Held:
    known: dict[str, Any] = {
        "episodes": 1_000, "told": 1_000, "unconsolidated": 0, "waiting": 0, "concepts": 0, "lessons": 0, "working": 0,
        "working_expired": 0, "working_long_lived": 0, "unembedded": 0, "storage_bytes": {}, "largest": [], "oldest": [],
        "importance": [0, 0, 0, 0, 1_000, 0, 0, 0, 0, 0], "duplicates": [], "looked_at": 0,
    }  # fmt: skip
    return Held(**{**known, **fields})


def advice(agent_id: str | None = None, **fields: Any) -> list[Advice]:
    return advise(held(**fields), agent_id, NOW)


def source(agent_id: str, episodes: int, newest: str = "2026-11-22T09:00:00.000000Z") -> SourceHeld:
    return SourceHeld(agent_id=agent_id, episodes=episodes, unconsolidated=0, oldest="2026-01-01T00:00:00.000000Z", newest=newest)


class TestAdvice:
    def test_where_all_is_well_there_is_none(self) -> None:
        assert advice() == []
        assert advice(episodes=0, importance=[0] * 10) == []

    def test_much_that_is_not_consolidated_is_to_be(self) -> None:
        [told] = advice(waiting=700)
        assert (told.action, told.call) == ("consolidate", "POST /memory/consolidate {}")
        [told] = advice("nexus", waiting=700)
        assert told.call == 'POST /memory/consolidate {"agent_id":"nexus"}'

    def test_what_was_looked_at_and_is_like_nothing_else_stays_as_it_is(self) -> None:
        assert advice(unconsolidated=900, waiting=0) == []

    def test_little_is_left_for_the_schedule(self) -> None:
        assert advice(told=10, waiting=10) == []
        assert advice(episodes=100_000, told=50_000, waiting=700, importance=[10_000] * 10) == []

    def test_many_without_a_vector_are_to_be_embedded(self) -> None:
        [told] = advice(episodes=4_000, unembedded=2_000, importance=[400] * 10)
        assert (told.action, told.call) == ("reembed", "cerebro memory reembed")
        assert advice(episodes=100_000, unembedded=2_000, importance=[10_000] * 10) == []

    def test_duplicates_may_go_but_for_the_oldest(self) -> None:
        [told] = advice(duplicates=[Duplicate(agent_id="nexus", action_type="note", text="x", count=3, ids=["e1", "e2", "e3"])])
        assert (told.action, told.call) == ("forget", "DELETE /memory/episodic/e2 and DELETE /memory/episodic/e3")

    def test_an_agent_long_unheard_may_be_forgotten(self) -> None:
        sources = [source("nexus", 500), source("old", 500, "2026-01-02T00:00:00.000000Z")]
        [told] = advice(largest=sources, oldest=sources[::-1])
        assert (told.action, told.call) == ("forget", 'POST /memory/forget {"agent_id":"old"}')
        assert "which nothing brings back" in told.reason

    def test_an_agent_that_outweighs_the_others_is_told(self) -> None:
        [told] = advice(largest=[source("loud", 900), source("nexus", 100)])
        assert "900 of 1000 episodes are of loud" in told.reason
        assert advice("loud", largest=[source("loud", 900)]) == []

    def test_working_memory_that_is_kept_for_days_is_told(self) -> None:
        [told] = advice(working_long_lived=3)
        assert told.action == "shorten"

    def test_importance_that_says_little_is_told(self) -> None:
        [told] = advice(importance=[0, 300, 600, 100, 0, 0, 0, 0, 0, 0])
        assert "900 of 1000 episodes are less important than 0.3" in told.reason

    def test_the_urgent_comes_first(self) -> None:
        told = advice(working_long_lived=3, waiting=700)
        assert [a.urgency for a in told] == ["soon", "note"]


class TestDuplicates:
    def test_the_same_in_other_letters_and_spaces(self) -> None:
        rows = [
            episode("e2", "Disk  FULL", timestamp="2026-11-22T10:00:01.000000Z"),
            episode("e1", "disk full", timestamp="2026-11-22T10:00:00.000000Z"),
            episode("e3", "disk empty"),
        ]
        [found] = duplicates(rows)
        assert (found.ids, found.count, found.text) == (["e1", "e2"], 2, "disk full")

    def test_of_another_agent_session_or_tag_it_is_another(self) -> None:
        assert duplicates([episode("e1", "x"), episode("e2", "x", agent_id="aria"), episode("e3", "x", session_id="s")]) == []
        assert duplicates([episode("e1", "x"), episode("e2", "x", tags=["t"])]) == []

    def test_many_are_counted_and_some_are_named(self) -> None:
        [found] = duplicates([episode(f"e{n:02}", "x") for n in range(40)])
        assert (found.count, len(found.ids)) == (40, DUPLICATE_IDS_MAX)

    def test_what_the_protocols_repeat_is_none(self) -> None:
        stats = MemoryStats(
            episodes=4, concepts=1, lessons=2, working=0, persisted_seq=9, unembedded=0, db_connections=4, rss_bytes=1, storage_bytes={},
            parts={}, queries={},
        )  # fmt: skip
        holdings = Holdings(
            episodes=4, told=3, unconsolidated=3, waiting=1, importance=[0] * 10, sources=[], working_expired=0,
            working_long_lived=0,
        )  # fmt: skip
        rows = [episode(f"p{n}", subject="mesh.emotion.nexus") for n in range(2)]
        rows += [episode(f"e{n}", subject="memory.episode.nexus") for n in range(2)]
        found = held_of(stats, holdings, rows)
        assert ([d.ids for d in found.duplicates], found.looked_at, found.unconsolidated) == ([["e0", "e1"]], 2, 3)
