"""The memory actor: builds its parts once, in order, and runs them until it is told to stop."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Final

from bus.connection import Bus
from bus.errors import Unavailable
from bus.log import bounds
from bus.settings import BusSettings
from memory import migrations
from memory.arrivals import Arrivals
from memory.cache import Cache
from memory.concept_versions import Concepts
from memory.consolidation.run import Consolidation
from memory.continuity import Continuations
from memory.database import Database, end_lost, open_when_there
from memory.embedder import Embedder
from memory.embedding import Embedding, opened
from memory.fold import Fold, Projection
from memory.forgetting.eraser import Eraser
from memory.forgetting.forgetter import Forgetter
from memory.forgetting.letters import Letters
from memory.forgetting.projection import Forgetting
from memory.graph import EdgeProjection
from memory.open_tasks import TaskProjection
from memory.passages import Passages
from memory.persister import Persister
from memory.questions import Questions
from memory.recalls import Recalls
from memory.sealing.keys import kept
from memory.sealing.sealer import Sealer
from memory.search import Search
from memory.settings import MemorySettings
from memory.space_index import keep_whole
from memory.spaces import claim_space, clear_away
from memory.stats import Stats
from memory.tally import Tally
from memory.working import WorkingMemory

log = logging.getLogger("cerebro.memory")

NAME: Final = "memory"
NATS_PAUSE_S: Final = 1.0
GRACE: Final = 3
"""How many looks at the queue an actor of the former space has before its vectors are deleted: at the first it ends."""


async def run(bus: BusSettings, settings: MemorySettings, ready: Callable[[], None], stop: asyncio.Event) -> None:
    """Persist the log and answer questions about it until `stop` is set; `ready` is called once, when both can be done.

    Waits for NATS and PostgreSQL as long as it takes, and starts without Redis. Raises what will not pass: a wrong
    password, a failed migration, `SpaceMismatch`.
    """
    acting = asyncio.create_task(_act(bus, settings, ready), name="memory actor")
    stopping = asyncio.create_task(stop.wait(), name="memory waits for its stop")
    try:
        await asyncio.wait({acting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        acting.cancel()
        stopping.cancel()
        await asyncio.wait({acting, stopping})
    if not acting.cancelled():
        acting.result()


async def _act(bus_settings: BusSettings, settings: MemorySettings, ready: Callable[[], None]) -> None:
    async with AsyncExitStack() as held:
        database = await open_when_there(settings, migrations.apply)
        held.push_async_callback(database.close)
        embedding = await held.enter_async_context(opened(settings))
        bus = await _connected(bus_settings)
        held.push_async_callback(bus.close)
        cache = Cache(settings.redis_url, bus_settings.prefix, settings.redis_timeout_s, settings.redis_retry_s)
        held.push_async_callback(cache.close)
        await _serve(bus, settings, database, cache, embedding, ready)


async def _connected(settings: BusSettings) -> Bus:
    """The connection, once the server answers and the log is there (the launcher, or an operator, declares it)."""
    said = ""
    while True:
        bus = None
        try:
            bus = await Bus.connect(settings, NAME)
            await bus.log_incarnation()
            return bus
        except Unavailable as e:
            if str(e) != said:
                said = str(e)
                log.warning("waiting for NATS: %s", e)
        if bus is not None:
            await bus.close()
        await asyncio.sleep(NATS_PAUSE_S)


async def _serve(
    bus: Bus, settings: MemorySettings, database: Database, cache: Cache, embedding: Embedding | None, ready: Callable[[], None]
) -> None:
    """Wire the parts and run them; ends only by being cancelled or by an error of one of them."""
    arrivals = Arrivals(database, embeds=embedding is not None, recheck_s=settings.await_recheck_s)
    space = await claim_space(database, embedding.model, embedding.dimensions) if embedding is not None else None
    embedder = Embedder(database, embedding, space, arrivals, settings) if embedding is not None and space is not None else None
    fold = Fold(database, projections(database))
    tally = Tally()
    persister = Persister(bus, database, fold, arrivals, tally, settings, announce=embedder.wake if embedder else _nobody)
    working = WorkingMemory(database, cache)
    search = Search(database, cache, embedding, space, settings)
    recalls = Recalls(database, settings)
    consolidation = Consolidation(bus, database, arrivals, settings)
    continuations = Continuations(database, working, settings)
    letters = Letters(bus)
    eraser = Eraser(bus, database, cache, letters, settings)
    forgetter = Forgetter(bus, database, working, letters, eraser, settings.forget_events_max)
    sealer = Sealer(bus, database, kept(Path(settings.seal_keys_dir)) if settings.seal_keys_dir else None, settings)
    stats = Stats(database, cache, tally, partial(_log_end, bus), embedding, space)
    questions = Questions(bus, database, search, working, arrivals, continuations, stats, recalls, consolidation, forgetter)
    service = questions.service(settings.awaiting_max)
    await service.start()
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(persister.run(), name="persister")
            tasks.create_task(cache.keep_trying(), name="cache")
            tasks.create_task(recalls.run(), name="recalls")
            tasks.create_task(consolidation.run(), name="consolidation")
            tasks.create_task(sweep(working, settings), name="sweeper")
            tasks.create_task(eraser.run(), name="eraser")
            tasks.create_task(bus.while_admitted(), name="admitted")
            tasks.create_task(sealer.run(), name="sealer")
            tasks.create_task(end_lost(database, settings), name="lost sessions")
            if embedder is not None and space is not None:
                tasks.create_task(keep_whole(database, space, settings), name="index of vectors")
                tasks.create_task(embedder.run(), name="embedder")
                tasks.create_task(
                    clear_away(database, space, settings.reconnect_pause_s, GRACE * settings.embed_every_s), name="former spaces"
                )
            ready()
    finally:
        await service.stop()


async def _log_end(bus: Bus) -> int:
    """The latest place of the log. Raises `Unavailable` or `TimedOut`."""
    return (await bounds(bus))[1]


def projections(database: Database) -> list[Projection]:
    """Everything that is derived from the log beside the episodes, in the order in which it is kept."""
    return [Passages(database), Concepts(database), EdgeProjection(database), TaskProjection(database), Forgetting(database)]


async def sweep(working: WorkingMemory, settings: MemorySettings) -> None:
    """Delete expired working memory, for ever."""
    while True:
        try:
            while await working.sweep(settings.sweep_len_max) == settings.sweep_len_max:
                pass
        except Unavailable as e:
            log.debug("the sweeper waits: %s", e)
        await asyncio.sleep(settings.sweep_every_s)


def _nobody() -> None:
    """Nobody embeds here."""
