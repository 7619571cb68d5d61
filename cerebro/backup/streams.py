"""Streams out of a NATS server and into one, by its snapshot protocol (NATS ADR-3): chunks, each acknowledged, an empty one at the end."""

import asyncio
import os
from pathlib import Path
from typing import Any, Final

import msgspec
import nats.errors

from bus import subjects
from bus.connection import Bus
from bus.errors import Unavailable, conflict
from cerebro.backup.compressed import private

KEPT: Final = (subjects.MESH, subjects.TIMERS, subjects.LESSONS, subjects.DEAD, "KV_idempotency", "KV_keys", "KV_a2a_push")
"""What is kept. Presence is of the moment; the bucket of affects is made from the log by the server; a proposal
whose timer is lost lapses, and timers brought back would tell again of what has ended.
"""
CHUNK_BYTES: Final = 512 * 1024
SILENCE_S: Final = 30.0
"""Longest wait for a chunk, or for its acknowledgement."""
TRIES_MAX: Final = 3
"""How often a stream is sent from its beginning: the server gives one up whose next chunk does not come within five seconds."""
LET_GO_S: Final = 1.0
"""In this time the server has let go of it."""
NO_STREAM: Final = 10059
WHOLE: Final = "204"
"""The status of the empty chunk at the end of a stream of several; that of a stream of one chunk has none."""


def name_of(bus: Bus, kept: str) -> str:
    """The stream's name on the server."""
    bucket = kept.removeprefix("KV_")
    return f"KV_{bus.stream(bucket)}" if kept != bucket else bus.stream(kept)


async def save(bus: Bus, kept: str, folder: Path) -> dict[str, Any] | None:
    """Write a stream to `<kept>.json` and `<kept>.tar.s2`; its state, or None where there is no such stream. Raises `Unavailable`."""
    inbox = bus.nc.new_inbox()
    chunks = await bus.nc.subscribe(inbox, pending_bytes_limit=-1)
    try:
        asked = {"deliver_subject": inbox, "no_consumers": True, "chunk_size": CHUNK_BYTES, "jsck": True}
        answer = await bus.api(f"STREAM.SNAPSHOT.{name_of(bus, kept)}", asked, timeout_s=SILENCE_S)
        if "error" in answer:
            if answer["error"].get("err_code") == NO_STREAM:
                return None
            raise Unavailable(f"{kept} cannot be saved: {answer['error'].get('description')}")
        described = {"config": answer["config"], "state": answer["state"]}
        with private(folder / f"{kept}.json") as descriptor:
            os.write(descriptor, msgspec.json.encode(described))
        with private(folder / f"{kept}.tar.s2") as descriptor:
            while (chunk := await chunks.next_msg(timeout=SILENCE_S)).data:
                os.write(descriptor, chunk.data)
                if chunk.reply:  # not each is to be acknowledged
                    await bus.nc.publish(chunk.reply, b"")
    except (nats.errors.Error, TimeoutError) as e:
        raise Unavailable(f"{kept} stopped coming: {e}") from e
    finally:
        await chunks.unsubscribe()
    if (chunk.headers or {}).get("Status", WHOLE) != WHOLE:  # the server gave up
        raise Unavailable(f"{kept} was not whole: {chunk.headers}")
    state: dict[str, Any] = described["state"]
    return state


async def load(bus: Bus, kept: str, folder: Path) -> None:
    """Make the stream again. Raises 409 where there is one, `Unavailable`."""
    for left in reversed(range(TRIES_MAX)):
        try:
            await _load(bus, kept, folder)
        except nats.errors.NoRespondersError as e:
            if not left:
                raise Unavailable(f"{kept} stopped being taken, {TRIES_MAX} times: its pieces come too slowly for the server") from e
            await asyncio.sleep(LET_GO_S)
            await bus.api(f"STREAM.DELETE.{name_of(bus, kept)}", {})  # what the server may have made of a part, without a word
        else:
            return


async def _load(bus: Bus, kept: str, folder: Path) -> None:
    described = msgspec.json.decode((folder / f"{kept}.json").read_bytes(), type=dict[str, Any])
    name = name_of(bus, kept)
    answer = await bus.api(f"STREAM.RESTORE.{name}", described, timeout_s=SILENCE_S)
    if "error" in answer:
        raise conflict(f"{name} cannot be restored: {answer['error'].get('description')}")
    subject = answer["deliver_subject"]
    with (folder / f"{kept}.tar.s2").open("rb") as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            await _send(bus, subject, chunk, name)
    made = msgspec.json.decode(await _send(bus, subject, b"", name), type=dict[str, Any])
    if "error" in made:
        raise Unavailable(f"{name} was not restored: {made['error'].get('description')}")
    if (end := made["state"]["last_seq"]) != described["state"]["last_seq"]:  # messages may have become too old since
        raise Unavailable(f"{name} was not restored: it ends at {end}, and {described['state']['last_seq']} was saved")


async def _send(bus: Bus, subject: str, chunk: bytes, name: str) -> bytes:
    try:
        return (await bus.nc.request(subject, chunk, timeout=SILENCE_S)).data
    except nats.errors.NoRespondersError:
        raise
    except (nats.errors.Error, TimeoutError) as e:
        raise Unavailable(f"{name} stopped being taken: {e}") from e
