"""What a NATS client makes of what client libraries do not write, or of answers that nobody waits for: it reads on."""

import asyncio
import contextlib

import nats.errors
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from bus.received import guarded
from cerebro_agent.client import LastingClient

UNREADABLE = (b"NATS/1.0 \xff\xff\xff\r\n\r\n", b"NATS/1.0\r\n", b"\xff\xff", b"NATS/1.0 200 \xff\r\na: 1\r\n\r\n")


@pytest.fixture(params=["ours", "the SDK's"])
def client(request) -> Client:
    return guarded(Client()) if request.param == "ours" else LastingClient()


@pytest.mark.parametrize("block", UNREADABLE)
async def test_headers_that_cannot_be_read_are_those_that_can(client: Client, block: bytes) -> None:
    assert (await client._process_headers(block) or {}) == ({"a": "1"} if b"a: 1" in block else {})


async def test_good_headers_are_read(client: Client) -> None:
    assert await client._process_headers(b"NATS/1.0\r\na: 1\r\n\r\n") == {"a": "1"}


async def test_an_answer_to_a_flush_that_was_given_up_is_passed_over(client: Client) -> None:
    given_up, waited_for = (asyncio.get_running_loop().create_future() for _ in range(2))
    client._pongs = [given_up, waited_for]
    given_up.cancel()
    await client._process_pong()
    assert not waited_for.done()
    await client._process_pong()
    assert waited_for.done()
    await client._process_pong()  # one too many
    assert client._pongs == []


async def test_a_flush_does_not_overtake_what_waits_to_be_sent(client: Client, nats_url: str) -> None:
    await client.connect(nats_url)
    sent: list[bytes] = []
    write, writelines = client._transport.write, client._transport.writelines
    client._transport.write = lambda data: (sent.append(bytes(data)), write(data))
    client._transport.writelines = lambda lines: (sent.append(b"".join(lines)), writelines(lines))
    await client.subscribe("heard.in.time")
    await client.flush()
    said = b"".join(sent)
    assert 0 <= said.find(b"SUB heard.in.time") < said.find(b"PING")
    await client.close()


@pytest.mark.parametrize("way", ["request", "flush"])
async def test_who_is_cancelled_in_the_moment_of_the_answer_ends(client: Client, nats_url: str, way: str) -> None:
    async def answer(msg: Msg) -> None:
        await msg.respond(b"")

    await client.connect(nats_url)
    await client.subscribe("question", cb=answer)
    await client.flush()
    waiting = asyncio.create_task(client.request("question", timeout=5) if way == "request" else client.flush())
    while not (awaited := list(client._resp_map.values()) if way == "request" else client._pongs):
        await asyncio.sleep(0)
    awaited[0].add_done_callback(lambda _: waiting.cancel())
    await asyncio.wait({waiting})
    assert waiting.cancelled()
    await client.close()


async def test_who_was_cancelled_before_may_still_ask(client: Client, nats_url: str) -> None:
    asked: list[str] = []

    async def cleans_up() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await client.flush()
            asked.append("flush")
            with contextlib.suppress(nats.errors.NoRespondersError):
                await client.request("nobody.hears.it", timeout=5)
            asked.append("request")

    await client.connect(nats_url)
    task = asyncio.create_task(cleans_up())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert (task.cancelled(), asked) == (True, ["flush", "request"])
    await client.close()
