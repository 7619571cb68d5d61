"""Runs of the consolidation: by request and by schedule, one at a time in the whole mesh.

    lock            an advisory lock of PostgreSQL; whoever holds it is the one that consolidates
    catch up        what was formed before stands in PostgreSQL too, so that nothing is formed from it again
    look            some sources that wait, those alone that are like them, the concepts that share their terms; then `rules.plan`
    form            one entry of the log for each concept, some in one atomic batch; its id and the entry's are derived from the sources
    note            who is alone is not looked at again until something like it comes

A run that is killed has formed what stands in the log, and the next one goes on with the rest: there is no other state. The
projection, not the run, sets `consolidated`; so what waits is what no entry of the log holds.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

import msgspec

from bus import subjects
from bus.connection import Bus, Outgoing
from bus.errors import Unavailable
from bus.ids import derived, uuid7
from bus.log import last_seq
from memory.arrivals import Arrivals
from memory.consolidation import rules
from memory.consolidation.likeness import profiles
from memory.consolidation.reading import Reading
from memory.consolidation.source import Gathering, Plan
from memory.consolidation.summary import Extractive, Summariser
from memory.database import Connection, Database, statement
from memory.positions import PERSISTER, positions
from memory.settings import MemorySettings
from schemas.concepts import ConceptFormed, ConsolidateRequest, ConsolidationReport
from schemas.memory import Await

log = logging.getLogger("cerebro.memory")

LOCK: Final = statement("lock_consolidation")
UNLOCK: Final = statement("unlock_consolidation")
COUNT: Final = statement("count_unexamined")
EXAMINED: Final = statement("mark_examined")
RECORD: Final = statement("record_run")
PRUNE: Final = statement("prune_runs")

LOCK_WAIT_S: Final = 10.0
"""Longest wait of a request for a run of somebody else to end, in seconds."""
CATCH_UP_S: Final = 15.0
"""Longest wait for PostgreSQL to hold what was formed, in seconds."""
LOOK_S: Final = 0.05
"""How often either is looked at, in seconds."""
RUNS_KEPT_MAX: Final = 1_000
"""Most runs that are remembered."""
MORE_TO_DO_S: Final = 1.0
"""Pause of the schedule after a run that left something to do, in seconds."""


class Tally:
    """What a run has done so far. `forgotten_seq`: the last forgetting in the log when it began; ids are derived from it, since those
    of what was forgotten may not be used again.
    """

    def __init__(self, forgotten_seq: int) -> None:
        self.run = uuid7()
        self.forgotten_seq = forgotten_seq
        self.started = datetime.now(UTC)
        self.examined = 0
        self.formed = 0
        self.joined = 0
        self.contradictions = 0
        self.concepts: dict[str, None] = {}

    def add(self, concept_id: str, gathering: Gathering, body: ConceptFormed) -> None:
        """Count a concept that stands in the log now."""
        if gathering.standing is None:
            self.formed += 1
        else:
            self.joined += 1
        self.contradictions += bool(body.statements)
        self.concepts[concept_id] = None

    def report(self, took_s: float, *, complete: bool) -> ConsolidationReport:
        """What its caller is told."""
        return ConsolidationReport(
            run=self.run,
            examined=self.examined,
            formed=self.formed,
            joined=self.joined,
            contradictions=self.contradictions,
            concepts=list(self.concepts),
            complete=complete,
            took_ms=round(took_s * 1000, 3),
        )


class Consolidation:
    """`consolidate` answers `memory.consolidate`; `run` is the schedule. Several may run at once: the lock makes them one."""

    def __init__(
        self, bus: Bus, database: Database, arrivals: Arrivals, settings: MemorySettings, summariser: Summariser | None = None
    ) -> None:
        self._bus = bus
        self._database = database
        self._arrivals = arrivals
        self._settings = settings
        self._summariser = summariser or Extractive()

    async def run(self) -> None:
        """Consolidate whenever enough waits, for ever."""
        pause_s = self._settings.consolidate_every_s
        while True:
            await asyncio.sleep(pause_s)
            pause_s = self._settings.consolidate_every_s
            try:
                if not await self._scheduled():
                    pause_s = MORE_TO_DO_S
            except Unavailable as e:
                log.info("the consolidation waits for its next turn: %s", e)

    async def _scheduled(self) -> bool:
        """One run of the schedule, where enough waits and nobody else is at it. Whether there is no more to do for now."""
        waiting = await self._database.row(COUNT, None, None, self._settings.consolidate_len_min)
        if waiting is None or waiting["waiting"] < self._settings.consolidate_len_min:
            return True
        async with self._lock(wait_s=0.0) as connection:
            report = await self._consolidated(connection, ConsolidateRequest())
        log.info("consolidated: %d looked at, %d concepts formed, %d joined", report.examined, report.formed, report.joined)
        return report.complete

    async def consolidate(self, asked: ConsolidateRequest) -> ConsolidationReport:
        """Consolidate what waits, up to the limits of one run. Raises `Unavailable`: what was formed until then stays, ask again."""
        async with self._lock(LOCK_WAIT_S) as connection:
            return await self._consolidated(connection, asked)

    async def _consolidated(self, connection: Connection, asked: ConsolidateRequest) -> ConsolidationReport:
        start = time.monotonic()
        await self._caught_up()
        tally = Tally(await last_seq(self._bus, subjects.FORGOTTEN.wildcard))
        s = self._settings
        while tally.examined < s.consolidate_len_max and time.monotonic() - start < s.consolidate_s_max:
            if not await self._look(connection, asked, tally):
                break
        (left,) = await self._database.run(connection, COUNT, asked.agent_id, asked.since, 1)
        report = tally.report(time.monotonic() - start, complete=left["waiting"] == 0)
        await self._record(connection, tally, report)
        return report

    async def _look(self, connection: Connection, asked: ConsolidateRequest, tally: Tally) -> bool:
        """Look at some sources and form what they come to. False: there was nothing to look at."""
        reading = Reading(self._database, connection)
        room = self._settings.consolidate_len_max - tally.examined
        new = await reading.waiting(asked, datetime.now(UTC), min(room, self._settings.consolidate_look_len_max))
        if not new:
            return False
        found = await asyncio.to_thread(profiles, new)
        alone = await reading.alone(asked, found)
        standings = await reading.standings(found)
        plan = await asyncio.to_thread(rules.plan, [*new, *alone], standings)
        await self._form(reading, plan, tally)
        await self._note(connection, plan.alone)
        tally.examined += len(new)
        return True

    async def _form(self, reading: Reading, plan: Plan, tally: Tally) -> None:
        """Put the concepts on the log, some at a time, and wait until PostgreSQL holds them all."""
        events = []
        some = self._settings.consolidate_batch_len_max
        for start in range(0, len(plan.gatherings), some):
            events += await self._formed(await reading.whole(plan.gatherings[start : start + some]), tally)
        for event in events:
            if not (await self._arrivals.wait(Await(id=event, timeout_s=CATCH_UP_S))).persisted:
                raise Unavailable("what was formed stands in the log, and PostgreSQL is behind it: ask again")

    async def _formed(self, gatherings: Sequence[Gathering], tally: Tally) -> list[str]:
        """Put these on the log, all or none; the ids of their entries."""
        batch = []
        for gathering in gatherings:
            ident, event = ids_of(gathering, tally.forgotten_seq)
            body = await written(gathering, self._summariser, tally.run)
            batch.append(Outgoing(row=subjects.CONCEPT, body=body, tokens={"concept": ident}, msg_id=event))
        stored = await self._bus.publish_batch(batch) if batch else []
        for gathering, out in zip(gatherings, batch, strict=True):
            tally.add(out.tokens["concept"], gathering, out.body)
        return [one.event_id for one in stored]

    async def _note(self, connection: Connection, alone: Mapping[str, tuple[str, ...]]) -> None:
        if alone:
            terms = [msgspec.json.encode(found).decode() for found in alone.values()]
            await self._database.run(connection, EXAMINED, list(alone), terms)

    async def _caught_up(self) -> None:
        """Wait until PostgreSQL holds every concept that stands in the log now. Raises `Unavailable` if it does not in time."""
        seq = await last_seq(self._bus, subjects.CONCEPT.wildcard)
        deadline = time.monotonic() + CATCH_UP_S
        while await self._persisted_seq() < seq:
            if time.monotonic() >= deadline:
                raise Unavailable("memory is behind the log, and would form again what it formed before; ask again when it has caught up")
            await asyncio.sleep(LOOK_S)

    async def _persisted_seq(self) -> int:
        return next((p.stream_seq for p in await positions(self._database) if p.consumer == PERSISTER), 0)

    async def _record(self, connection: Connection, tally: Tally, report: ConsolidationReport) -> None:
        counts = (report.examined, report.formed, report.joined, report.contradictions, report.complete)
        await self._database.run(connection, RECORD, report.run, tally.started, datetime.now(UTC), *counts)
        await self._database.run(connection, PRUNE, RUNS_KEPT_MAX)

    @asynccontextmanager
    async def _lock(self, wait_s: float) -> AsyncIterator[Connection]:
        """The connection that holds the lock, for the run to work on: if it dies, so does the run. Raises `Unavailable`."""
        async with self._database.connection() as connection:
            deadline = time.monotonic() + wait_s
            while not (await self._database.run(connection, LOCK))[0]["taken"]:
                if time.monotonic() >= deadline:
                    raise Unavailable("another consolidation is under way; ask again when it is done")
                await asyncio.sleep(LOOK_S)
            try:
                yield connection
            finally:
                if not connection.is_closed():
                    await self._database.run(connection, UNLOCK)


async def remade(database: Database, concept_id: str, erased: Collection[str], summariser: Summariser) -> ConceptFormed | None:
    """The entry for a concept some of whose sources are to be erased: made of the others. None where too little is left of it.

    For who forgets: the versions before must be deleted, and what they consolidated waits again unless this entry follows.
    """
    async with database.connection() as connection:
        standing = await Reading(database, connection).standing(concept_id)
    if standing is None:
        return None
    if (told := rules.told_again(standing, erased)) is not None:
        return told
    gathering = rules.without(standing, erased)
    return await written(gathering, summariser, uuid7()) if gathering else None


async def written(gathering: Gathering, summariser: Summariser, run: str) -> ConceptFormed:
    """The entry that forms a concept of these sources."""
    judgement = await asyncio.to_thread(rules.judge, gathering)
    summary = await summariser.summarise(gathering.known, gathering.standing.told if gathering.standing else None)
    return await asyncio.to_thread(rules.concept, gathering, judgement, summary, run)


def ids_of(gathering: Gathering, forgotten_seq: int) -> tuple[str, str]:
    """The ids of the concept and of the entry that forms this version: derived from the sources, so that a second try is the same."""
    sources = sorted(gathering.source_ids)
    ident = gathering.standing.id if gathering.standing else derived("concept", forgotten_seq, *sources)
    return ident, derived("concept formed", ident, forgotten_seq, *sources)
