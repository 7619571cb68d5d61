"""`cerebro agent` and `cerebro keys`, as an operator runs them, on a mesh of `cerebro up`."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nats
import pytest

from cerebro.keys import Keys
from tests.integration.bystander import connected, is_refused
from tests.integration.launched import AGENT, Up, until
from tests.integration.rest import client, eventually, get

PATIENCE_S = 20.0


def agent(up: Up, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*AGENT, *words, "--data", up.data], capture_output=True, text=True, timeout=60, check=False)


async def test_who_has_no_key_is_refused(up: Up) -> None:
    assert await is_refused(servers=up.run.nats)


@pytest.mark.parametrize("words", [("prepare", "streams"), ("run", "nexus"), ("run", "gateway")], ids=" ".join)
def test_an_actor_without_its_key_ends_with_that_sentence(up: Up, words: tuple[str, ...]) -> None:
    environment = os.environ | {"CEREBRO_NATS_URL": up.run.nats, "CEREBRO_GATEWAY_HTTP_PORT": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "cerebro", *words], capture_output=True, text=True, timeout=60, check=False, env=environment
    )
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        os.EX_CONFIG,
        "cerebro: the NATS server does not admit this identity: 'Authorization Violation'",
    )
    assert "Traceback" not in done.stderr


async def test_an_agent_is_admitted_joins_and_is_shut_out(up: Up) -> None:
    added = agent(up, "add", "guest")
    assert added.returncode == 0, added.stderr
    seed = up.data / "keys" / "guest.nk"
    assert f"CEREBRO_NATS_NKEY={seed}" in added.stdout
    assert f"XDG_CONFIG_HOME={up.data}" in added.stdout
    context = json.loads((up.data / "nats" / "context" / "guest.json").read_text())
    cut = asyncio.Event()

    async def lost() -> None:
        cut.set()

    guest = await connected(
        servers=context["url"],
        nkeys_seed=context["nkey"],
        inbox_prefix=context["inbox_prefix"],
        disconnected_cb=lost,
        reconnect_time_wait=60,
    )
    try:
        bucket = await guest.nc.jetstream().key_value("presence")
        async with client(up.run.http) as http:

            async def there() -> bool:
                await bucket.put("guest.1", b'{"role": "guest", "skills": ["knit"]}')
                return "guest" in (await get(http, "/neural-mesh/connected-agents"))["agents"]

            await eventually(there)
        answer = await guest.nc.request("ask.agents", b"{}", timeout=PATIENCE_S)
        assert "guest" in json.loads(answer.data)["agents"]
        revoked = agent(up, "revoke", "guest")
        assert revoked.returncode == 0, revoked.stderr
        async with asyncio.timeout(PATIENCE_S):
            await cut.wait()
    finally:
        await guest.close()
    assert not seed.exists()
    assert not (up.data / "nats" / "context" / "guest.json").exists()


async def test_a_new_key_for_a_part_of_ours_restarts_it_with_that(up: Up, tmp_path: Path) -> None:
    before, former = up.run.processes, tmp_path / "former.nk"
    former.write_bytes((up.data / "keys" / "ricardo.nk").read_bytes())
    rotated = agent(up, "rotate", "ricardo")
    assert rotated.returncode == 0, rotated.stderr
    assert await is_refused(servers=up.run.nats, nkeys_seed=str(former))
    until(lambda: up.run.processes["ricardo"] != before["ricardo"])
    others = {name: pid for name, pid in up.run.processes.items() if name != "ricardo"}
    assert others == {name: pid for name, pid in before.items() if name != "ricardo"}, "nobody else was cut off"
    assert "does not admit this identity" in (up.data / "logs" / "ricardo.log").read_text()


async def test_its_own_key_is_all_that_a_child_is_told(up: Up) -> None:
    for name, pid in up.run.processes.items():
        environment = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
        told = [line for line in environment if line.startswith("CEREBRO_NATS_NKEY=")]
        if name in {"memory", "gateway", "nexus", "aria", "ricardo"}:
            assert told == [f"CEREBRO_NATS_NKEY={up.data / 'keys' / name}.nk"]


async def test_the_operators_context_is_the_chosen_one_and_works(up: Up) -> None:
    context = json.loads((up.data / "nats" / "context" / f"{(up.data / 'nats' / 'context.txt').read_text()}.json").read_text())
    nc = await nats.connect(context["url"], nkeys_seed=context["nkey"], inbox_prefix=context["inbox_prefix"])
    assert "MESH" in [stream.config.name for stream in await nc.jetstream().streams_info()]
    await nc.close()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("add", "nexus"), 1, "one of the mesh's own names"),
        (("add", "Not.A.Name"), 1, "no name for an agent"),
        (("revoke", "nexus"), 1, "rotate"),
        (("rotate", "nobody"), 1, "has no key here"),
        (("add",), 2, "needs a NAME"),
    ],
)
def test_what_cannot_be_done_is_said(up: Up, words: tuple[str, ...], status: int, said: str) -> None:
    done = agent(up, *words)
    assert (done.returncode, said in done.stderr, "Traceback" in done.stderr) == (status, True, False), done.stderr


def test_the_list_has_everyone_and_no_seed(up: Up) -> None:
    listed = agent(up, "list")
    assert {line.split()[0] for line in listed.stdout.splitlines()} >= {"operator", "memory", "gateway", "nexus", "aria", "ricardo"}
    assert not [seed for seed in (up.data / "keys").glob("*.nk") if seed.read_text() in listed.stdout]


def test_keys_for_a_server_of_ones_own(tmp_path: Path) -> None:
    environment: dict[str, Any] = os.environ | {"CEREBRO_NATS_URL": "nats://nats:4222", "CEREBRO_BUS_PREFIX": "blue"}
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-m", "cerebro", "keys", "--data", tmp_path],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
    keys = Keys(tmp_path)
    assert all(keys.public(name) in keys.users.read_text() for name in ("operator", "memory", "gateway", "nexus", "aria", "ricardo"))
    assert "blue.mesh.learning.nexus" in keys.users.read_text()
    assert json.loads((tmp_path / "nats" / "context" / "operator.json").read_text())["url"] == "nats://nats:4222"
