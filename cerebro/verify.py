"""`cerebro verify`: whether what is persisted is what was sealed, and if not, where it was first touched.

It needs to read the database, and the public keys; seals that the log, or a file, holds are believed over those of the database.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from bus import subjects
from bus.connection import Bus
from bus.errors import CerebroError, Unavailable
from bus.log import entries
from cerebro.options import SEAL_KEYS
from cerebro.reach import NotRunning, bus_settings, memory_settings
from memory.database import Database
from memory.sealing.keys import PublicKeys, public
from memory.sealing.verifying import History, verify
from memory.settings import MemorySettings
from schemas.entry import Entry
from schemas.sealing import Seal

CONNECT_S: Final = 5.0
"""Longest wait for the server."""
SHOWN_MAX: Final = 20
"""Most faults that are printed."""


def main(parsed: argparse.Namespace) -> int:
    """Run the command; 1 where history is not what was sealed, 2 where that cannot be told."""
    try:
        keys = public(parsed.keys or parsed.data / SEAL_KEYS)
        copies = [read(path) for path in parsed.seal]
        return asyncio.run(_run(parsed.data, memory_settings(parsed.data), keys, copies))
    except (NotRunning, CerebroError, OSError, ValueError) as e:
        print(f"cerebro: {e}", file=sys.stderr)
        return 2


def read(path: Path) -> Seal:
    """The seal in this file: the body of a `memory.seal` message. Raises `ValueError` with the file's name."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Seal)
    except msgspec.MsgspecError as e:
        raise ValueError(f"{path}: {e}") from e


async def _run(data: Path, settings: MemorySettings, keys: PublicKeys, copies: Sequence[Seal]) -> int:
    try:
        on_log = await _of_log(data)
    except (NotRunning, Unavailable) as e:
        print(f"the log was not asked: {e}")
        on_log = []
    database = Database(settings)
    await database.open()
    try:
        history = await verify(database, keys, [*copies, *on_log])
    finally:
        await database.close()
    _show(history)
    return 1 if history.faults else 0


async def _of_log(data: Path) -> list[Seal]:
    """The seals that the log still holds."""
    bus = await Bus.connect(bus_settings(data), "verify", CONNECT_S)
    try:
        found = await entries(bus, [subjects.SEAL.wildcard])
    finally:
        await bus.close()
    return [entry.body for entry in found if isinstance(entry, Entry)]


def _show(history: History) -> None:
    print(f"{history.links} rows in the chain, to entry {history.last_seq}; {history.forgotten} of them forgotten since")
    print(f"{history.waiting} rows wait to be sealed")
    print(f"{history.seals} signed heads compared; the last that holds is of entry {history.signed_seq}")
    for fault in history.faults[:SHOWN_MAX]:
        print(f"entry {fault.seq}: {fault.kind}: {fault.detail}")
    if len(history.faults) > SHOWN_MAX:
        print(f"… and {len(history.faults) - SHOWN_MAX} more")
    print("history is NOT what was sealed" if history.faults else "history is what was sealed")
