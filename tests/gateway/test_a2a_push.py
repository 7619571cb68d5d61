"""Notifications to webhooks: in order, once there is something to tell, past whatever stands in the way of one of them."""

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from bus import streams
from bus.settings import BusSettings
from bus.subjects import TASK_ASSIGNED, TASK_FINISHED, TASK_PROGRESS
from gateway.a2a.post import Post, UndeliveredError, allowed
from gateway.a2a.settings import A2ASettings
from gateway.settings import GatewaySettings
from schemas.tasks import AssignedTask, Assignment, Finished, Progress
from tests.gateway.conftest import SETTINGS, Door, free_port, opened

A2A = A2ASettings(push_s_max=1.0, push_per_task_max=3)
VERSION = {"a2a-version": "1.0"}
SEND = "/a2a/message:send"


class Receiver:
    """A webhook. `statuses` are its first answers, then 200; without any it never answers at all while `hangs`."""

    def __init__(self, *statuses: int, hangs: bool = False) -> None:
        self.statuses = list(statuses)
        self.hangs = hangs
        self.heads: list[dict[str, str]] = []
        self._taken: asyncio.Queue[Any] = asyncio.Queue()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(fields["content-length"]))
        if self.hangs:
            await reader.read()
        status = self.statuses.pop(0) if self.statuses else 200
        self.heads.append(fields)
        if status == 200:
            self._taken.put_nowait(msgspec.json.decode(body))
        writer.write(b"HTTP/1.1 %d X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n" % status)
        writer.close()

    async def next(self) -> str:
        """What the next notification that it took tells."""
        async with asyncio.timeout(20):
            told = await self._taken.get()
        update = told.get("statusUpdate") or {}
        return update["status"]["state"] if update else next(iter(told))


@contextlib.asynccontextmanager
async def receiving(*statuses: int, hangs: bool = False) -> AsyncIterator[Receiver]:
    receiver = Receiver(*statuses, hangs=hangs)
    async with await asyncio.start_server(receiver.serve, "127.0.0.1", 0) as server:
        receiver.url = f"http://localhost:{server.sockets[0].getsockname()[1]}/hook"
        yield receiver


@pytest.fixture
async def door(bus_settings: BusSettings) -> AsyncIterator[Door]:
    await streams.declare(bus_settings)
    async with opened(bus_settings, SETTINGS, a2a=A2A) as door:
        yield door


async def begun(door: Door, hook: dict[str, Any] | None = None) -> str:
    """A task that nobody has yet."""
    configuration = {"returnImmediately": True, **({"taskPushNotificationConfig": hook} if hook else {})}
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "x"}]}
    answer = await door.http.post(SEND, json={"message": message, "configuration": configuration}, headers=VERSION)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["task"]["id"])


async def assign(door: Door, task: str) -> None:
    body = Assignment(fence=1, lease_s=60, task=AssignedTask(title="x", task_id=task))
    await door.bus.publish(TASK_ASSIGNED, body, task=task, agent="ops")


async def tell(door: Door, task: str, **progress: Any) -> None:
    await door.bus.publish(TASK_PROGRESS, Progress(fence=1, **progress), task=task, agent="ops")


async def finish(door: Door, task: str) -> None:
    await door.bus.publish(TASK_FINISHED, Finished(status="succeeded", agent="ops", output="done"), task=task)


async def hooked(door: Door, task: str, **hook: Any) -> httpx.Response:
    return await door.http.post(f"/a2a/tasks/{task}/pushNotificationConfigs", json=hook, headers=VERSION)


class TestAWebhook:
    async def test_is_told_of_each_update_in_order_with_its_credentials(self, door: Door):
        async with receiving() as receiver:
            auth = {"scheme": "Bearer", "credentials": "secret"}
            task = await begun(door, {"id": "mine", "url": receiver.url, "token": "t-1", "authentication": auth})
            await assign(door, task)
            await tell(door, task, state="input_required", message="Which?")
            await finish(door, task)
            told = [await receiver.next() for _ in range(4)]
        assert told == ["TASK_STATE_WORKING", "TASK_STATE_INPUT_REQUIRED", "artifactUpdate", "TASK_STATE_COMPLETED"]
        assert {h["authorization"] for h in receiver.heads} == {"Bearer secret"}
        assert {h["x-a2a-notification-token"] for h in receiver.heads} == {"t-1"}
        assert {h["content-type"] for h in receiver.heads} == {"application/json"}

    async def test_that_comes_later_is_told_of_what_comes_later(self, door: Door):
        async with receiving() as receiver:
            task = await begun(door)
            await assign(door, task)
            await hooked(door, task, url=receiver.url)
            await tell(door, task, message="half way")
            await finish(door, task)
            assert [await receiver.next() for _ in range(3)] == ["TASK_STATE_WORKING", "artifactUpdate", "TASK_STATE_COMPLETED"]

    async def test_is_told_by_the_next_gateway_what_happened_meanwhile(self, bus_settings: BusSettings):
        await streams.declare(bus_settings)
        async with receiving() as receiver:
            async with opened(bus_settings, SETTINGS, a2a=A2A) as first:
                task = await begun(first, {"url": receiver.url})
                await assign(first, task)
                assert await receiver.next() == "TASK_STATE_WORKING"
                first.stop.set()
                await tell(first, task, state="input_required")
            async with opened(bus_settings, SETTINGS, a2a=A2A) as second:
                await finish(second, task)
                told = [await receiver.next() for _ in range(3)]
        assert told == ["TASK_STATE_INPUT_REQUIRED", "artifactUpdate", "TASK_STATE_COMPLETED"]

    async def test_that_fails_is_told_again_before_anything_else(self, door: Door):
        async with receiving(302) as receiver:
            task = await begun(door, {"url": receiver.url})
            await assign(door, task)
            await finish(door, task)
            assert await receiver.next() == "TASK_STATE_WORKING"
            assert len(receiver.heads) >= 2

    async def test_that_cannot_be_reached_or_never_answers_holds_nobody_up(self, door: Door):
        async with receiving(hangs=True) as silent, receiving() as receiver:
            task = await begun(door, {"id": "nobody", "url": f"http://127.0.0.1:{free_port()}/"})
            await hooked(door, task, id="silent", url=silent.url)
            await hooked(door, task, id="good", url=receiver.url)
            await assign(door, task)
            await finish(door, task)
            assert [await receiver.next() for _ in range(3)] == ["TASK_STATE_WORKING", "artifactUpdate", "TASK_STATE_COMPLETED"]

    async def test_that_is_deleted_is_told_of_nothing_more(self, door: Door):
        async with receiving() as gone, receiving() as kept:
            task = await begun(door, {"id": "gone", "url": gone.url})
            await hooked(door, task, id="kept", url=kept.url)
            path = f"/a2a/tasks/{task}/pushNotificationConfigs"
            assert [c["id"] for c in (await door.http.get(path, headers=VERSION)).json()["configs"]] == ["gone", "kept"]
            for _ in range(2):
                assert (await door.http.delete(f"{path}/gone", headers=VERSION)).status_code == 200
            assert (await door.http.get(f"{path}/gone", headers=VERSION)).status_code == 404
            assert (await door.http.get(f"{path}/kept", headers=VERSION)).json()["url"] == kept.url
            await assign(door, task)
            await finish(door, task)
            assert [await kept.next() for _ in range(3)][-1] == "TASK_STATE_COMPLETED"
            assert gone.heads == []

    async def test_leaves_no_consumer_behind(self, door: Door):
        async with receiving() as receiver:
            task = await begun(door, {"url": receiver.url})
            await assign(door, task)
            await finish(door, task)
            assert [await receiver.next() for _ in range(3)][-1] == "TASK_STATE_COMPLETED"
            async with asyncio.timeout(10):
                while any("push" in n for n in (await door.bus.api(f"CONSUMER.NAMES.{door.bus.stream('MESH')}", {}))["consumers"] or ()):
                    await asyncio.sleep(0.05)


class TestWhatIsRefused:
    @pytest.mark.asyncio(loop_scope="module")
    @pytest.mark.parametrize(
        "hook",
        [
            {"url": "ftp://example.org/"},
            {"url": "http:///x"},
            {"url": "//example.org/"},
            {"url": "http://user:word@example.org/"},
            {"url": "http://example.org:99999/"},
            {"url": "http://169.254.169.254/latest"},
            {"url": "http://10.0.0.1/"},
            {"url": "http://[::ffff:10.0.0.1]/"},
            {"url": "http://[fe80::1]/"},
            {"url": "http://0.0.0.0/"},
            {"url": "http://example.org/" + "x" * 2_000},
            {"url": "http://example.org/", "token": "a\r\nx: y"},
            {"url": "http://example.org/", "authentication": {"scheme": "Bearer", "credentials": "ä"}},
            {"url": "http://example.org/", "authentication": {"credentials": "without scheme"}},
            {},
        ],
        ids=str,
    )
    async def test_a_webhook_that_nothing_should_be_sent_to(self, lasting_door: Door, hook: dict[str, Any]):
        task = await begun(lasting_door)
        answer = await hooked(lasting_door, task, **hook)
        assert (answer.status_code, answer.json()["error"]["details"][0]["reason"]) == (400, "INVALID_PARAMS")
        sent = {"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "x"}]}}
        configuration = {"returnImmediately": True, "taskPushNotificationConfig": hook}
        answer = await lasting_door.http.post(SEND, json={**sent, "configuration": configuration}, headers=VERSION)
        assert answer.status_code == 400

    async def test_a_webhook_of_no_task(self, door: Door):
        assert (await hooked(door, "nobody", url="http://example.org/")).status_code == 404

    async def test_more_webhooks_than_one_task_may_have(self, door: Door):
        task = await begun(door)
        statuses = [(await hooked(door, task, id=str(n), url="http://example.org/")).status_code for n in (1, 2, 3, 1, 4)]
        assert statuses == [200, 200, 200, 200, 400]


class TestAnAddress:
    @pytest.mark.parametrize(
        ("address", "listens_on", "private", "goes"),
        [
            ("93.184.216.34", "0.0.0.0", False, True),
            ("2606:2800:220:1::1", "0.0.0.0", False, True),
            ("127.0.0.1", "127.0.0.1", False, True),
            ("::1", "localhost", False, True),
            ("127.0.0.1", "0.0.0.0", False, False),
            ("127.0.0.1", "0.0.0.0", True, True),
            ("::ffff:127.0.0.1", "0.0.0.0", False, False),
            ("10.1.2.3", "127.0.0.1", False, False),
            ("10.1.2.3", "127.0.0.1", True, True),
            ("100.64.0.1", "127.0.0.1", False, False),
            ("169.254.169.254", "127.0.0.1", True, False),
            ("fe80::1", "127.0.0.1", True, False),
            ("224.0.0.1", "127.0.0.1", True, False),
            ("0.0.0.0", "127.0.0.1", True, False),
        ],
    )
    def test_is_allowed_as_the_settings_say(self, address: str, listens_on: str, private: bool, goes: bool):
        a2a, gateway = A2ASettings(push_private=private), GatewaySettings(http_host=listens_on)
        assert allowed(ipaddress.ip_address(address), a2a, gateway) is goes

    async def test_behind_a_name_is_judged_too(self):
        async with receiving() as receiver:
            post = Post(A2A, GatewaySettings(http_host="0.0.0.0"))
            with pytest.raises(UndeliveredError, match="where no notification may go"):
                await post.send(receiver.url, {}, b"{}")
            await post.close()
        assert receiver.heads == []

    @pytest.mark.parametrize(("host", "status"), [("example.org", 400), ("localhost", 200), ("hooks.example.net", 200)])
    async def test_must_be_of_the_hosts_where_there_is_a_list(self, bus_settings: BusSettings, host: str, status: int):
        await streams.declare(bus_settings)
        a2a = A2ASettings(push_hosts=["localhost", ".example.net"])
        async with opened(bus_settings, SETTINGS, a2a=a2a) as door:
            assert (await hooked(door, await begun(door), url=f"http://{host}/")).status_code == status
