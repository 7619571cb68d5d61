"""Verification: every link against its row, every link against the one before, every signed head against the chain.

It needs to read the tables, and the public keys. Nothing in the database is believed: what is sealed of a row is asked for in SQL of
our own, and hashed here. Copies of seals from elsewhere (the log, a file) are what shows that the end of the chain was cut off.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final, Literal

import asyncpg
import msgspec

from bus import subjects
from memory.database import Connection, Database, statement
from memory.sealing.chain import GENESIS, digest, link
from memory.sealing.keys import PublicKeys
from memory.sealing.sealer import STREAM
from schemas.forgetting import Forgotten
from schemas.sealing import Seal

LINKS: Final = statement("seal_links")
ROWS: Final = statement("sealed_rows")
UNSEALED: Final = statement("rows_unsealed")
OF_TYPE: Final = statement("rows_of_type")
PAGE: Final = 1_000
"""Links read at a time."""
EPISODE_ID: Final = 0
ACTION_TYPE: Final = 4
DETAILS: Final = 5
"""Where these columns stand in what is sealed."""

Kind = Literal["changed", "deleted", "inserted", "moved", "rewritten", "truncated", "forged"]


class Fault(msgspec.Struct, frozen=True, order=True):
    """Something is not as it was sealed: at which place of the log, and what."""

    seq: int
    kind: Kind
    detail: str


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. `faults` in the order of the log: the first is where history was first touched."""

    links: int
    forgotten: int
    last_seq: int
    """Where the chain ends."""
    waiting: int
    """Rows behind that, not sealed yet."""
    seals: int
    """Signed heads that were compared."""
    signed_seq: int
    """The last place that a signed head vouches for; 0: none."""
    faults: list[Fault]


async def verify(database: Database, keys: PublicKeys, copies: Sequence[Seal]) -> History:
    """Compare all of it, as one snapshot sees it. `copies` are seals from outside the database. Raises `Unavailable`."""
    async with database.connection() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        walk = Walk(await _seals(database, connection, keys, copies))
        async for links, rows in _pages(database, connection):
            walk.page(links, rows)
        [unsealed] = await database.run(connection, UNSEALED, walk.last_seq)
    return walk.ended(unsealed["waiting"])


async def _seals(database: Database, connection: Connection, keys: PublicKeys, copies: Iterable[Seal]) -> tuple[list[Seal], list[Fault]]:
    """Every seal that the keys have signed, and those that they have not. Copies are looked at like those of the tables."""
    known: list[tuple[int, Seal]] = [(seal.last_seq, seal) for seal in copies]
    forged = []
    for record in await database.run(connection, OF_TYPE, subjects.SEAL.name):
        try:
            known.append((record["stream_seq"], msgspec.json.decode(record["details"], type=Seal)))
        except msgspec.MsgspecError as e:
            forged.append(Fault(record["stream_seq"], "forged", f"a seal that is none: {e}"))
    signed = []
    for seq, seal in known:
        if keys.signed(STREAM, seal):
            signed.append(seal)
        else:
            forged.append(Fault(seq, "forged", f"the seal of entry {seal.last_seq} is not signed by these keys"))
    return signed, forged


Page = tuple[Sequence[asyncpg.Record], dict[int, Sequence[str | None]]]


async def _pages(database: Database, connection: Connection) -> AsyncIterator[Page]:
    """Links, and the rows in the places that they span."""
    reached = 0
    while links := await database.run(connection, LINKS, reached, PAGE):
        last = links[-1]["stream_seq"]
        rows = await database.run(connection, ROWS, reached, last)
        yield links, {row["stream_seq"]: row["columns"] for row in rows}
        reached = last


class Walk:
    """From the first link to the last."""

    def __init__(self, seals: tuple[list[Seal], list[Fault]]) -> None:
        signed, self._faults = seals
        self._seals = sorted(signed, key=lambda seal: seal.last_seq)
        self._next_seal = 0
        self._before = GENESIS
        self._links = 0
        self._missing: set[int] = set()
        self._forgotten: set[int] = set()
        self.last_seq = 0
        self._signed_seq = 0

    def page(self, links: Sequence[asyncpg.Record], rows: dict[int, Sequence[str | None]]) -> None:
        """The next links, and what stands in their places now."""
        for record in links:
            self._link(record, rows.pop(record["stream_seq"], None))
        for seq, columns in rows.items():
            self._fault(seq, "inserted", f"{columns[EPISODE_ID]} was put in after its place was sealed")

    def _link(self, record: asyncpg.Record, columns: Sequence[str | None] | None) -> None:
        seq = record["stream_seq"]
        self._pass_seals(seq)
        if columns is None:
            self._missing.add(seq)
        elif record["salt"] is None or digest(record["salt"], columns) != record["digest"]:
            self._fault(seq, "changed", f"{columns[EPISODE_ID]} is not what was sealed")
        elif columns[ACTION_TYPE] == subjects.FORGOTTEN.name:
            self._forgotten.update(msgspec.json.decode(columns[DETAILS] or "", type=Forgotten).seqs)
        if link(self._before, seq, record["digest"]) != record["link"]:
            self._fault(seq, "moved", "the chain is broken: links before this one were deleted, moved or changed")
        self._before = record["link"]
        self._links += 1
        self.last_seq = seq

    def _pass_seals(self, seq: int) -> None:
        """Compare the signed heads that stand before this place with the chain so far."""
        while self._next_seal < len(self._seals) and self._seals[self._next_seal].last_seq < seq:
            self._compare(self._seals[self._next_seal])
            self._next_seal += 1

    def _compare(self, seal: Seal) -> None:
        if self.last_seq == seal.last_seq and self._before.hex() == seal.head:
            self._signed_seq = seal.last_seq
        else:
            self._fault(self._signed_seq + 1, "rewritten", f"the chain up to entry {seal.last_seq} is not the one that was signed")

    def _fault(self, seq: int, kind: Kind, detail: str) -> None:
        self._faults.append(Fault(seq, kind, detail))

    def ended(self, waiting: int) -> History:
        """What was found, all in all."""
        for seal in self._seals[self._next_seal :]:
            if seal.last_seq == self.last_seq:
                self._compare(seal)
            else:
                self._fault(self.last_seq + 1, "truncated", f"a signed head says that the chain went on to entry {seal.last_seq}")
        for seq in self._missing - self._forgotten:
            self._fault(seq, "deleted", "the row is gone, and no entry says that it was forgotten")
        return History(
            links=self._links,
            forgotten=len(self._missing & self._forgotten),
            last_seq=self.last_seq,
            waiting=waiting,
            seals=len(self._seals),
            signed_seq=self._signed_seq,
            faults=sorted(set(self._faults)),
        )
