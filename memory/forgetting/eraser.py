"""The eraser: after the log has told of a forgetting, and the tables have followed, the bytes go. Every step may be taken twice.

    the log's payloads, and copies of them ─▶ kept replies ─▶ Redis ─▶ PostgreSQL's files ─▶ confirmed

What is not confirmed is done again, after a restart too.
"""

import asyncio
import logging
from collections.abc import Container, Sequence
from functools import partial
from typing import Final

import asyncpg

from bus.connection import Bus
from bus.errors import CerebroError, Unavailable
from memory.cache import Cache
from memory.database import Database, statement
from memory.forgetting.hashes import id_hash
from memory.forgetting.letters import Letters
from memory.forgetting.payloads import erase_payloads
from memory.forgetting.replies import erase_replies
from memory.forgetting.scrub import Scrubber
from memory.settings import MemorySettings
from schemas.forgetting import ForgetReceipt
from schemas.words import rfc3339

log = logging.getLogger("cerebro.memory")

UNFINISHED: Final = statement("unfinished_forgettings")
IDS: Final = statement("forgotten_ids")
DONE: Final = statement("put_erasures")
GET: Final = statement("get_forgetting")
LATE: Final = statement("late_places")
LATE_DONE: Final = statement("delete_late_places")
AT_ONCE_MAX: Final = 100
"""Most forgettings that are erased together: what has to be read through for that is read once for all of them."""
LATE_MAX: Final = 1_000
"""Most late places erased in one step."""
LOOK_S: Final = 0.05
WAIT_S: Final = 600.0
"""Longest wait of one request for its receipt; the erasing goes on without it."""


class Eraser:
    """One loop; `wake` it when something was forgotten."""

    def __init__(self, bus: Bus, database: Database, cache: Cache, letters: Letters, settings: MemorySettings) -> None:
        self._bus = bus
        self._letters = letters
        self._database = database
        self._cache = cache
        self._scrubber = Scrubber(database, settings)
        self._settings = settings
        self._awake = asyncio.Event()
        self._confirmed = asyncio.Event()

    def wake(self) -> None:
        """There may be something to erase."""
        self._awake.set()

    async def run(self) -> None:
        """Erase what is unconfirmed, for ever; while a part is away, wait for it."""
        while True:
            self._awake.clear()
            try:
                if await self.erase_some():
                    continue
            except (CerebroError, TimeoutError) as e:
                log.warning("erasing is tried again: %s", str(e) or "a part did not answer in time")
                await asyncio.sleep(self._settings.reconnect_pause_s)
                continue
            await self._rest()

    async def erase_some(self) -> int:
        """Bring some forgettings to their end; return how many, late places counted as one. Raises what `run` waits for."""
        late = await self._late()
        unfinished = await self._database.rows(UNFINISHED, AT_ONCE_MAX)
        if unfinished:
            receipts = [record["receipt"] for record in unfinished]
            hashes = {record["id_hash"] for record in await self._database.rows(IDS, receipts)}
            seqs = {seq for record in unfinished for seq in record["seqs"]}
            await erase_payloads(self._bus, self._letters, seqs, partial(_is_among, hashes))
            await erase_replies(self._bus, hashes)
            await self._cache.drop_searches()
            await self._confirm(receipts, scrubbed=await self._scrubber.scrub())
        return len(unfinished) + late

    async def _late(self) -> int:
        places = [r["stream_seq"] for r in await self._database.rows(LATE, LATE_MAX)]
        if places:
            await erase_payloads(self._bus, self._letters, set(places), lambda _, seq: seq in places)
            await self._database.rows(LATE_DONE, places)
        return bool(places)

    async def _confirm(self, receipts: Sequence[str], *, scrubbed: bool) -> None:
        await self._database.rows(DONE, receipts, scrubbed)
        self._confirmed.set()
        self._confirmed = asyncio.Event()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._settings.erase_every_s):
                await self._awake.wait()
        except TimeoutError:
            return

    async def receipt(self, receipt: str) -> ForgetReceipt:
        """The receipt, as soon as everything is erased. Raises `Unavailable` after `WAIT_S`; the erasing goes on."""
        try:
            async with asyncio.timeout(WAIT_S):
                await self._followed(receipt)
                self.wake()
                while (record := await self._database.row(GET, receipt)) is None or record["scrubbed"] is None:
                    await self._look_again()
        except TimeoutError as e:
            raise Unavailable("the erasing goes on; ask again for its receipt") from e
        return _receipt(record)

    async def _followed(self, receipt: str) -> None:
        """Wait until the tables have followed what the log tells."""
        while True:
            record = await self._database.row(GET, receipt)
            if record is not None and record["told"]:
                return
            await asyncio.sleep(LOOK_S)

    async def _look_again(self) -> None:
        try:
            async with asyncio.timeout(self._settings.await_recheck_s):
                await self._confirmed.wait()
        except TimeoutError:
            return


def _is_among(hashes: Container[bytes], ident: str, _seq: int) -> bool:
    return id_hash(ident) in hashes


def _receipt(record: asyncpg.Record) -> ForgetReceipt:
    counts = ("episodes", "lessons", "concepts_erased", "concepts_rewritten", "working_items", "log_entries", "dead_letters")
    return ForgetReceipt(
        receipt=record["receipt"],
        **{name: record[name] for name in counts},
        remains=record["remains"],
        complete=record["complete"],
        scrubbed=record["scrubbed"],
        forgotten_at=rfc3339(record["forgotten_at"]),
    )
