"""`cerebro dead list|show|redrive`: messages that could not be handled, why, and another try for them."""

import argparse
import asyncio
import base64
import binascii
import sys
from collections.abc import Mapping

import msgspec
import nats.errors
from nats.js.errors import NotFoundError

from bus import entries, subjects
from bus.connection import Bus, Outgoing
from bus.errors import CerebroError, Unavailable
from bus.ids import event_id, uuid7
from bus.log import entries as read_log
from bus.settings import BusSettings
from cerebro.reach import NotRunning, bus_settings
from schemas.dead import DeadLetter
from schemas.entry import Entry

CONNECT_S = 5.0
"""Longest wait for the server."""
LISTED_MAX = 200
"""Most letters listed, the newest."""
LIST_S = 60.0
"""Longest time to read those."""


def main(parsed: argparse.Namespace) -> int:
    """Run the command; 1 where it could not be done."""
    try:
        return asyncio.run(_run(bus_settings(parsed.data), parsed.action, parsed.number))
    except (NotRunning, CerebroError) as e:
        print(f"cerebro: {e}", file=sys.stderr)
        return 1


async def _run(settings: BusSettings, action: str, number: int | None) -> int:
    bus = await Bus.connect(settings, "operator", CONNECT_S)
    try:
        if action == "list":
            return await _list(bus)
        if number is None:
            print(f"cerebro: dead {action} needs the number that `dead list` shows", file=sys.stderr)
            return 2
        letter = await _letter(bus, number)
        if letter is None:
            print(f"cerebro: no dead letter {number}", file=sys.stderr)
            return 1
        await (_redrive(bus, number, letter) if action == "redrive" else _show(letter))
        return 0
    finally:
        await bus.close()


async def _list(bus: Bus) -> int:
    info = await bus.api(f"STREAM.INFO.{bus.stream(subjects.DEAD)}", {})
    if "error" in info:
        raise Unavailable(f"there are no dead letters to read: {info['error'].get('description')}")
    state = info["state"]
    before = max(0, state["last_seq"] - LISTED_MAX - state.get("num_deleted", 0))
    letters = await read_log(bus, list(subjects.DEAD_SUBJECTS), before, subjects.DEAD, LIST_S) if state["messages"] else []
    for entry in letters[-LISTED_MAX:]:
        if isinstance(entry, Entry):
            print(f"{entry.seq:>6}  {entry.body.first_seen}  {entry.body.subject}  {entry.body.reason}")
        else:
            print(f"{entry.seq:>6}  no letter that can be read: {entry.reason}")
    print(f"{state['messages']} dead letters")
    return 0


async def _letter(bus: Bus, number: int) -> DeadLetter | None:
    entry = await bus.entry_at(number, subjects.DEAD)
    return entry.body if isinstance(entry, Entry) else None


async def _show(letter: DeadLetter) -> None:
    """Print it whole; `data` as text, or as it stands where it is no base64."""
    data = _data(letter)
    shown = msgspec.to_builtins(letter) | ({} if data is None else {"data": data.decode(errors="replace")})
    print(msgspec.json.format(msgspec.json.encode(shown)).decode())


async def _redrive(bus: Bus, number: int, letter: DeadLetter) -> None:
    """Publish it again: the same event under a new message id; then it is no dead letter any more."""
    data = _data(letter)
    if data is None:
        raise Unavailable(f"the data of letter {number} is no base64, so there is nothing that could be published again")
    found = subjects.find(letter.subject)
    if found is None:
        raise Unavailable(f"{letter.subject} is no subject of this mesh; it cannot be published again")
    row, tokens = found
    ident = _event_id(letter.headers, await bus.log_incarnation(), letter.stream_seq)
    kept = {k: v for k, v in letter.headers.items() if not k.startswith("Nats-")}
    headers = {**kept, entries.EVENT_ID: ident}
    stored = await bus.put(Outgoing(row=row, body=data, tokens=tokens, msg_id=uuid7(), headers=headers))
    try:
        await bus.js.delete_msg(bus.stream(subjects.DEAD), number)
    except (NotFoundError, nats.errors.Error) as e:
        raise Unavailable(f"redriven as entry {stored.seq}, but letter {number} is still listed: {e}") from e
    print(f"redriven as entry {stored.seq} of the log")


def _data(letter: DeadLetter) -> bytes | None:
    """The message that could not be handled, or None where the letter, which somebody wrote by hand, does not hold one."""
    try:
        return base64.b64decode(letter.data, validate=True)
    except (binascii.Error, ValueError):  # ValueError: it is not even ASCII
        return None


def _event_id(headers: Mapping[str, str], incarnation: str, seq: int) -> str:
    return headers.get(entries.EVENT_ID) or headers.get(entries.MSG_ID) or event_id(incarnation, seq)
