"""`cerebro key`, run as an operator runs it, against a mesh that asks for keys."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE

import httpx
import msgspec

from bus import streams
from bus.settings import BusSettings
from tests.gateway.conftest import SETTINGS, opened


async def key(bus_settings: BusSettings, *arguments: str) -> tuple[int | None, str, str]:
    environment = os.environ | {"CEREBRO_NATS_URL": bus_settings.nats_url, "CEREBRO_BUS_PREFIX": bus_settings.prefix}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cerebro", "key", *arguments, env=environment, stdout=PIPE, stderr=PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, out.decode(), err.decode()


async def test_a_key_from_its_making_to_its_end(bus_settings: BusSettings) -> None:
    await streams.declare(bus_settings)
    assert await key(bus_settings, "list") == (0, "0 keys\n", "")
    status, text, _ = await key(bus_settings, "add", "reader", "--scope", "read")
    assert status == 0
    status, narrow, _ = await key(bus_settings, "add", "deployer", "--agent", "ops", "--agent", "deploy")
    assert status == 0
    async with opened(bus_settings, msgspec.structs.replace(SETTINGS, keys="on", key_cache_s=0.05)) as door:

        async def status_of(bearer: str) -> int:
            headers = {"authorization": f"Bearer {bearer.strip()}"}
            return (await door.http.get("/events?subjects=nonsense", headers=headers)).status_code

        assert (await status_of(text), await status_of(narrow), await status_of("ck.reader.x")) == (400, 400, 401)
        status, listed, _ = await key(bus_settings, "list")
        assert "read, write          writes as ops, deploy" in listed
        assert text.strip().rpartition(".")[2] not in listed
        assert (await key(bus_settings, "add", "reader"))[::2] == (
            1,
            "cerebro: there is a key reader: revoke it first, or choose another name\n",
        )
        assert await key(bus_settings, "revoke", "reader") == (0, "revoked reader\n", "")
        async with asyncio.timeout(30):
            while await status_of(text) != httpx.codes.UNAUTHORIZED:
                await asyncio.sleep(0.01)
    assert (await key(bus_settings, "revoke", "reader"))[::2] == (1, "cerebro: there is no key reader\n")
    assert (await key(bus_settings, "add"))[0] == 2
    assert (await key(bus_settings, "add", "reader"))[0] == 0
