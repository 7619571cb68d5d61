"""Episodes in PostgreSQL: once each, paged newest first, and texts of any size found."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from bus.errors import Refused
from memory.database import Database
from memory.episode_row import EpisodeRow
from memory.episodes import get_episodes, recent_episodes
from schemas.memory import RecentFilter
from schemas.words import rfc3339
from tests.memory.conftest import START

MakeRow = Callable[..., EpisodeRow]
Remember = Callable[[Sequence[EpisodeRow]], Any]


class TestInsert:
    async def test_a_row_is_taken_once_however_often_it_comes(self, database: Database, make_row: MakeRow, remember: Remember) -> None:
        rows = [make_row(seq) for seq in range(1, 6)]
        assert await remember(rows) == {1, 2, 3, 4, 5}
        assert await remember(rows) == set()
        assert len((await recent_episodes(database, RecentFilter())).episodes) == 5

    async def test_of_two_with_one_id_in_a_batch_the_first_is_taken(self, make_row: MakeRow, remember: Remember) -> None:
        assert await remember([make_row(1, "first", event_id="e"), make_row(2, "second", event_id="e")]) == {1}

    async def test_a_vocabulary_beyond_a_tsvector_is_indexed_by_its_beginning(
        self, database: Database, make_row: MakeRow, remember: Remember
    ) -> None:
        await remember([make_row(1, "needle " + " ".join(f"w{n:07}x" for n in range(100_000)))])
        found = await database.rows(_matching("needle"))
        assert [row["owner"] for row in found] == ["event-1"]

    async def test_all_fields_come_back(self, database: Database, make_row: MakeRow, remember: Remember) -> None:
        ident = "0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000"
        fields = {
            "action_type": "handoff",
            "action_details": {"nested": [1, 2.5, None, {"x": "ü"}]},
            "context_state": {"phase": "two"},
            "tags": ["b", "a"],
            "cross_reference": ident,
            "project_dna_id": ident,
            "handoff_packet": {"to": "aria"},
            "session_id": "s",
            "importance_score": 0.25,
        }
        await remember([make_row(1, **fields)])
        (view,) = await get_episodes(database, ["event-1"])
        assert {name: getattr(view, name) for name in fields} == fields
        assert (view.timestamp, view.recorded_at) == (rfc3339(START + timedelta(seconds=1)),) * 2


def _matching(term: str) -> Any:
    from memory.database import Statement

    return Statement("test", f"SELECT owner FROM memory_system.passages WHERE search_terms @@ memory_system.any_term('{term}')")


class TestRecent:
    async def test_pages_follow_each_other_without_gap_or_overlap_also_where_times_are_equal(
        self, database: Database, make_row: MakeRow, remember: Remember
    ) -> None:
        await remember([make_row(seq, timestamp=START + timedelta(seconds=seq // 4)) for seq in range(1, 24)])
        seen: list[str] = []
        before = None
        while True:
            page = await recent_episodes(database, RecentFilter(limit=5, before=before))
            seen += [view.episode_id for view in page.episodes]
            if (before := page.next_before) is None:
                break
        assert seen == [f"event-{seq}" for seq in range(23, 0, -1)]

    async def test_the_last_page_says_so(self, database: Database, make_row: MakeRow, remember: Remember) -> None:
        await remember([make_row(seq) for seq in range(1, 6)])
        page = await recent_episodes(database, RecentFilter(limit=5))
        assert (len(page.episodes), page.next_before) == (5, None)

    async def test_filters_hold_together(self, database: Database, make_row: MakeRow, remember: Remember) -> None:
        await remember(
            [
                make_row(1, agent="aria", action_type="a", tags=["x", "y"], importance_score=0.9),
                make_row(2, agent="aria", action_type="b", tags=["x"], importance_score=0.9),
                make_row(3, agent="nexus", action_type="a", tags=["x"], importance_score=0.9),
                make_row(4, agent="aria", action_type="a", tags=["x"], importance_score=0.1),
                make_row(5, agent="aria", action_type="a", tags=["x"], importance_score=0.9),
            ]
        )
        until = START + timedelta(seconds=4)
        asked = RecentFilter(agent_id="aria", action_type="a", tag="x", importance_min=0.5, since=START, until=until)
        assert [view.episode_id for view in (await recent_episodes(database, asked)).episodes] == ["event-1"]

    async def test_a_bad_cursor_is_refused(self, database: Database) -> None:
        with pytest.raises(Refused):
            await recent_episodes(database, RecentFilter(before="nonsense"))
