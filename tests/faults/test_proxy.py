"""The proxy of the faults does to a conversation what it says, and nothing else."""

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from tests.faults.proxy import AHEAD_BYTES_MAX, Proxy, Weather

WAIT_S = 10.0
QUIET_S = 0.2
"""How long nothing must come where something is swallowed."""


class Echo:
    """A server that says again what it hears. `heard` is everything; `reset` and `ended` count how its connections ended."""

    def __init__(self) -> None:
        self.heard = b""
        self.reset = 0
        self.ended = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                self.heard += data
                writer.write(data)
                await writer.drain()
            self.ended += 1
        except ConnectionResetError:
            self.reset += 1
        finally:
            writer.close()


@pytest_asyncio.fixture
async def echo() -> AsyncIterator[tuple[Echo, int]]:
    server = Echo()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    yield server, listening.sockets[0].getsockname()[1]
    listening.close()


@pytest_asyncio.fixture
async def proxy(echo: tuple[Echo, int]) -> AsyncIterator[Proxy]:
    between = Proxy(lambda: ("127.0.0.1", echo[1]), random.Random(1))
    await between.start()
    yield between
    await between.stop()


class Client:
    """A connection by way of the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, proxy: Proxy) -> "Client":
        return cls(*await asyncio.open_connection("127.0.0.1", proxy.port))

    async def say(self, data: bytes) -> bytes:
        """What is heard back of it, of the same length."""
        self.writer.write(data)
        return await asyncio.wait_for(self.reader.readexactly(len(data)), WAIT_S)

    async def hears_nothing(self) -> bool:
        try:
            await asyncio.wait_for(self.reader.read(1), QUIET_S)
        except TimeoutError:
            return True
        return False


async def until(met: Callable[[], bool]) -> None:
    """Wait until `met` holds."""
    async with asyncio.timeout(WAIT_S):
        while not met():
            await asyncio.sleep(0.01)


async def test_what_is_said_passes_both_ways_whole_and_in_order(proxy: Proxy) -> None:
    client = await Client.to(proxy)
    data = random.Random(2).randbytes(3 * AHEAD_BYTES_MAX)
    reading = asyncio.create_task(client.reader.readexactly(len(data)))
    client.writer.write(data)
    assert await asyncio.wait_for(reading, WAIT_S) == data
    client.writer.write_eof()
    assert await asyncio.wait_for(client.reader.read(), WAIT_S) == b""  # an end is passed on both ways
    client.writer.close()


async def test_what_is_delayed_comes_later_and_in_order(proxy: Proxy) -> None:
    client = await Client.to(proxy)
    proxy.weather = Weather(delay_s=0.1, jitter_s=0.05)
    loop = asyncio.get_running_loop()
    began = loop.time()
    pieces = [struct.pack(">I", n) for n in range(200)]
    for piece in pieces:
        client.writer.write(piece)
        await asyncio.sleep(0)
    assert await asyncio.wait_for(client.reader.readexactly(800), WAIT_S) == b"".join(pieces)
    assert loop.time() - began >= 0.2  # to the server and back
    client.writer.close()


async def test_a_throttled_direction_takes_as_long_as_its_rate_says(proxy: Proxy) -> None:
    client = await Client.to(proxy)
    proxy.weather = Weather(bytes_per_s=100_000)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await client.say(b"x" * 30_000)
    assert loop.time() - began >= 0.3
    client.writer.close()


async def test_a_cut_falls_in_the_middle_of_a_frame(proxy: Proxy, echo: tuple[Echo, int]) -> None:
    client = await Client.to(proxy)
    await client.say(b"first")
    proxy.cut(after_bytes=3)
    client.writer.write(b"a whole frame")
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(client.reader.readexactly(13), WAIT_S)
    await until(lambda: echo[0].reset == 1)
    assert echo[0].heard == b"firsta w"
    again = await Client.to(proxy)
    assert await again.say(b"let in") == b"let in"
    again.writer.close()


async def test_a_half_open_direction_is_swallowed_and_nobody_is_told(proxy: Proxy, echo: tuple[Echo, int]) -> None:
    client = await Client.to(proxy)
    await client.say(b"first")
    assert proxy.half_open("down") == 1
    client.writer.write(b"into the void")
    await until(lambda: echo[0].heard.endswith(b"void"))  # it arrives
    assert await client.hears_nothing()  # its answer does not
    client.writer.close()
    await until(lambda: proxy.swallowed_bytes == len(b"into the void"))
    assert (echo[0].ended, echo[0].reset, proxy.open) == (0, 0, 0)  # nor does its end
    await proxy.calm()
    await until(lambda: echo[0].reset + echo[0].ended == 1)


async def test_a_half_open_connection_leaves_new_ones_alone(proxy: Proxy, echo: tuple[Echo, int]) -> None:
    lost = await Client.to(proxy)
    await lost.say(b"first")
    proxy.half_open()
    lost.writer.write(b"swallowed")
    fresh = await Client.to(proxy)
    assert await fresh.say(b"second") == b"second"
    assert echo[0].heard == b"firstsecond"
    lost.writer.close()
    fresh.writer.close()


async def test_a_peer_that_is_never_told_lets_in_and_says_nothing(proxy: Proxy, echo: tuple[Echo, int]) -> None:
    proxy.swallow_new()
    client = await Client.to(proxy)
    client.writer.write(b"hello?")
    assert await client.hears_nothing()
    assert echo[0].heard == b""
    await proxy.calm()
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(client.reader.read(1), WAIT_S)


async def test_a_stalled_connection_takes_nothing_in(proxy: Proxy) -> None:
    client = await Client.to(proxy)
    await client.say(b"first")
    proxy.stall()
    client.writer.write(b"x" * (64 * 1024 * 1024))  # more than all buffers hold
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.writer.drain(), QUIET_S)
    await proxy.calm()
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(client.writer.drain(), WAIT_S)


async def test_who_is_refused_is_reset_and_nobody_is_let_in_until_calm(proxy: Proxy) -> None:
    client = await Client.to(proxy)
    await client.say(b"first")
    await proxy.refuse()
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(client.reader.read(1), WAIT_S)
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", proxy.port), timeout=WAIT_S):
        pass
    await proxy.calm()
    again = await Client.to(proxy)  # at the same port
    assert await again.say(b"second") == b"second"
    again.writer.close()


async def test_without_its_server_it_lets_go_of_who_comes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    between = Proxy(lambda: ("127.0.0.1", port), random.Random(1))
    await between.start()
    client = await Client.to(between)
    with pytest.raises(ConnectionResetError):
        assert await asyncio.wait_for(client.reader.readexactly(1), WAIT_S) == b""
    await between.stop()
