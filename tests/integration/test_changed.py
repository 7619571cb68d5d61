"""`memory.changed.>`, heard by a bare NATS client: each change once, after its commit, readable at once; nothing else."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec
import nats
from nats.aio.msg import Msg

from bus import entries, subjects
from bus.connection import Bus
from memory.database import statement
from memory.settings import MemorySettings
from schemas.concepts import ConceptRequest
from schemas.learning import Lesson
from schemas.memory import Action, WorkingKey, WorkingPut
from tests.integration.acting import actor
from tests.integration.test_memory_actor import settings

__all__ = ["settings"]

WAIT_S = 15.0
LOOK_S = 0.5
"""How long nothing may be heard."""


class Listener:
    """Hears every change, and reads at once what it was told of."""

    def __init__(self, nc: nats.NATS, bus: Bus) -> None:
        self._nc = nc
        self._bus = bus
        self.heard: list[tuple[str, dict[str, Any], dict[str, Any]]] = []

    async def hear(self, msg: Msg) -> None:
        told = json.loads(msg.data)
        self.heard.append((self._bus.plain(msg.subject), told, await self._read(told)))

    async def _read(self, told: dict[str, Any]) -> dict[str, Any]:
        row, body = {
            "working": (subjects.MEMORY_WORKING_GET, {"session_id": "s", "key": told["id"]}),
            "concept": (subjects.MEMORY_SEMANTIC_GET, {"id": told["id"]}),
        }.get(told["kind"], (subjects.MEMORY_GET, {"id": told["id"]}))
        reply = await self._nc.request(self._bus.wire(row.subject()), json.dumps(body).encode(), timeout=5)
        answer: dict[str, Any] = json.loads(reply.data)
        return answer

    async def of(self, kind: str, count: int = 1) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
        """What was heard of this kind, as soon as it is so much."""
        async with asyncio.timeout(WAIT_S):
            while len(found := [h for h in self.heard if h[1]["kind"] == kind]) < count:
                await asyncio.sleep(0.02)
        return found


@asynccontextmanager
async def listening(bus: Bus) -> AsyncIterator[Listener]:
    nc = await nats.connect(bus.settings.nats_url)
    listener = Listener(nc, bus)
    await nc.subscribe(bus.wire("memory.changed.>"), cb=listener.hear)
    await nc.flush()
    yield listener
    await nc.close()


async def test_every_kind_is_announced_and_can_be_read_at_once(bus: Bus, settings: MemorySettings) -> None:
    async with actor(bus.settings, settings), listening(bus) as listener:
        episode = await bus.publish(subjects.EPISODE, Action(action_type="note", action_details={"text": "seen"}), agent="ops")
        lesson = await bus.publish(subjects.LESSON, Lesson(topic="pg", content="vacuum"), agent="aria")
        await bus.ask(subjects.MEMORY_WORKING_PUT, WorkingPut(session_id="s", key="plan", context_data={"step": 1}, agent_id="nexus"))
        concept = await bus.ask(subjects.MEMORY_SEMANTIC_PUT, ConceptRequest(concept="log", content="grows"))

        [(subject, told, read)] = [h for h in await listener.of("episode") if h[1]["id"] == episode.event_id]
        assert subject == subjects.CHANGED.subject(agent="ops", kind="episode")
        assert (told["stream_seq"], read["action_details"]) == (episode.seq, {"text": "seen"})

        [(subject, told, read)] = await listener.of("lesson")
        assert subject == subjects.CHANGED.subject(agent="aria", kind="lesson")
        assert (told["id"], told["stream_seq"], read["kind"]) == (lesson.event_id, lesson.seq, "lesson")

        [(subject, told, read)] = await listener.of("working")
        assert subject == subjects.CHANGED.subject(agent="nexus", kind="working")
        assert (told["id"], read["context_data"]) == ("plan", {"step": 1})

        [(subject, told, read)] = await listener.of("concept")
        assert subject == subjects.CHANGED.subject(agent="mesh", kind="concept")
        assert (told["id"], read["content"]) == (concept.concept_id, "grows")

        await bus.ask(subjects.MEMORY_WORKING_DELETE, WorkingKey(session_id="s", key="plan"))
        assert (await listener.of("working", 2))[1][2]["status"] == 404


async def test_each_event_is_announced_once_in_the_order_of_the_log(bus: Bus, settings: MemorySettings) -> None:
    async with actor(bus.settings, settings), listening(bus) as listener:
        stored = [await bus.publish(subjects.EPISODE, Action(action_type=f"note{n}"), agent="ops") for n in range(60)]
        heard = await listener.of("episode", 60)
        await asyncio.sleep(LOOK_S)
        assert [told["stream_seq"] for _, told, _ in heard] == [s.seq for s in stored]
        assert [read["action_type"] for _, _, read in heard] == [f"note{n}" for n in range(60)]
        assert len(listener.heard) == 60


async def test_what_becomes_no_row_is_not_announced(bus: Bus, settings: MemorySettings) -> None:
    """Malformed, refused by PostgreSQL, or an id that is known with other content."""
    async with actor(msgspec.structs.replace(bus.settings), settings), listening(bus) as listener:
        subject = bus.wire(subjects.EPISODE.subject(agent="ops"))
        await bus.js.publish(subject, b'{"action_type": 5}')
        await bus.js.publish(subject, b'{"action_type": "note"}', headers={entries.MSG_ID: "x" * 300})
        await bus.js.publish(subject, b'{"action_type": "note"}', headers={entries.EVENT_ID: "same"})
        await bus.js.publish(subject, b'{"action_type": "other"}', headers={entries.EVENT_ID: "same"})
        last = await bus.publish(subjects.EPISODE, Action(action_type="last"), agent="ops")
        heard = await listener.of("episode", 2)
        await asyncio.sleep(LOOK_S)
        assert [told["id"] for _, told, _ in listener.heard] == ["same", last.event_id]
        assert heard[0][2]["action_type"] == "note"


async def test_nothing_is_announced_before_its_commit(bus: Bus, settings: MemorySettings) -> None:
    """The transaction is held at its last statement, its rows written already."""
    holder = await asyncpg.connect(settings.postgres_dsn)
    async with actor(bus.settings, settings), listening(bus) as listener:
        async with holder.transaction():
            await holder.execute(statement("stop_advancing").sql)
            stored = await bus.publish(subjects.EPISODE, Action(action_type="note"), agent="ops")
            async with asyncio.timeout(WAIT_S):
                while not await holder.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                    await asyncio.sleep(0.02)
            await asyncio.sleep(LOOK_S)
            assert listener.heard == []
        [(_, told, read)] = await listener.of("episode")
        assert (told["id"], read["action_type"]) == (stored.event_id, "note")
    await holder.close()
