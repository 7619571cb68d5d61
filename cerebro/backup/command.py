"""`cerebro backup`, `cerebro restore`: see `cerebro.backup`."""

import argparse
import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from agents.profiles import load
from bus import on_disk
from bus.connection import Bus
from bus.errors import CerebroError, bad_request
from cerebro import runfile
from cerebro.backup import manifest
from cerebro.backup.drill import drill
from cerebro.backup.restoring import restore, restore_keys
from cerebro.backup.taking import old, take
from cerebro.embedded.child import ServerFailed
from cerebro.embedded.nats import NatsServer
from cerebro.embedded.postgres import PostgresServer
from cerebro.embedded.redis import RedisServer
from cerebro.keys import OPERATOR, Keys
from cerebro.options import EXTERNAL
from cerebro.part import Server
from cerebro.reach import NotRunning, bus_settings, memory_settings
from cerebro.settings import SHORT, Settings, read
from memory.settings import MemorySettings

CONNECT_S: Final = 5.0
"""Longest wait for the server."""
SYNC_OF_RESTORE: Final = "2m"
"""NATS's own default. A log that is put back is brought to disk as a whole at the end: one message after the other takes minutes, and the
server, which waits five seconds for the next piece, gives up meanwhile.
"""


def backup(parsed: argparse.Namespace) -> int:
    """`cerebro backup [verify|drill|list]`. 1 where it could not be done, or the backup is not good."""
    try:
        return asyncio.run(_backup(parsed))
    except (NotRunning, CerebroError, OSError) as e:
        print(f"cerebro: {e}", file=sys.stderr)
        return 1


async def _backup(parsed: argparse.Namespace) -> int:
    to = parsed.to or parsed.data / "backups"
    match parsed.action:
        case "verify":
            kept = manifest.verified(_named(parsed))
            print(f"{len(kept.files)} files are what was written at {kept.made_at}, entry {kept.position} of the log")
        case "list":
            _list(to)
        case "drill":
            return await _drill(parsed)
        case _:
            await _take(parsed, to)
            while parsed.at is not None:
                await asyncio.sleep(until(parsed.at, datetime.now().astimezone()))
                await _take(parsed, to)
    return 0


def _named(parsed: argparse.Namespace) -> Path:
    if parsed.folder is None:
        raise bad_request(f"backup {parsed.action} needs the folder of a backup")
    folder: Path = parsed.folder
    return folder


def until(at: str, now: datetime) -> float:
    """Seconds from `now` to the next time that the clock shows `at` (HH:MM)."""
    hour, minute = (int(part) for part in at.split(":"))
    then = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return (then + timedelta(days=then <= now) - now).total_seconds()


async def _take(parsed: argparse.Namespace, to: Path) -> None:
    bus = await Bus.connect(bus_settings(parsed.data), "backup", CONNECT_S)
    try:
        place = await take(bus, _memory(parsed.data), parsed.data, to, os.environ, print)
    finally:
        await bus.close()
    print(f"{place} {sum(f.bytes for f in manifest.read(place).files.values())} bytes")
    for path in old(to, parsed.keep_days, datetime.now(UTC)):
        shutil.rmtree(path)
        print(f"{path} is over: it went")


def _memory(data: Path) -> MemorySettings:
    """As the other commands find PostgreSQL; and Redis too."""
    settings = memory_settings(data)
    run = runfile.read(data)
    if EXTERNAL["redis"] in os.environ or run is None:
        return settings
    return msgspec.structs.replace(settings, redis_url=run.redis)


def _list(to: Path) -> None:
    found = sorted(path.parent for path in to.glob(f"*/{manifest.NAME}"))
    for path in found:
        kept = manifest.read(path)
        size = sum(file.bytes for file in kept.files.values())
        print(f"{path}  entry {kept.position}  {kept.rows.get('episodes', 0)} episodes  {size} bytes")
    print(f"{len(found)} backups")


async def _drill(parsed: argparse.Namespace) -> int:
    bus = await Bus.connect(bus_settings(parsed.data), "drill", CONNECT_S)
    try:
        done = await drill(_named(parsed), bus, _memory(parsed.data), print)
    finally:
        await bus.close()
    for table in done.broken:
        print(f"{table} is not what the backup says")
    for compared in done.replayed.tables:
        print(f"{compared.table:<20} {compared.live.rows:>9} rows  {'equal' if compared.equal else 'DIFFERENT'}")
    print(f"{done.replayed.entries} entries replayed in {done.replay_s:.1f} s, up to entry {done.replayed.end_seq}")
    print("the backup brings everything back" if done.good else "the backup does NOT bring everything back")
    return 0 if done.good else 1


def restored(parsed: argparse.Namespace) -> int:
    """`cerebro restore FOLDER`: into the servers of the settings, or into an empty data folder."""
    try:
        asyncio.run(_restore(parsed))
    except (CerebroError, ServerFailed, runfile.AlreadyRunning, OSError) as e:
        print(f"cerebro: {e}", file=sys.stderr)
        return 1
    return 0


async def _restore(parsed: argparse.Namespace) -> None:
    kept = manifest.verified(parsed.folder)
    with runfile.locked(parsed.data):
        restore_keys(parsed.folder, parsed.data, keep=parsed.keep_log)
        async with _servers(parsed.data, "always" if parsed.keep_log else SYNC_OF_RESTORE) as settings:
            await restore(parsed.folder, kept, settings.bus, settings.memory, print, keep_log=parsed.keep_log)
        if EXTERNAL["nats"] not in os.environ:
            await asyncio.to_thread(on_disk.sync_tree, parsed.data / "nats")
    print(f"restored; start it with: cerebro up --data {parsed.data}")


@asynccontextmanager
async def _servers(data: Path, sync: str) -> AsyncIterator[Settings]:
    """The settings, with an embedded server for each that the environment does not name; its NATS admits the keys of the data folder."""
    logs = data / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    settings, keys = read(os.environ), Keys(data)
    keys.prepare(sorted(load(settings.agents.profiles_dir)), settings.bus.prefix)
    embedded: list[Server] = [
        NatsServer(data / "nats", logs / "nats.log", users=keys.users, own=settings.nats, sync=sync),
        PostgresServer(data / "postgres", logs / "postgres.log"),
        RedisServer(data / "redis", logs / "redis.log"),
    ]
    environment = dict(os.environ)
    if EXTERNAL["nats"] not in environment:
        environment[SHORT["bus", "nats_nkey"]] = str(keys.seed(OPERATOR))
    async with AsyncExitStack() as stack:
        for server in embedded:
            if EXTERNAL[server.name] not in environment:
                await server.start()
                stack.push_async_callback(server.stop)
                environment[EXTERNAL[server.name]] = server.url
        yield read(environment)
