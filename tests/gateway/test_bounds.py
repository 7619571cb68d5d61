"""What a client may not do: send slowly, send too much, keep connections for nothing. Spoken over bare sockets."""

import asyncio

import pytest

from bus.settings import BusSettings
from gateway.settings import GatewaySettings
from tests.gateway.conftest import SETTINGS, Door, opened

HEAD = b"POST /memory/action HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"


class Wire:
    """A bare connection to the gateway."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, door: Door) -> "Wire":
        return cls(*await asyncio.open_connection("127.0.0.1", door.settings.http_port))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def everything(self) -> bytes:
        """What comes until the gateway hangs up."""
        async with asyncio.timeout(20):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""
            finally:
                self.writer.close()


class TestSlowSenders:
    async def test_a_head_that_never_ends_is_cut(self, door: Door):
        wire = await Wire.to(door)
        await wire.send(b"GET /live HTTP/1.1\r\nhost: x\r\n")
        assert await wire.everything() == b""

    async def test_a_connection_that_says_nothing_is_cut(self, door: Door):
        assert await (await Wire.to(door)).everything() == b""

    async def test_a_body_that_never_ends_is_answered_408(self, door: Door):
        wire = await Wire.to(door)
        await wire.send(HEAD + b'content-length: 100\r\n\r\n{"action_type"')
        assert (await wire.everything()).startswith(b"HTTP/1.1 408 ")

    async def test_a_client_that_hangs_up_within_its_body_leaves_no_request_behind(self, door: Door):
        wire = await Wire.to(door)
        await wire.send(HEAD + b'content-length: 100\r\n\r\n{"action_type"')
        wire.writer.close()
        await wire.writer.wait_closed()
        assert (await door.http.get("/stats")).json()["requests_open"] in {0, 1}
        async with asyncio.timeout(30):
            while (await door.http.get("/stats")).json()["requests_open"]:
                pass


class TestLargeSenders:
    async def test_a_head_without_end_is_431(self, door: Door):
        wire = await Wire.to(door)
        await wire.send(b"GET /live HTTP/1.1\r\nx: " + b"a" * (door.settings.head_bytes_max + 300_000))
        assert (await wire.everything()).startswith(b"HTTP/1.1 431 ")

    async def test_a_body_announced_too_large_is_refused_before_it_is_sent(self, door: Door):
        wire = await Wire.to(door)
        await wire.send(HEAD + b"content-length: 99999999999\r\n\r\n")
        answer = await wire.everything()
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"connection: close" in answer

    async def test_a_client_that_waits_for_continue_is_refused_without_it(self, door: Door):
        wire = await Wire.to(door)
        await wire.send(HEAD + b"expect: 100-continue\r\ncontent-length: 99999999999\r\n\r\n")
        assert (await wire.everything()).startswith(b"HTTP/1.1 413 ")

    async def test_a_body_for_an_unknown_path_is_not_taken_in(self, door: Door):
        wire = await Wire.to(door)
        await wire.send(b"POST /nope HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n")
        assert (await wire.everything()).startswith(b"HTTP/1.1 404 ")


class TestRubbish:
    @pytest.mark.parametrize(
        "data", [b"\x16\x03\x01\x02\x00\x01\x00\n\n\n", b"GET\r\n\r\n", b"GET /live HTTP/1.1\r\ncontent-length: x\r\n\r\n"]
    )
    async def test_what_is_no_http_is_400(self, door: Door, data: bytes):
        wire = await Wire.to(door)
        await wire.send(data)
        assert (await wire.everything()).startswith(b"HTTP/1.1 400 ")

    async def test_the_gateway_lives_on(self, door: Door):
        wire = await Wire.to(door)
        await wire.send(b"\x00" * 100_000)
        await wire.everything()
        assert (await door.http.get("/live")).status_code == 200


class TestUnderLoad:
    async def test_more_requests_than_it_works_on_are_503_and_probes_still_answer(self, bus_settings: BusSettings):
        settings = GatewaySettings(requests_max=1, body_s_max=5.0)
        async with opened(bus_settings, settings, with_bus=False) as door:
            wire = await Wire.to(door)
            await wire.send(HEAD + b"content-length: 100\r\n\r\n{")
            async with asyncio.timeout(30):
                while (await door.http.get("/stats")).json()["requests_open"] == 0:
                    pass
            response = await door.http.post("/memory/action", json={"action_type": "a"})
            assert response.status_code == 503
            assert "being worked on" in response.json()["detail"]
            assert (await door.http.get("/live")).status_code == 200
            wire.writer.close()


class TestWithoutNats:
    async def test_it_serves_and_says_that_nats_is_away(self):
        async with opened(BusSettings(nats_url="nats://127.0.0.1:9"), SETTINGS, with_bus=False) as door:
            assert (await door.http.get("/live")).status_code == 200
            assert (await door.http.get("/ready")).status_code == 503
            health = await door.http.get("/health")
            assert (health.status_code, health.json()["components"]["nats"]["status"]) == (503, "unhealthy")
            response = await door.http.post("/memory/action", json={"action_type": "a"}, headers={"idempotency-key": "k"})
            assert (response.status_code, response.headers["content-type"]) == (503, "application/problem+json")
            assert int(response.headers["retry-after"]) > 0
            assert (await door.http.get("/metrics")).status_code == 200
