"""A mesh that remembers many synthetic episodes, as it would if it had lived: each is on its log, was persisted from there, and has a
vector. The vectors are synthetic, for the model takes hours for a million; but those of `KNOWN` are its own.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

from pgvector import HalfVector

from bench import synthetic
from bus import subjects
from bus.connection import Bus, Outgoing
from memory.database import Database, statement
from memory.minilm import MiniLM
from memory.spaces import claim_space
from schemas.memory import Action, Await

BATCH: Final = 500
PUBLISHERS: Final = 2
WINDOW_LEN: Final = 2_000
KNOWN: Final = ("The spare key lies under the third flower pot.", "On Thursday the ferry to the island leaves an hour late.")
"""What is looked for afterwards: what stands in the middle of the rest, and what was said after the backup."""
AWAIT_S: Final = 60

WITHOUT_VECTOR: Final = "SELECT id, content || labels AS text FROM memory_system.passages WHERE id > $1 ORDER BY id LIMIT $2"
PUT: Final = """
INSERT INTO memory_system.vectors (space, passage, embedding)
SELECT $1, given.passage, given.embedding FROM unnest($2::bigint[], $3::halfvec[]) AS given (passage, embedding)
ON CONFLICT DO NOTHING
"""
UNQUEUE: Final = "TRUNCATE memory_system.unembedded"


def said(text: str) -> Outgoing:
    """An episode of these words."""
    agent = synthetic.agent(0)
    return Outgoing(row=subjects.EPISODE, body=Action(action_type="note", action_details={"text": text}), tokens={"agent": agent})


def made_up(numbers: Sequence[int]) -> list[Outgoing]:
    """Synthetic episodes as they are published."""
    return [Outgoing(row=subjects.EPISODE, body=synthetic.action(n), tokens={"agent": synthetic.agent(n)}) for n in numbers]


async def publish(bus: Bus, given: Iterator[list[Outgoing]]) -> None:
    """Put them on the log, in order but for two publishers at once, and wait until all are persisted."""
    last = (0, "")

    async def some() -> None:
        nonlocal last
        for batch in given:
            stored = (await bus.publish_batch(batch))[-1]
            last = max(last, (stored.seq, stored.event_id))

    async with asyncio.TaskGroup() as group:
        for number in range(PUBLISHERS):
            group.create_task(some(), name=f"publisher {number}")
    while not (await bus.ask(subjects.MEMORY_AWAIT, Await(id=last[1], timeout_s=AWAIT_S), timeout_s=AWAIT_S + 5)).persisted:
        pass


async def live(bus: Bus, size: int) -> None:
    """So many episodes, and in the middle of them what is known."""
    await publish(bus, batches(range(size), KNOWN[0]))


def batches(numbers: Sequence[int], known: str) -> Iterator[list[Outgoing]]:
    """Batches of synthetic episodes, with a known one in the middle."""
    for at in range(0, len(numbers), BATCH):
        middle = at <= len(numbers) // 2 < at + BATCH
        yield made_up(numbers[at : at + BATCH]) + ([said(known)] if middle else [])


async def give_vectors(database: Database) -> int:
    """A vector for each passage, in the space of MiniLM; how many."""
    model = MiniLM()
    space = await claim_space(database, model.model, model.dimensions)
    given = after = 0
    async with database.connection() as connection:
        await connection.execute(statement("drop_space_index", space=space.id).sql)  # or each vector takes milliseconds
        while rows := await connection.fetch(WITHOUT_VECTOR, after, WINDOW_LEN):
            made = synthetic.vectors(range(after, after + len(rows)), model.dimensions)
            vectors = [HalfVector(model.embed([r["text"]])[0] if KNOWN[0] in r["text"] else v) for r, v in zip(rows, made, strict=True)]
            await connection.execute(PUT, space.id, [row["id"] for row in rows], vectors)
            after, given = rows[-1]["id"], given + len(rows)
        await connection.execute(UNQUEUE)
    return given
