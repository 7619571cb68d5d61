"""An agent by the SDK that the server does not let in, or no more, ends with that sentence instead of trying for ever."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from cerebro.embedded.nats import NatsServer
from cerebro.keys import Keys
from cerebro_agent import Agent, NotAdmitted

PATIENCE_S = 30.0


class House:
    """A server that admits `ops`."""

    def __init__(self, data: Path) -> None:
        self.keys = Keys(data)
        self.keys.prepare(["nexus"], "")
        self.keys.add("ops")
        self.server = NatsServer(data / "nats", data / "nats.log", users=self.keys.users)

    def agent(self, nkey_seed: Path | None) -> Agent:
        return Agent("ops", role="tester", nats_url=self.server.url, nkey_seed=str(nkey_seed) if nkey_seed else None)


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    await house.server.start()
    yield house
    await house.server.stop()


async def test_without_a_key_it_is_told_so(house: House) -> None:
    with pytest.raises(NotAdmitted, match="Authorization Violation"):
        await asyncio.wait_for(house.agent(None).serve(asyncio.Event()), PATIENCE_S)


async def test_it_ends_when_its_key_is_revoked(house: House, tmp_path: Path) -> None:
    seed = tmp_path / "still-there.nk"
    seed.write_bytes(house.keys.seed("ops").read_bytes())
    ready = asyncio.Event()
    life = asyncio.create_task(house.agent(seed).serve(asyncio.Event(), ready))
    await asyncio.wait_for(ready.wait(), PATIENCE_S)
    house.keys.revoke("ops")
    os.kill(house.server.pid, signal.SIGHUP)
    with pytest.raises(NotAdmitted):
        await asyncio.wait_for(life, PATIENCE_S)


async def test_who_is_told_to_stop_meanwhile_stops(house: House) -> None:
    await house.server.stop()
    stop = asyncio.Event()
    life = asyncio.create_task(house.agent(house.keys.seed("ops")).serve(stop))
    await asyncio.sleep(0)
    stop.set()
    await asyncio.wait_for(life, PATIENCE_S)
