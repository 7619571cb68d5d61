"""How the score of a hit goes on along the graph: the arithmetic, and what a search makes of it."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from bus import subjects
from memory.arms import filters_of
from memory.database import Database
from memory.episode_row import EpisodeRow
from memory.fusion import Found, Fused
from memory.settings import MemorySettings
from memory.spreading import Spreading, spread
from schemas.consensus import Vote
from schemas.memory import SearchRequest
from tests.memory.conftest import START
from tests.memory.logged import logged

MakeRow = Callable[..., EpisodeRow]
Remember = Callable[[Sequence[EpisodeRow]], Any]

LOOSE: dict[str, Any] = {"damping": 0.5, "rounds": 50}


class TestSpread:
    def test_without_edges_nothing_changes(self) -> None:
        assert spread({"a": 0.3, "b": 0.2}, [], **LOOSE) == {"a": 0.3, "b": 0.2}

    def test_a_neighbour_of_a_hit_gets_a_share(self) -> None:
        after = spread({"a": 1.0}, [("a", "b", 1.0)], damping=0.5, rounds=1)
        assert after == {"a": 1.0, "b": 0.5}

    def test_it_is_personalised_page_rank_but_for_the_factor(self) -> None:
        """p = s + d·Wᵀp, solved by hand for a–b, b–c with s = (1, 0, 0)."""
        after = spread({"a": 1.0}, [("a", "b", 1.0), ("b", "c", 1.0)], **LOOSE)
        assert after["a"] == pytest.approx(1 + 0.25 * after["b"])
        assert after["b"] == pytest.approx(0.5 * after["a"] + 0.5 * after["c"])
        assert after["c"] == pytest.approx(0.25 * after["b"])

    def test_a_hit_that_others_lead_to_passes_one_that_stands_alone(self) -> None:
        after = spread({"alone": 0.11, "met": 0.1, "near": 0.1}, [("met", "near", 1.0)], **LOOSE)
        assert after["met"] > after["alone"]

    def test_no_hit_loses(self) -> None:
        scores = {"hub": 0.5, "other": 0.2}
        after = spread(scores, [("hub", f"n{n}", 1.0) for n in range(100)] + [("other", "n1", 1.0)], **LOOSE)
        assert all(after[node] >= score for node, score in scores.items())

    def test_the_stronger_edge_takes_more(self) -> None:
        after = spread({"a": 1.0}, [("a", "strong", 1.0), ("a", "weak", 0.25)], damping=0.5, rounds=1)
        assert (after["strong"], after["weak"]) == (pytest.approx(0.4), pytest.approx(0.1))

    def test_the_sum_is_bounded_by_the_damping(self) -> None:
        links = [(f"n{a}", f"n{b}", 1.0) for a in range(10) for b in range(a)]
        after = spread({"n0": 1.0, "n5": 0.5}, links, **LOOSE)
        assert sum(after.values()) <= 1.5 / (1 - 0.5) + 1e-9


def hit(ident: str, score: float) -> Fused:
    return Fused(Found("episode", ident), score, 1, None)


@pytest.fixture
def spreading(database: Database, settings: MemorySettings) -> Spreading:
    return Spreading(database, settings)


class TestOverASearch:
    """event-1 ← event-2 ← event-3: each names the one before. Nothing else hangs together."""

    @pytest_asyncio.fixture(autouse=True)
    async def _remembered(self, make_row: MakeRow, remember: Remember) -> None:
        named = {2: "event-1", 3: "event-2"}
        agents = {1: "nexus", 2: "aria", 3: "nexus", 4: "nexus"}
        await remember([make_row(n, agent=agents[n], tags=[f"tag-{n}"], action_details={"episode": named.get(n, "")}) for n in range(1, 5)])

    async def found(self, spreading: Spreading, *hits: Fused, **fields: Any) -> list[str]:
        asked = SearchRequest(query="q", spread=True, **fields)
        return [f.found.id for f in await spreading.over(hits, filters_of(asked, None))]

    async def test_neighbours_come_in_the_nearer_first(self, spreading: Spreading) -> None:
        assert await self.found(spreading, hit("event-1", 1.0)) == ["event-1", "event-2", "event-3"]

    async def test_hits_that_hang_together_pass_one_that_does_not(self, spreading: Spreading) -> None:
        hits = (hit("event-4", 0.11), hit("event-1", 0.1), hit("event-2", 0.1))
        assert (await self.found(spreading, *hits))[:3] == ["event-2", "event-1", "event-4"]

    async def test_a_neighbour_passes_the_filters_or_stays_out(self, spreading: Spreading) -> None:
        for filters in ({"agent_id": "nexus"}, {"tags": ["tag-3"]}, {"since": START + timedelta(seconds=3)}):
            assert await self.found(spreading, hit("event-1", 1.0), **filters) == ["event-1", "event-3"]
        assert await self.found(spreading, hit("event-1", 1.0), kinds=["lesson"]) == ["event-1"]

    async def test_it_spreads_over_what_was_known_then(self, spreading: Spreading) -> None:
        for as_of in (2, START + timedelta(seconds=2)):
            assert await self.found(spreading, hit("event-1", 1.0), as_of=as_of) == ["event-1", "event-2"]

    async def test_a_neighbour_has_no_rank_in_an_arm(self, spreading: Spreading) -> None:
        found = await spreading.over([hit("event-1", 1.0)], filters_of(SearchRequest(query="q"), None))
        assert [(f.text, f.vector) for f in found] == [(1, None), (None, None), (None, None)]

    async def test_nothing_found_stays_nothing(self, spreading: Spreading) -> None:
        assert await self.found(spreading) == []

    async def test_a_reference_takes_more_than_a_mention(self, spreading: Spreading, make_row: MakeRow, remember: Remember) -> None:
        referred = "0192f0c0-0000-7000-8000-00000000000a"
        await remember(
            [
                make_row(5, event_id=referred),
                make_row(7, event_id="0"),
                make_row(6, action_details={"episode": "0"}, cross_reference=referred),
            ]
        )
        assert await self.found(spreading, hit("event-6", 1.0)) == ["event-6", referred, "0"]

    async def test_agents_are_no_bridges(self, spreading: Spreading, remember: Remember) -> None:
        """A vote's score goes to its proposal and back, and nowhere else: 1 + 1/4 + 1/16 + …"""
        votes = [logged(n, subjects.VOTE, Vote(choice="approve"), proposal=f"p{n}", agent="aria") for n in (10, 11)]
        await remember(votes)
        found = await spreading.over([hit("event-10", 1.0)], filters_of(SearchRequest(query="q"), None))
        assert [(f.found.id, f.score) for f in found] == [("event-10", pytest.approx(sum(0.25**k for k in range(6))))]
