"""Semantic memory: concepts with their sources, paged newest first."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from bus.errors import Refused
from memory.concepts import get_concept, list_concepts, put_concept
from memory.database import Database
from memory.episode_row import EpisodeRow
from schemas.concepts import ConceptFilter, ConceptRequest


class TestConcepts:
    async def test_a_concept_comes_back_with_the_sources_that_are_known(
        self, database: Database, make_row: Callable[..., EpisodeRow], remember: Callable[[Sequence[EpisodeRow]], Any]
    ) -> None:
        await remember([make_row(1), make_row(2)])
        sources = ["event-2", "event-1", "never-seen"]
        put = await put_concept(database, ConceptRequest(concept="c", content="text", confidence_score=0.8, source_episodes=sources))
        got = await get_concept(database, put.concept_id)
        assert (got.confidence_score, got.source_episodes) == (0.8, sources)
        assert [source.episode_id for source in got.sources] == ["event-2", "event-1"]

    @pytest.mark.parametrize("ident", ["0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000", "no uuid", "\0"])
    async def test_an_unknown_one_is_not_found(self, database: Database, ident: str) -> None:
        with pytest.raises(Refused) as refused:
            await get_concept(database, ident)
        assert refused.value.problem().status == 404

    async def test_pages_and_filters(self, database: Database) -> None:
        for n in range(7):
            kind = "rule" if n % 2 else "general"
            await put_concept(
                database, ConceptRequest(concept=f"c{n}", content="about databases", knowledge_type=kind, confidence_score=n / 10)
            )
        first = await list_concepts(database, ConceptFilter(limit=4))
        second = await list_concepts(database, ConceptFilter(limit=4, before=first.next_before))
        assert [c.concept for c in first.concepts + second.concepts] == [f"c{n}" for n in range(6, -1, -1)]
        assert second.next_before is None
        asked = ConceptFilter(query="which database?", knowledge_type="rule", confidence_min=0.2)
        assert [c.concept for c in (await list_concepts(database, asked)).concepts] == ["c5", "c3"]

    async def test_nul_is_replaced(self, database: Database) -> None:
        assert (await put_concept(database, ConceptRequest(concept="a\0", content="b\0"))).content == "b\ufffd"
