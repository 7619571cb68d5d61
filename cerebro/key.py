"""`cerebro key add|list|revoke`: the API keys of the gateway. A key is shown once, when it is made; only its hash is kept."""

import argparse
import asyncio
import sys
from datetime import UTC, datetime
from typing import Final

import msgspec
import nats.errors
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError, NoKeysError
from nats.js.kv import KeyValue

from bus.connection import Bus
from bus.errors import CerebroError, Unavailable, conflict, not_found
from bus.settings import BusSettings
from bus.subjects import is_token
from cerebro.reach import NotRunning, bus_settings
from gateway.identity.keys import BUCKET, made
from schemas.keys import ApiKey
from schemas.words import rfc3339

CONNECT_S: Final = 5.0
"""Longest wait for the server."""


def main(parsed: argparse.Namespace) -> int:
    """Run the command; 1 where it could not be done, 2 where it was asked wrongly."""
    if parsed.action != "list" and not is_token(parsed.name or ""):
        print(f"cerebro: key {parsed.action} needs a name: 1 to 63 of letters, digits, - and _", file=sys.stderr)
        return 2
    try:
        asyncio.run(_run(bus_settings(parsed.data), parsed))
    except (NotRunning, CerebroError) as e:
        print(f"cerebro: {e}", file=sys.stderr)
        return 1
    return 0


async def _run(settings: BusSettings, parsed: argparse.Namespace) -> None:
    bus = await Bus.connect(settings, "operator", CONNECT_S)
    try:
        bucket = await bus.kv(BUCKET)
        match parsed.action:
            case "add":
                await _add(bucket, parsed)
            case "revoke":
                await _revoke(bucket, parsed.name)
            case _:
                await _list(bucket)
    except (nats.errors.Error, OSError, TimeoutError) as e:
        raise Unavailable(f"the keys do not answer: {e}") from e
    finally:
        await bus.close()


async def _add(bucket: KeyValue, parsed: argparse.Namespace) -> None:
    text, key = made(parsed.name, list(dict.fromkeys(parsed.scope or ("read", "write"))), parsed.agent, rfc3339(datetime.now(UTC)))
    try:
        await bucket.create(parsed.name, msgspec.json.encode(key))
    except KeyWrongLastSequenceError:
        raise conflict(f"there is a key {parsed.name}: revoke it first, or choose another name") from None
    print(text)
    print("It is not shown again. Send it as `Authorization: Bearer …`.", file=sys.stderr)


async def _revoke(bucket: KeyValue, name: str) -> None:
    try:
        await bucket.get(name)
    except KeyNotFoundError:
        raise not_found(f"there is no key {name}") from None
    await bucket.delete(name)
    print(f"revoked {name}")


async def _list(bucket: KeyValue) -> None:
    try:
        names = sorted(await bucket.keys())
    except NoKeysError:
        names = []
    for name in names:
        entry = await bucket.get(name)
        key = msgspec.json.decode(entry.value or b"", type=ApiKey)
        agents = "any agent" if key.agents is None else ", ".join(key.agents)
        print(f"{name:<24} {key.created_at}  {', '.join(key.scopes):<20} writes as {agents}")
    print(f"{len(names)} keys")
