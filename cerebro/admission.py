"""`cerebro agent add|rotate|revoke|list` and `cerebro keys`: who may join, now.

A running NATS server of our own is told at once, and asked whether it has understood: what is printed has happened.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from bus.connection import Bus
from bus.errors import CerebroError, NotAdmitted, Unavailable
from bus.settings import BusSettings
from cerebro import runfile
from cerebro.keys import KeyRefused, Keys
from cerebro.leftovers import living
from cerebro.settings import Settings, SettingsError

TAKEN_S: Final = 10.0
"""Longest wait until the server has read who is admitted."""
LOOK_S: Final = 0.1
CONNECT_S: Final = 5.0


class NotTaken(Exception):
    """The server did not take over who is admitted."""


def main(parsed: argparse.Namespace, settings: Settings) -> int:
    """Run the command; 1 where it could not be done."""
    keys = Keys(parsed.data)
    try:
        if parsed.action == "list":
            return _list(keys)
        return asyncio.run(_change(keys, parsed.action, parsed.name, parsed.data, settings.bus))
    except (KeyRefused, NotTaken, SettingsError, CerebroError, OSError) as e:
        print(f"cerebro: {e}", file=sys.stderr)
        return 1


def make(data: Path, agents: list[str], settings: BusSettings) -> int:
    """`cerebro keys`: all that a server of your own and our parts need."""
    keys = Keys(data)
    keys.prepare(agents, settings.prefix)
    keys.write_contexts(settings.nats_url, settings.nats_ca)
    print(f"{keys.users} is for the NATS server's configuration to include; a key for each part:")
    return _list(keys)


def _list(keys: Keys) -> int:
    for who in keys.identities():
        print(f"{who.name:<20} {who.role:<10} {keys.public(who.name)}  {keys.seed(who.name)}")
    return 0


async def _change(keys: Keys, action: str, name: str, data: Path, settings: BusSettings) -> int:
    former = _kept(keys.seed(name))
    try:
        {"add": keys.add, "rotate": keys.rotate, "revoke": keys.revoke}[action](name)
        run = runfile.read(data)
        url = run.nats if run else settings.nats_url
        settings = msgspec.structs.replace(settings, nats_url=url, nats_nkey="")
        if action != "revoke":
            keys.write_context(name, url, settings.nats_ca)
        told = run is not None and _tell(run)
        if told:
            if action != "revoke":
                await _until(_as(settings, keys.seed(name)), name, admitted=True)
            if former is not None:
                await _until(_as(settings, former), name, admitted=False)
    finally:
        if former is not None:
            former.unlink()
    print(f"{name}: {DONE[action]}" + ("" if told else "; the NATS server knows once it has read it (nats-server --signal reload)"))
    if action != "revoke":
        _explain(keys, name, url)
    return 0


DONE: Final = {"add": "may join", "rotate": "has a new key, the old one is refused", "revoke": "is refused, and its connections are cut"}


def _explain(keys: Keys, name: str, url: str) -> None:
    print(f"export CEREBRO_NATS_URL={url} CEREBRO_NATS_NKEY={keys.seed(name)}")
    print(f"export XDG_CONFIG_HOME={keys.users.parents[1]}    # then: nats --context {name} sub 'log.>'")


def _kept(seed: Path) -> Path | None:
    """A copy of a seed that is about to be worthless, to see that it is."""
    if not seed.exists():
        return None
    with tempfile.NamedTemporaryFile(dir=seed.parent, prefix="former-", delete=False) as copy:  # mode 0600
        copy.write(seed.read_bytes())
    return Path(copy.name)


def _tell(run: runfile.Run) -> bool:
    """Have our own NATS server read who is admitted; False where it runs elsewhere."""
    for name, process in living(run):
        if name == "nats":
            process.send_signal(signal.SIGHUP)
            return True
    return False


def _as(settings: BusSettings, seed: Path) -> BusSettings:
    return msgspec.structs.replace(settings, nats_nkey=str(seed))


async def _until(settings: BusSettings, name: str, *, admitted: bool) -> None:
    """Wait until the server admits that key, or does not. Raises `NotTaken` where it does not come to it."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + TAKEN_S
    while await _admits(settings, name) is not admitted:
        if loop.time() > deadline:
            raise NotTaken("the NATS server did not take it over: see logs/nats.log in the data folder")
        await asyncio.sleep(LOOK_S)


async def _admits(settings: BusSettings, name: str) -> bool:
    try:
        bus = await Bus.connect(settings, name, CONNECT_S)
    except NotAdmitted:
        return False
    except Unavailable as e:
        raise NotTaken(f"the NATS server does not answer: {e}") from e
    await bus.close(drain=False)  # the server may cut it off meanwhile, and would never answer
    return True
