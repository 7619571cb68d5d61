"""What an entry that tells of a forgetting does to the tables, and that the order of deliveries changes nothing."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from bus import subjects
from memory.database import Database, Statement
from memory.episode_row import EpisodeRow, episode_row
from schemas.concepts import ConceptFormed
from schemas.entry import Entry
from schemas.forgetting import Forgotten
from tests.memory.conftest import START, MakeRow, Remember

DERIVED = (
    "episodes",
    "passages",
    "unembedded",
    "edges",
    "tasks",
    "semantic_memory",
    "concept_versions",
    "forgettings",
    "forgotten_ids",
    "log_copies",
)


def row_of(seq: int, row: subjects.Subject, body: Any, **tokens: str) -> EpisodeRow:
    return episode_row(
        Entry(
            seq=seq,
            time=START + timedelta(seconds=seq),
            event_id=f"event-{seq}",
            subject=row.subject(**tokens),
            name=row.name,
            tokens=tokens,
            body=body,
        )
    )


def forgotten(seq: int, *ids: str, **fields: Any) -> EpisodeRow:
    return row_of(seq, subjects.FORGOTTEN, Forgotten(ids=list(ids), selector="s", **fields), receipt=f"receipt-{seq}")


async def read(database: Database, sql: str) -> list[asyncpg.Record]:
    return await database.rows(Statement("test", sql))


async def ids(database: Database) -> list[str]:
    return [r["episode_id"] for r in await read(database, "SELECT episode_id FROM memory_system.episodes ORDER BY stream_seq")]


async def late_places(database: Database) -> list[int]:
    return [r["stream_seq"] for r in await read(database, "SELECT stream_seq FROM memory_system.late_places ORDER BY 1")]


async def test_named_events_are_gone_and_what_was_searched_of_them(database: Database, make_row: MakeRow, remember: Remember) -> None:
    await remember([make_row(1), make_row(2), forgotten(3, "event-1")])
    assert await ids(database) == ["event-2", "event-3"]
    owners = await read(database, "SELECT owner FROM memory_system.passages ORDER BY owner")
    assert [r["owner"] for r in owners] == ["event-2", "event-3"]
    assert await read(database, "SELECT FROM memory_system.unembedded") == await read(
        database, "SELECT FROM memory_system.passages WHERE owner = 'event-2'"
    )


async def test_it_is_known_by_its_hash_only(database: Database, make_row: MakeRow, remember: Remember) -> None:
    await remember([make_row(1, "secret"), forgotten(2, "event-1")])
    dumped = await read(database, "SELECT f::text || i::text AS text FROM memory_system.forgettings f, memory_system.forgotten_ids i")
    assert dumped
    assert not [r for r in dumped if "secret" in r["text"] or "event-1" in r["text"]]


@pytest.mark.parametrize("in_one_batch", [True, False])
async def test_what_comes_again_later_is_not_remembered(
    database: Database, make_row: MakeRow, remember: Remember, in_one_batch: bool
) -> None:
    story = [make_row(1), forgotten(2, "event-1", seqs=[1]), make_row(3, event_id="event-1")]
    if in_one_batch:
        await remember(story)
    else:
        for row in story:
            await remember([row])
    assert await ids(database) == ["event-2"]
    assert await late_places(database) == [3]


async def test_further_places_of_an_event_are_found(database: Database, make_row: MakeRow, remember: Remember) -> None:
    await remember([make_row(1), make_row(2, event_id="event-1"), make_row(3)])
    await remember([make_row(4, event_id="event-1"), make_row(3)])
    copies = await read(database, "SELECT episode_id, stream_seq FROM memory_system.log_copies ORDER BY stream_seq")
    assert [tuple(r) for r in copies] == [("event-1", 2), ("event-1", 4)]
    await remember([forgotten(5, "event-1", seqs=[1, 2])])
    assert await late_places(database) == [4]
    assert await read(database, "SELECT FROM memory_system.log_copies") == []


def consolidated(seq: int, ident: str, *sources: str) -> EpisodeRow:
    body = ConceptFormed(concept="c", content="x", source_episodes=list(sources), consolidated=list(sources), origin="consolidated")
    return row_of(seq, subjects.CONCEPT, body, concept=ident)


GONE, ANEW, KEPT = (str(uuid.UUID(int=n)) for n in range(3))


def story_of_concepts(make_row: MakeRow) -> list[EpisodeRow]:
    """Two episodes, a concept on the first, one on both in two versions and a told one; the first is forgotten, one told anew."""
    return [
        make_row(1),
        make_row(2),
        consolidated(3, GONE, "event-1"),
        consolidated(4, ANEW, "event-1"),
        consolidated(5, ANEW, "event-1", "event-2"),
        row_of(6, subjects.CONCEPT, ConceptFormed(concept="c", content="x"), concept=KEPT),
        forgotten(9, *(f"event-{n}" for n in (1, 3, 4, 5)), concepts=[GONE], rewritten=[ANEW], seqs=[1, 3, 4, 5]),
        consolidated(10, ANEW, "event-2"),
    ]


async def test_a_concept_is_gone_with_every_version_and_may_be_told_anew(database: Database, make_row: MakeRow, remember: Remember) -> None:
    await remember(story_of_concepts(make_row))
    versions = await read(database, "SELECT id::text, version, log_position FROM memory_system.concept_versions ORDER BY id")
    assert [tuple(r) for r in versions] == [(ANEW, 1, 10), (KEPT, 1, 6)]
    known = await read(database, "SELECT id::text FROM memory_system.semantic_memory ORDER BY id")
    assert [r["id"] for r in known] == [ANEW, KEPT]
    late = row_of(11, subjects.CONCEPT, ConceptFormed(concept="c", content="x"), concept=GONE)
    await remember([late])
    assert await late_places(database) == [11]


async def test_what_a_concept_held_waits_again_until_it_is_told_anew(database: Database, make_row: MakeRow, remember: Remember) -> None:
    *story, anew = story_of_concepts(make_row)
    await remember(story)
    assert await waiting(database) == ["event-2"]
    await remember([anew])
    assert await waiting(database) == []


async def waiting(database: Database) -> list[str]:
    """What waits for consolidation, which must be what no concept holds."""
    queued = await read(
        database, "SELECT e.episode_id FROM memory_system.unconsolidated AS q JOIN memory_system.episodes AS e USING (id) ORDER BY 1"
    )
    held = await read(database, "SELECT episode_id FROM memory_system.episodes WHERE NOT consolidated AND action_type = 'note' ORDER BY 1")
    assert queued == held
    return [r["episode_id"] for r in queued]


async def test_a_concept_that_was_consolidated_meanwhile_is_forgotten_too(
    database: Database, make_row: MakeRow, remember: Remember
) -> None:
    concept = ConceptFormed(concept="c", content="x", source_episodes=["event-1"], origin="consolidated")
    await remember([make_row(1), forgotten(2, "event-1", seqs=[1]), row_of(3, subjects.CONCEPT, concept, concept=str(uuid.uuid4()))])
    assert await ids(database) == ["event-2"]
    assert await late_places(database) == [3]


async def test_pieces_of_one_forgetting_add_up(database: Database, remember: Remember) -> None:
    pieces = [row_of(n, subjects.FORGOTTEN, Forgotten(ids=[f"e{n}"], seqs=[n], pieces=2, episodes=n), receipt="r") for n in (1, 2)]
    await remember(pieces[:1])
    (half,) = await read(database, "SELECT seen, pieces FROM memory_system.forgettings")
    assert tuple(half) == (1, 2)
    await remember(pieces[1:])
    (whole,) = await read(database, "SELECT seen, seqs, episodes FROM memory_system.forgettings")
    assert tuple(whole) == (2, [1, 2], 3)


async def contents(database: Database) -> dict[str, list[Any]]:
    """Every derived row, without the numbers that PostgreSQL gives out."""
    found: dict[str, list[Any]] = {}
    for table in DERIVED:
        rows = await read(database, f"SELECT to_jsonb(t) - 'id' - 'passage' AS row FROM memory_system.{table} AS t")
        found[table] = sorted(r["row"] for r in rows)
    return found


def story_of_episodes(make_row: MakeRow) -> list[EpisodeRow]:
    return [
        make_row(1),
        make_row(2, tags=["t"]),
        make_row(3, event_id="event-1"),
        forgotten(4, "event-1", seqs=[1, 3], episodes=1),
        make_row(5),
    ]


@pytest.mark.parametrize("tell", [story_of_episodes, story_of_concepts])
async def test_a_log_with_holes_gives_the_same_tables(
    database: Database, make_row: MakeRow, remember: Remember, tell: Callable[[MakeRow], list[EpisodeRow]]
) -> None:
    story = tell(make_row)
    await remember(story)
    lived = await contents(database)
    await database.rows(Statement("test", f"TRUNCATE {', '.join(f'memory_system.{t}' for t in DERIVED)} CASCADE"))
    holes = {seq for row in story if isinstance(row.entry.body, Forgotten) for seq in row.entry.body.seqs}
    await remember([row for row in story if row.stream_seq not in holes])
    assert await contents(database) == lived
