"""A concept without some of its sources: made of the others, and nothing of the erased ones is left in it."""

import msgspec

from memory.consolidation.run import remade, written
from memory.consolidation.source import Gathering
from memory.consolidation.summary import Extractive
from memory.database import Database
from schemas.concepts import ConceptFormed
from tests.memory.conftest import MakeRow, Remember
from tests.memory.consolidation.told import said

A = "0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000"
TEXTS = ("The pool size of ledger-9 is 20.", "The pool size is 50.", "The pool size is 50 in the evening.")


async def formed(database: Database, make_row: MakeRow, make_concept: MakeRow, remember: Remember, texts: tuple[str, ...]) -> ConceptFormed:
    sources = [msgspec.structs.replace(s, id=f"event-{n}") for n, s in enumerate(said(*texts), 1)]
    body = await written(Gathering(sources=tuple(sources)), Extractive(), "run")
    await remember([make_row(n, text) for n, text in enumerate(texts, 1)])
    fields = {name: getattr(body, name) for name in body.__struct_fields__}
    await remember([make_concept(9, A, **fields)])
    return body


class TestRemade:
    async def test_nothing_of_an_erased_source_is_left_not_even_in_the_name(
        self, database: Database, make_row: MakeRow, make_concept: MakeRow, remember: Remember
    ) -> None:
        before = await formed(database, make_row, make_concept, remember, TEXTS)
        assert b"ledger-9" in msgspec.json.encode(before)
        after = await remade(database, A, {"event-1"}, Extractive())
        assert after is not None
        assert b"ledger" not in msgspec.json.encode(after)
        assert (after.source_episodes, after.consolidated, after.contradicts) == (["event-2", "event-3"], ["event-2", "event-3"], [])

    async def test_of_a_pair_one_alone_is_no_concept(
        self, database: Database, make_row: MakeRow, make_concept: MakeRow, remember: Remember
    ) -> None:
        await formed(database, make_row, make_concept, remember, TEXTS[:2])
        assert await remade(database, A, {"event-1"}, Extractive()) is None
        assert await remade(database, A[:-1] + "9", {"event-1"}, Extractive()) is None

    async def test_a_told_one_keeps_the_words_that_it_was_told_in(
        self, database: Database, make_row: MakeRow, make_concept: MakeRow, remember: Remember
    ) -> None:
        await remember(
            [make_row(1, TEXTS[0]), make_row(2, TEXTS[1]), make_concept(3, A, "pools", "Keep them small.", knowledge_type="rule")]
        )
        fields = {"source_episodes": ["event-1", "event-2"], "origin": "consolidated", "consolidated": ["event-1", "event-2"]}
        await remember([make_concept(4, A, "pools", f"Keep them small.\n{TEXTS[0]}", knowledge_type="rule", **fields)])
        assert await remade(database, A, {"event-1"}, Extractive()) == ConceptFormed(
            concept="pools", content="Keep them small.", knowledge_type="rule", source_episodes=["event-2"]
        )
