"""Who is who on the bus, against the real server: what each identity is let do is what is declared, and nobody acts for another."""

import asyncio
import json
import os
import re
import signal
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from nats.aio.msg import Msg

from bus import streams, subjects
from bus.connection import Bus
from bus.errors import Forbidden, NotAdmitted
from bus.log import entries, follow
from bus.permissions import Identity, Role, allowed, names, permissions
from bus.presence import listen
from bus.settings import BusSettings
from cerebro.embedded.nats import NatsServer
from cerebro.keys import KeyRefused, Keys
from schemas.consensus import Vote
from schemas.entry import Malformed
from schemas.learning import Lesson
from schemas.members import Profile
from schemas.tasks import AssignedTask, Assignment, Cancel
from tests.integration.bystander import Bystander, connected, is_refused

BUILTIN = ["aria", "nexus"]
EXTERNAL = ["mallory", "ops"]
NAMES = sorted([*BUILTIN, *EXTERNAL, "gateway", "memory", "operator"])
LESSON = Lesson(topic="t", content="c")
PATIENCE_S = 10.0


class House:
    """A bare server that admits the identities of a data folder."""

    def __init__(self, data: Path) -> None:
        self.keys = Keys(data)
        self.keys.prepare(BUILTIN, "")
        for name in EXTERNAL:
            self.keys.add(name)
        self.server = NatsServer(data / "nats", data / "nats.log", users=self.keys.users)

    def credentials(self, name: str) -> dict[str, str]:
        return {"servers": self.server.url, "nkeys_seed": str(self.keys.seed(name)), "inbox_prefix": f"_INBOX.{name}"}

    def settings(self, name: str) -> BusSettings:
        return BusSettings(nats_url=self.server.url, nats_nkey=str(self.keys.seed(name)), log_bytes_max=64 * 1024**2, publish_timeout_s=3)

    @asynccontextmanager
    async def bus(self, name: str) -> AsyncIterator[Bus]:
        bus = await Bus.connect(self.settings(name), name, wait_s=PATIENCE_S)
        yield bus
        await bus.close()

    @asynccontextmanager
    async def bystander(self, name: str) -> AsyncIterator[Bystander]:
        client = await connected(**self.credentials(name))
        yield client
        await client.close()

    def reload(self) -> None:
        os.kill(self.server.pid, signal.SIGHUP)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    house = House(tmp_path_factory.mktemp("house"))
    await house.server.start()
    await streams.declare(house.settings("operator"))
    yield house
    await house.server.stop()


def examples(row: subjects.Subject) -> Iterator[str]:
    """A subject of this row for each agent that its token could name."""
    tokens = dict.fromkeys(re.findall(r"\{(\w+)\}", row.pattern), "x") | {"bucket": row.name}
    for agent in [*BUILTIN, *EXTERNAL, "nobody"] if "agent" in tokens else [""]:
        yield row.subject(**tokens | ({"agent": agent} if agent else {}))


def everything() -> list[str]:
    """Subjects of every kind: each row, the log's copies, inboxes, acknowledgements, JetStream's API, discovery, the system."""
    stored = names(BusSettings())
    verbs = ["INFO", "CREATE", "UPDATE", "DELETE", "PURGE", "SNAPSHOT", "RESTORE", "MSG.GET", "MSG.DELETE"]
    consumers = [*(f"work-{name}" for name in [*BUILTIN, *EXTERNAL]), "memory", "theirs"]
    calls = ["CREATE.MESH.{}", "CREATE.MESH.{}.mesh.>", "DURABLE.CREATE.MESH.{}", "INFO.MESH.{}", "DELETE.MESH.{}", "MSG.NEXT.MESH.{}"]
    return [
        *(subject for row in subjects.TABLE for subject in examples(row)),
        *(f"log.{subject}" for subject in examples(subjects.VOTE)),
        *(f"_INBOX.{name}.x" for name in NAMES),
        *(f"_ASK.{name}.x" for name in NAMES),
        *(f"$JS.API.STREAM.{verb}.{stream}" for verb in verbs for stream in stored),
        *(f"$JS.API.DIRECT.GET.{stream}" for stream in stored),
        *(f"$JS.API.CONSUMER.{call.format(name)}" for call in calls for name in consumers),
        *(f"$JS.API.CONSUMER.CREATE.MESH.work-{name}.mesh.task.*.assigned.{name}" for name in [*BUILTIN, *EXTERNAL]),
        *(f"$JS.API.CONSUMER.{verb}.{stream}" for verb in ("CREATE", "LIST", "NAMES") for stream in stored),
        *(f"$JS.ACK.MESH.{name}.1.2.3.4.5" for name in consumers),
        *(f"$KV.{bucket}.nexus" for bucket in ("affect", "idempotency", "keys", "presence", "a2a_push")),
        *(f"$SRV.{verb}{service}" for verb in ("PING", "INFO", "STATS") for service in ("", ".mesh", ".memory", ".other.x")),
        "$JS.API.INFO",
        "$SYS.REQ.SERVER.PING",
        "somewhere.else",
    ]


def identity(name: str) -> Identity:
    ours = {"operator": Role.OPERATOR, "memory": Role.MEMORY, "gateway": Role.GATEWAY}
    return Identity(name, ours.get(name, Role.BUILTIN if name in BUILTIN else Role.EXTERNAL))


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", NAMES)
class TestMatrix:
    """Every identity on every kind of subject: observed equals declared."""

    async def test_it_publishes_what_is_declared_and_nothing_else(self, house: House, name: str) -> None:
        may = permissions(identity(name), [identity(n) for n in NAMES], BusSettings())
        asked = [s for s in everything() if "STREAM.DELETE.KV_affect" not in s]  # which memory may, and would
        async with house.bystander(name) as client:
            observed = await client.may_publish(asked)
        assert observed == {s for s in asked if allowed(s, may.publish, may.publish_denied)}

    async def test_it_hears_what_is_declared_and_nothing_else(self, house: House, name: str) -> None:
        may = permissions(identity(name), [identity(n) for n in NAMES], BusSettings())
        asked = [*(s for s in everything() if "*" not in s and ">" not in s), *(f"_INBOX.{n}.>" for n in NAMES)]
        async with house.bystander(name) as client:
            observed = await client.may_hear(asked)
            wide = await client.may_hear([">", "_INBOX.>", "mesh.>", "$KV.>", "$JS.>"])
        assert observed == {s for s in asked if allowed(s.replace(">", "x"), may.subscribe, may.subscribe_denied)}
        assert bool(wide) is (name == "operator")


@pytest.mark.asyncio(loop_scope="module")
class TestNobodyActsForAnother:
    async def test_no_stream_is_left_out(self, house: House) -> None:
        async with house.bus("operator") as operator:
            assert sorted(names(operator.settings)) == sorted(config["name"] for config in streams.declared(operator))

    async def test_a_forbidden_publish_is_an_error_at_once_that_names_the_subject(self, house: House) -> None:
        async with house.bus("ops") as ops:
            with pytest.raises(Forbidden, match=r"mesh\.consensus\.p\.vote\.aria"):
                await ops.publish(subjects.VOTE, Vote(choice="approve"), proposal="p", agent="aria")
            with pytest.raises(Forbidden, match=r"\$JS\.API\.STREAM\.PURGE\.MESH"):
                await ops.api("STREAM.PURGE.MESH", {})
            assert Forbidden("").problem().status == 403

    async def test_of_what_is_published_together_only_the_forbidden_fails(self, house: House) -> None:
        async with house.bus("ops") as ops:
            publishing = [ops.publish(subjects.LESSON, LESSON, agent=agent) for agent in ("ops", "ops", "aria", "ops", "nexus", "ops")]
            told = await asyncio.gather(*publishing, return_exceptions=True)
        assert [isinstance(t, Forbidden) for t in told] == [False, False, True, False, True, False]
        assert not any(isinstance(t, BaseException) and not isinstance(t, Forbidden) for t in told)

    async def test_a_header_neither_purges_the_log_nor_a_bucket(self, house: House) -> None:
        """`Nats-Rollup: all` deletes all that stands in a stream before it, where the stream allows it."""
        async with house.bus("nexus") as nexus, house.bystander("mallory") as mallory:
            first = await nexus.publish(subjects.LESSON, LESSON, agent="nexus")
            for subject in ("mesh.learning.mallory", "$KV.presence.mallory.1"):
                reply = await mallory.nc.request(subject, b'{"role": "x"}', headers={"Nats-Rollup": "all"})
                assert json.loads(reply.data)["error"]["description"] == "rollup not permitted"
            assert await nexus.entry_at(first.seq) is not None

    async def test_no_schedule_makes_the_server_write_for_another(self, house: House) -> None:
        headers = {"Nats-Schedule": "@at 2026-01-01T00:00:00Z", "Nats-Schedule-Target": "mesh.consensus.p.vote.aria"}
        async with house.bystander("mallory") as mallory:
            reply = await mallory.nc.request("mesh.learning.mallory", b'{"choice": "approve"}', headers=headers)
            assert "error" in json.loads(reply.data)
            assert not await mallory.may_publish(["timer.set.p", "timer.due.p"])

    async def test_an_acknowledgement_that_is_led_to_anothers_subject_is_no_entry(self, house: House) -> None:
        async with house.bus("nexus") as nexus, house.bystander("mallory") as mallory:
            await mallory.nc.publish("mesh.learning.mallory", b'{"topic": "t", "content": "c"}', reply="mesh.task.led.cancel.aria")
            await mallory.nc.flush()
            async with asyncio.timeout(PATIENCE_S):
                while not (found := await entries(nexus, [subjects.TASK_CANCEL.subject(task="led")])):
                    await asyncio.sleep(0.02)
            assert [type(entry) for entry in found] == [Malformed]
            await nexus.publish(subjects.TASK_CANCEL, Cancel(), task="led", agent="nexus")
            assert not isinstance((await entries(nexus, [subjects.TASK_CANCEL.subject(task="led")]))[-1], Malformed)

    async def test_work_that_is_led_to_anothers_subject_stays_what_it_was(self, house: House) -> None:
        """JetStream delivers wherever a request for work says; what it brings keeps its own subject."""
        async with house.bus("nexus") as nexus, house.bystander("mallory") as mallory:
            made, request = await mallory.own_consumer("mallory")
            consumer = request["config"]
            wider = request | {"config": consumer | {"filter_subject": "mesh.>"}}
            assert "error" in json.loads((await mallory.nc.request(made, json.dumps(wider).encode())).data)
            pushed = request | {"config": consumer | {"deliver_subject": "mesh.task.led2.progress.aria"}}
            assert "error" in json.loads((await mallory.nc.request(made, json.dumps(pushed).encode())).data)
            task = Assignment(fence=1, lease_s=5, task=AssignedTask(task_id="led2", title="x"))
            await nexus.publish(subjects.TASK_ASSIGNED, task, task="led2", agent="mallory")
            await mallory.nc.publish("$JS.API.CONSUMER.MSG.NEXT.MESH.work-mallory", b"1", reply="mesh.task.led2.progress.aria")
            await mallory.nc.flush()
            await nexus.publish(subjects.LESSON, LESSON, agent="nexus")
            assert await entries(nexus, [subjects.TASK_PROGRESS.subject(task="led2")]) == []

    async def test_what_the_server_says_that_is_led_to_anothers_presence_is_neither_a_goodbye_nor_a_profile(self, house: House) -> None:
        heard: list[tuple[str, Profile | None]] = []

        async def hear(agent: str, _: str, profile: Profile | None) -> None:
            heard.append((agent, profile))

        async def unread(agent: str, *_: object) -> None:
            heard.append((agent, Profile(role="none")))

        seen: list[bytes] = []

        async def see(msg: Msg) -> None:
            seen.append(msg.data)

        names = ("mallory", "aria", "operator")
        async with house.bus("nexus") as nexus, AsyncExitStack() as held:
            mallory, aria, operator = [await held.enter_async_context(house.bystander(name)) for name in names]
            await listen(nexus, hear, unread)
            await operator.nc.subscribe("$KV.presence.aria.1", cb=see)
            await operator.answered()
            await mallory.own_consumer("mallory")
            await mallory.nc.publish("mesh.learning.mallory", b'{"topic": "t", "content": "c"}', reply="$KV.presence.aria.1")
            request = b'{"batch": 100, "expires": 5000000000, "idle_heartbeat": 500000000}'
            await mallory.nc.publish("$JS.API.CONSUMER.MSG.NEXT.MESH.work-mallory", request, reply="$KV.presence.aria.1")
            async with asyncio.timeout(PATIENCE_S):
                while not {b"", b'{"'} <= {data[:2] for data in seen}:
                    await asyncio.sleep(0.02)
            await aria.nc.publish("$KV.presence.aria.1", b"", headers={"KV-Operation": "DEL"})
            async with asyncio.timeout(PATIENCE_S):
                while not heard:
                    await asyncio.sleep(0.02)
            assert heard == [("aria", None)], "the real goodbye, once"

    async def test_an_id_that_somebody_used_first_keeps_nobody_from_speaking(self, house: House) -> None:
        """Ids of votes and receipts can be derived by anybody, and the server drops what comes under a known one."""
        async with house.bus("nexus") as nexus, house.bus("mallory") as mallory:
            await mallory.publish(subjects.LESSON, LESSON, msg_id="derived", agent="mallory")
            stored = await nexus.publish(subjects.VOTE, Vote(choice="approve"), msg_id="derived", proposal="first", agent="nexus")
            assert (await nexus.entry_at(stored.seq)).subject == "mesh.consensus.first.vote.nexus"  # type: ignore[union-attr]
            again = await nexus.publish(subjects.VOTE, Vote(choice="approve"), msg_id=stored.event_id, proposal="first", agent="nexus")
            assert (again.seq, again.duplicate) == (stored.seq, True)

    async def test_anothers_work_is_not_acknowledged(self, house: House) -> None:
        async with house.bystander("ops") as ops, house.bystander("mallory") as mallory, house.bus("nexus") as nexus:
            work = await ops.nc.jetstream().pull_subscribe("mesh.task.*.assigned.ops", durable="work-ops", stream="MESH")
            task = Assignment(fence=1, lease_s=5, task=AssignedTask(task_id="mine", title="x"))
            await nexus.publish(subjects.TASK_ASSIGNED, task, task="mine", agent="ops")
            [msg] = await work.fetch(1, timeout=PATIENCE_S)
            assert not await mallory.may_publish([msg.reply], b"+ACK")
            assert (await work.consumer_info()).num_ack_pending == 1
            await msg.ack_sync(timeout=PATIENCE_S)
            assert (await work.consumer_info()).num_ack_pending == 0

    async def test_who_is_asked_by_a_part_of_ours_answers_where_it_was_told_and_nowhere_else(self, house: House) -> None:
        async with house.bus("nexus") as nexus, house.bystander("mallory") as mallory:
            inbox = nexus.open_inbox()
            heard = await nexus.nc.subscribe(inbox)
            await nexus.nc.flush()
            assert await mallory.may_publish([inbox, nexus.nc.new_inbox()]) == {inbox}
            assert (await heard.next_msg(timeout=PATIENCE_S)).data == b"-"
            assert await mallory.may_hear([inbox]) == set()

    async def test_the_log_is_followed_by_those_who_may_and_a_forbidden_follower_is_told(self, house: House) -> None:
        async with house.bus("gateway") as gateway, house.bus("ops") as ops:
            await gateway.publish(subjects.LESSON, LESSON, agent="anybody")
            assert await entries(gateway, [subjects.LESSON.wildcard])
            with pytest.raises(Forbidden, match=r"CONSUMER\.CREATE\.MESH"):
                await anext(aiter(follow(ops, [subjects.LESSON.wildcard])))


@pytest.mark.asyncio(loop_scope="module")
class TestAdmission:
    async def test_who_has_no_key_is_refused(self, house: House) -> None:
        assert await is_refused(servers=house.server.url)
        with pytest.raises(NotAdmitted, match="Authorization Violation"):
            await Bus.connect(BusSettings(nats_url=house.server.url), "nexus", wait_s=PATIENCE_S)

    async def test_who_has_another_key_is_refused(self, house: House, tmp_path: Path) -> None:
        elsewhere = Keys(tmp_path)
        elsewhere.prepare(BUILTIN, "")
        assert await is_refused(servers=house.server.url, nkeys_seed=str(elsewhere.seed("operator")))

    async def test_a_revoked_key_loses_its_connection_and_does_not_come_back(self, house: House) -> None:
        house.keys.add("leaver")
        house.reload()
        former = house.keys.seed("leaver").read_bytes()
        async with asyncio.timeout(PATIENCE_S):
            while await is_refused(**house.credentials("leaver")):
                await asyncio.sleep(0.02)
        async with house.bus("leaver") as leaver:
            await leaver.publish(subjects.LESSON, LESSON, agent="leaver")
            house.keys.revoke("leaver")
            house.keys.seed("leaver").write_bytes(former)  # it still has it
            house.reload()
            with pytest.raises(NotAdmitted):
                async with asyncio.timeout(PATIENCE_S):
                    await leaver.while_admitted()
            assert not leaver.connected
        house.keys.seed("leaver").unlink()

    async def test_a_rotated_key_is_worth_nothing(self, house: House, tmp_path: Path) -> None:
        former = tmp_path / "former.nk"
        former.write_bytes(house.keys.seed("ops").read_bytes())
        async with house.bus("ops") as ops, house.bus("nexus") as nexus:
            house.keys.rotate("ops")
            house.reload()
            with pytest.raises(NotAdmitted):
                async with asyncio.timeout(PATIENCE_S):
                    await ops.while_admitted()
            assert nexus.connected, "nobody else is cut off"
        assert await is_refused(servers=house.server.url, nkeys_seed=str(former))
        assert not await is_refused(**house.credentials("ops"))

    async def test_who_joins_later_is_protected_from_those_who_were_there(self, house: House) -> None:
        async with house.bystander("nexus") as nexus:
            assert await nexus.may_publish(["$JS.API.CONSUMER.MSG.NEXT.MESH.work-later"])
            house.keys.add("later")
            house.reload()
            async with asyncio.timeout(PATIENCE_S):
                while await nexus.may_publish(["$JS.API.CONSUMER.MSG.NEXT.MESH.work-later"]):
                    await asyncio.sleep(0.02)


class TestKeys:
    def test_they_are_made_once_and_their_owner_alone_reads_them(self, tmp_path: Path) -> None:
        keys = Keys(tmp_path)
        keys.prepare(BUILTIN, "")
        first = {path.name: path.read_bytes() for path in (tmp_path / "keys").glob("*.nk")}
        keys.prepare([*BUILTIN, "ricardo"], "")
        assert set(first) == {"operator.nk", "memory.nk", "gateway.nk", "aria.nk", "nexus.nk"}
        assert all((tmp_path / "keys" / name).read_bytes() == seed for name, seed in first.items())
        assert keys.seed("ricardo").exists()
        assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "keys").glob("*.nk")} == {0o600}
        assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700

    def test_no_seed_is_told_to_the_server(self, tmp_path: Path) -> None:
        keys = Keys(tmp_path)
        keys.prepare(BUILTIN, "")
        told = keys.users.read_text()
        assert keys.public("nexus") in told
        assert not [path for path in (tmp_path / "keys").glob("*.nk") if path.read_text() in told]

    @pytest.mark.parametrize("name", ["operator", "memory", "gateway", "nexus", "mesh", "server", "Ops", "a.b", "a/b", "", "x" * 64, "*"])
    def test_names_that_are_somebody_elses_or_no_token_are_refused(self, tmp_path: Path, name: str) -> None:
        keys = Keys(tmp_path)
        keys.prepare(BUILTIN, "")
        with pytest.raises(KeyRefused):
            keys.add(name)

    def test_what_cannot_be_done_is_said(self, tmp_path: Path) -> None:
        keys = Keys(tmp_path)
        with pytest.raises(KeyRefused, match="has no keys"):
            keys.add("ops")
        keys.prepare(BUILTIN, "")
        keys.add("ops")
        for change, name, why in ((keys.add, "ops", "rotate"), (keys.revoke, "nexus", "rotate"), (keys.rotate, "who", "has no key here")):
            with pytest.raises(KeyRefused, match=why):
                change(name)

    def test_the_context_is_what_the_nats_command_reads(self, tmp_path: Path) -> None:
        keys = Keys(tmp_path)
        keys.prepare(BUILTIN, "blue")
        keys.add("ops")
        keys.write_contexts("nats://127.0.0.1:4222")
        read: dict[str, Any] = json.loads((tmp_path / "nats" / "context" / "ops.json").read_text())
        assert read["nkey"] == str(keys.seed("ops"))
        assert (read["url"], read["inbox_prefix"]) == ("nats://127.0.0.1:4222", "_INBOX.blue_ops")
        assert (tmp_path / "nats" / "context.txt").read_text() == "operator"
        assert not (tmp_path / "nats" / "context" / "nexus.json").exists()
