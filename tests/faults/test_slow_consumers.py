"""Somebody is slow: the others are not, nothing grows beyond bounds, and nothing acknowledged is lost."""

import asyncio
import contextlib
import json
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nats
import nats.aio.msg
import nats.errors
import pytest

from bus.cancelling import end
from tests.faults.behind import OUTSIDE, Behind
from tests.faults.chances import Chances
from tests.faults.invariants import judged
from tests.faults.load import Load
from tests.faults.network import well
from tests.faults.planting import Change, plant
from tests.faults.proxy import Weather
from tests.faults.report import Report
from tests.faults.slow import Others, flood
from tests.integration.rest import client, eventually, get, post

MIB = 2**20
STALL_S = 5.0
SETTINGS = {"CEREBRO_MEMORY_EMBEDDING": "none", "CEREBRO_GATEWAY_STREAM_STALL_S": str(STALL_S)}
"""Without vectors: what is written is large here, and how soon it is embedded is not the question."""
UNREAD_BYTES = 24 * MIB
"""More than the sockets between a server and one that does not read hold."""
SLOW_BYTES = 96 * MIB
"""More than memory may hold while PostgreSQL is slow: its objects take several times as much."""
SLOW_BYTES_PER_S = 400_000.0
STREAMS = 8
TASKS = 12
PATIENCE_S = 300.0
pytestmark = [pytest.mark.faults, pytest.mark.timeout(1_500)]


@contextlib.asynccontextmanager
async def slow_mesh(folder: Path, what: str, code: Path | None = None) -> AsyncIterator[tuple[Behind, Others, Load, Report]]:
    """A mesh under load. What it suffered is judged, and must be nothing, unless it runs other code."""
    chances = Chances()
    mesh = Behind(folder / "data", chances.random("proxies"), **({"code": code} if code else {}), **SETTINGS)  # type: ignore[arg-type]
    try:
        mesh.wait_until_ready()
        with Report(f"slow: {what}", chances) as report:
            others = Others(mesh, report)
            load = Load(mesh, chances.random("load"), name="slow")
            async with load:
                yield mesh, others, load, report
            if code is None:
                broken = await well(mesh, PATIENCE_S)
                verdict = await judged(mesh, load)
                verdict.broken += others.broken + broken
                report.verdict(verdict)
                assert verdict.broken == []
    finally:
        mesh.stop()


async def test_a_subscriber_that_does_not_read_is_let_go(tmp_path: Path) -> None:
    async with slow_mesh(tmp_path, "subscriber") as (mesh, others, _, report):
        sleeper = await nats.connect(**mesh.credentials(), allow_reconnect=False, error_cb=_quiet)
        heard = 0

        async def hear(_: Any) -> None:
            nonlocal heard
            heard += 1

        await sleeper.subscribe("log.>", cb=hear)
        await sleeper.subscribe("memory.episode.>", cb=hear)
        await sleeper.flush()
        async with others.while_slow("subscriber"):
            await mesh.do(mesh.links[OUTSIDE, "nats"].stall)
            await flood(mesh, UNREAD_BYTES)
            log = mesh.data / "logs" / "nats.log"
            said = await eventually(lambda: _found(log, r"Slow Consumer|Stale Connection"), PATIENCE_S)
        report.figure("the server said", said)
        await mesh.do(mesh.links[OUTSIDE, "nats"].calm)
        await sleeper.close()


async def test_event_streams_that_nobody_reads_are_ended(tmp_path: Path) -> None:
    async with slow_mesh(tmp_path, "event streams") as (mesh, others, _, report):
        await flood(mesh, UNREAD_BYTES)
        address = urlsplit(mesh.run.http)
        sockets = []
        async with others.while_slow("event streams"):
            for _n in range(STREAMS):
                sock = socket.create_connection((address.hostname, address.port), timeout=10)  # type: ignore[arg-type]
                sock.sendall(b"GET /events?last_event_id=0 HTTP/1.1\r\nhost: mesh\r\n\r\n")
                sockets.append(sock)

            async def some_are_open(number: int) -> bool:
                async with client(mesh.run.http) as http:
                    return (await get(http, "/stats"))["event_streams"] == number  # type: ignore[no-any-return]

            await eventually(lambda: some_are_open(STREAMS), PATIENCE_S)
            await eventually(lambda: some_are_open(0), PATIENCE_S)  # although none of them was closed by its reader
        report.figure("streams ended", STREAMS)
        for sock in sockets:
            sock.close()


async def test_an_agent_that_never_acknowledges_its_work_harms_only_that(tmp_path: Path) -> None:
    async with slow_mesh(tmp_path, "agent") as (mesh, others, _, report):
        mute = await nats.connect(**mesh.admitted("mute"), error_cb=_quiet)
        beating = asyncio.create_task(_beat(mute), name="presence of mute")
        async with client(mesh.run.http) as http:

            async def joined() -> bool:
                return "mute" in (await get(http, "/neural-mesh/connected-agents"))["agents"]

            await eventually(joined, PATIENCE_S)
            async with others.while_slow("agent"):
                body = {"title": "Say something", "required_skills": ["say"], "timeout_s": 20}
                ids = [(await post(http, "/neural-mesh/task-distribute", body, 202))["task_id"] for _ in range(TASKS)]
                taken: list[nats.aio.msg.Msg] = []
                taking = asyncio.create_task(_take_without_a_word(mute, taken), name="mute takes")

                async def ended() -> Any:
                    found = [await get(http, f"/neural-mesh/tasks/{ident}") for ident in ids]
                    return found if all(task["finished_at"] for task in found) else None

                tasks = await eventually(ended, PATIENCE_S)
        assert taken
        assert {task["status"] for task in tasks} <= {"failed", "expired"}
        report.figure("taken and never acknowledged", len(taken))
        await end(taking)
        await _comes_to_its_senses(mute)  # or the server would keep its work for it, and the judge waits for that
        await end(beating)
        await mute.close()


async def test_while_postgresql_is_slow_memory_is_behind_and_says_so(tmp_path: Path) -> None:
    async with slow_mesh(tmp_path, "postgresql") as (mesh, others, _, report):
        await _slow_postgresql(mesh, others)
        report.figure("behind", f"{others.behind_max} entries; /health: {others.detail}")
        assert others.behind_max > 0
        assert re.fullmatch(r"\d+ entries of the log are not persisted yet", others.detail)


NO_BOUND = Change("memory/persister.py", "Line(AHEAD_MAX * self._settings.batch_len_max // self._piece_len)", "Line()")


async def test_a_memory_that_reads_ahead_without_bound_is_found(tmp_path: Path) -> None:
    """The opposite, planted."""
    plant((NO_BOUND,), tmp_path / "code")
    async with slow_mesh(tmp_path, "postgresql, planted", tmp_path / "code") as (mesh, others, _, _report):
        await _slow_postgresql(mesh, others)
    assert any(found.startswith("memory grew by") for found in others.broken), others.broken


async def _slow_postgresql(mesh: Behind, others: Others) -> None:
    """Write more than PostgreSQL takes meanwhile."""
    proxy = mesh.links["memory", "postgres"]
    async with others.while_slow("postgresql"):
        await mesh.do(lambda: setattr(proxy, "weather", Weather(bytes_per_s=SLOW_BYTES_PER_S)))
        await flood(mesh, SLOW_BYTES)
    await mesh.do(proxy.calm)


async def _found(log: Path, pattern: str) -> str:
    found = re.search(rf".*({pattern}).*", log.read_text())
    return found[0] if found else ""


async def _quiet(_: Exception) -> None:
    """What a client is told of its own slowness."""


async def _beat(nc: nats.NATS) -> None:
    profile = json.dumps({"role": "mute", "skills": ["say"], "takes": ["tasks"]}).encode()
    while True:
        await nc.publish("$KV.presence.mute.1", profile)
        await asyncio.sleep(1)


async def _take_without_a_word(nc: nats.NATS, taken: list[nats.aio.msg.Msg]) -> None:
    """Take assignments for as long as they come, which is for ever, since what nobody acknowledges comes again; say nothing of them."""
    work = await nc.jetstream().pull_subscribe_bind("work-mute", "MESH")
    while True:
        with contextlib.suppress(nats.errors.TimeoutError):
            taken += await work.fetch(1, timeout=5)


async def _comes_to_its_senses(nc: nats.NATS) -> None:
    """Acknowledge all that waits for it."""
    work = await nc.jetstream().pull_subscribe_bind("work-mute", "MESH")

    async def nothing_waits() -> bool:
        with contextlib.suppress(nats.errors.TimeoutError):
            for msg in await work.fetch(TASKS, timeout=1):
                await msg.ack_sync()
        info = await work.consumer_info()
        return not (info.num_pending or info.num_ack_pending)

    await eventually(nothing_waits, PATIENCE_S)
