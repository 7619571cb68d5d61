"""Who is at the door: every route of the table with no key, a wrong one, a revoked one and one for something else."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio

from bus import streams
from bus.errors import TooManyRequests
from bus.settings import BusSettings
from bus.subjects import LESSON
from gateway.identity.guard import Caller, Guard, is_loopback
from gateway.identity.keyring import KNOWN_MAX, Keyring
from gateway.identity.keys import BUCKET, fits, made, parsed
from gateway.identity.rates import Rates, network
from gateway.route import Needs, Route
from gateway.routes import ROUTES
from gateway.settings import GatewaySettings
from schemas.keys import ApiKey, Scope
from schemas.learning import Lesson
from tests.gateway.conftest import LOG_BYTES, SETTINGS, Door, opened
from tests.gateway.test_routes import address, is_problem

pytestmark = pytest.mark.asyncio(loop_scope="module")

GUARDED = [route for route in ROUTES if route.needs is not Needs.NOTHING]
OPEN = [route for route in ROUTES if route.needs is Needs.NOTHING]
READ_BY_POST = {"/memory/search", "/a2a/tasks/{id}:subscribe"}
CARD = "/.well-known/agent-card.json"
"""Needs nothing but the agents, which are away here."""
SCOPES: tuple[Scope, ...] = ("read", "write", "operate")


async def add(door: Door, name: str, scopes: Sequence[Scope] = SCOPES, agents: Sequence[str] | None = None) -> dict[str, str]:
    """A new key, as the header that bears it."""
    text, key = made(name, scopes, agents, "2026-11-27T00:00:00.000000Z")
    await (await door.bus.kv(BUCKET)).create(name, msgspec.json.encode(key))
    return {"authorization": f"Bearer {text}"}


async def ask(door: Door, route: Route, headers: dict[str, str]) -> httpx.Response:
    body: Any = dict(route.example) if route.example else {"action_type": "a"}
    if route.raw == "text/event-stream":
        async with door.http.stream(route.method, address(route), headers=headers) as answer:
            if answer.is_error:
                await answer.aread()
            return answer
    if route.body is None:
        return await door.http.request(route.method, address(route), headers=headers)
    return await door.http.request(route.method, address(route), headers=headers, json=[body] if route.batch else body)


def is_refused(route: Route, answer: httpx.Response, status: int) -> None:
    """By a problem document, or as the protocol has it that the route is for."""
    if route.tell is None:
        is_problem(answer, status)
    assert answer.status_code == status


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shut(nats_url: str) -> AsyncIterator[Door]:
    """A gateway that asks for keys, and does not mind how often."""
    bus_settings = BusSettings(nats_url=nats_url, prefix=f"t{secrets.token_hex(5)}", log_bytes_max=LOG_BYTES)
    await streams.declare(bus_settings)
    settings = msgspec.structs.replace(SETTINGS, keys="on", key_cache_s=0.05, rate_of_bad_keys="", ask_s=0.1, away_patience_s=0.1)
    async with opened(bus_settings, settings) as door:
        yield door


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keys(shut: Door) -> dict[str, dict[str, str]]:
    """A key for each scope alone, one for all, and one that was revoked after it was good."""
    made_keys = {scope: await add(shut, f"only-{scope}", [scope]) for scope in SCOPES}
    made_keys["all"] = await add(shut, "all")
    made_keys["revoked"] = await add(shut, "revoked")
    assert (await shut.http.get("/stats", headers=made_keys["revoked"])).status_code == 200
    await (await shut.bus.kv(BUCKET)).delete("revoked")
    async with asyncio.timeout(30):
        while (await shut.http.get("/stats", headers=made_keys["revoked"])).status_code != 401:
            await asyncio.sleep(0)
    return made_keys


class TestEveryRoute:
    @pytest.mark.parametrize("route", GUARDED, ids=lambda r: r.name)
    async def test_none_bad_revoked_and_wrong(self, shut: Door, keys: dict[str, dict[str, str]], route: Route) -> None:
        other = {"authorization": f"Bearer ck.all.{secrets.token_urlsafe(32)}"}
        for headers in ({}, other, {"authorization": "Basic YTpi"}, {"authorization": "Bearer"}, keys["revoked"]):
            answer = await ask(shut, route, headers)
            is_refused(route, answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
        for scope in SCOPES:
            answer = await ask(shut, route, keys[scope])
            if scope == route.needs.value:
                assert answer.status_code not in {401, 403}, answer.text
            else:
                is_refused(route, answer, 403)

    @pytest.mark.parametrize("route", OPEN, ids=lambda r: r.name)
    async def test_what_needs_nothing_asks_for_nothing(self, shut: Door, route: Route) -> None:
        assert (await ask(shut, route, {})).status_code in ({503} if route.path == CARD else {200, 404})

    async def test_each_says_what_it_needs(self, shut: Door) -> None:
        told = (await shut.http.get("/openapi.json")).json()
        for route in ROUTES:
            operation = told["paths"][route.path][route.method.lower()]
            assert operation.get("x-needs", "nothing") == route.needs.value
            assert ("401" in operation["responses"]) == (route in GUARDED)

    async def test_writing_never_needs_less_than_writing(self) -> None:
        for route in ROUTES:
            if route.method != "GET" and route.path not in READ_BY_POST:
                assert route.needs in {Needs.WRITE, Needs.OPERATE}, route.path


class TestStreams:
    async def follows(self, door: Door, headers: dict[str, str], lines: asyncio.Queue[str | None]) -> None:
        """Put the events of a stream, as they come, and None at its end."""
        async with door.http.stream("GET", "/events", headers=headers) as answer:
            assert answer.status_code == 200
            async for line in answer.aiter_lines():
                if line.startswith((":", "id")):
                    lines.put_nowait(line)
        lines.put_nowait(None)

    async def test_a_stream_ends_when_its_key_is_revoked(self, shut: Door) -> None:
        """That of the revoked key ends in good order, without a word of what comes then; that of another key goes on."""
        keys = await shut.bus.kv(BUCKET)
        lost, kept = asyncio.Queue[str | None](), asyncio.Queue[str | None]()
        async with asyncio.TaskGroup() as group, asyncio.timeout(30):
            losing = group.create_task(self.follows(shut, await add(shut, "lost"), lost))
            keeping = group.create_task(self.follows(shut, await add(shut, "kept"), kept))
            assert (await lost.get(), await kept.get()) == (": still here", ": still here")
            await shut.bus.publish(LESSON, Lesson(topic="before", content="c"), agent="nexus")
            while not (await lost.get() or "").startswith("id"):
                pass
            await keys.delete("lost")
            await losing
            stored = await shut.bus.publish(LESSON, Lesson(topic="after", content="c"), agent="nexus")
            while await kept.get() != f"id: {stored.seq}":
                pass
            assert not keeping.done()
            keeping.cancel()
        told = [lost.get_nowait() for _ in range(lost.qsize())]
        assert told[-1] is None
        assert f"id: {stored.seq}" not in told

    async def test_no_key_is_no_stream_that_ends(self) -> None:
        """Where no key is asked for, none can be revoked."""
        guard = Guard(msgspec.structs.replace(SETTINGS, keys="off", key_cache_s=0.001), Keyring(lambda: None, 1))  # type: ignore[arg-type,return-value]
        over = asyncio.create_task(guard.shut_out(Needs.READ, None))
        await asyncio.wait({over}, timeout=0.1)
        assert not over.done()
        over.cancel()


class TestNames:
    @pytest.mark.parametrize("route", [r for r in GUARDED if r.acts_as], ids=lambda r: r.name)
    async def test_a_key_for_some_names_writes_in_no_other(self, shut: Door, route: Route) -> None:
        name = f"for-{route.name}".replace("_", "-")
        headers = await add(shut, name, agents=["ops"])
        answer = is_problem(await ask(shut, route, headers), 403)
        assert answer["errors"][0]["path"] == f"$.{route.acts_as}"
        assert route.example is None or route.example.get(route.acts_as or "") != "ops"

    async def test_in_its_own_it_does(self, shut: Door) -> None:
        headers = await add(shut, "own", agents=["ops", "deploy"])
        for agent in ("ops", "deploy"):
            answer = await shut.http.post("/memory/action", json={"agent_id": agent, "action_type": "a"}, headers=headers)
            assert answer.status_code == 202
        mixed = [{"agent_id": "ops", "action_type": "a"}, {"agent_id": "nexus", "action_type": "a"}]
        is_problem(await shut.http.post("/memory/actions", json=mixed, headers=headers), 403)

    async def test_nor_does_it_touch_what_may_be_anothers(self, shut: Door) -> None:
        headers = await add(shut, "narrow", agents=["ops"])
        for method, path in (("DELETE", "/neural-mesh/tasks/x"), ("DELETE", "/memory/working/s/k"), ("POST", "/memory/semantic")):
            body = {"concept": "c", "content": "c"} if method == "POST" else None
            is_problem(await shut.http.request(method, path, json=body, headers=headers), 403)

    async def test_reading_is_not_narrowed(self) -> None:
        search = next(route for route in ROUTES if route.path == "/memory/search")
        Caller("x", frozenset({"ops"})).may_write(search, None)


class TestReplies:
    async def test_one_key_does_not_get_anothers_kept_reply(self, shut: Door) -> None:
        first, second = await add(shut, "first"), await add(shut, "second")
        body = {"agent_id": "ops", "action_type": "a"}
        answers = [
            await shut.http.post("/memory/action", json=body, headers={**headers, "idempotency-key": "same"})
            for headers in (first, first, second)
        ]
        ids = [answer.json()["episode_id"] for answer in answers]
        assert ids[0] == ids[1] != ids[2]


class TestSecrets:
    async def test_no_log_answer_or_count_holds_one(self, shut: Door, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        good = await add(shut, "secretive")
        bad = {"authorization": f"Bearer ck.secretive.{secrets.token_urlsafe(32)}"}
        said = []
        for headers in (good, bad):
            for path in ("/stats", "/metrics", "/health", "/nowhere", "/memory/episodic/recent?limit=x"):
                answer = await shut.http.get(path, headers=headers)
                said.append(answer.text + str(answer.headers))
        for headers in (good, bad):
            secret = headers["authorization"].rpartition(".")[2]
            assert not [text for text in said if secret in text]
            assert secret not in caplog.text

    async def test_only_a_hash_is_kept(self, shut: Door) -> None:
        headers = await add(shut, "hashed")
        entry = await (await shut.bus.kv(BUCKET)).get("hashed")
        assert headers["authorization"].rpartition(".")[2].encode() not in (entry.value or b"")


class TestHeaders:
    async def test_every_answer_has_the_safe_ones(self, shut: Door) -> None:
        for path in ("/live", "/nowhere", "/stats", "/docs"):
            answer = await shut.http.get(path)
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
            assert "server" not in answer.headers


class TestRates:
    async def limited(self, bus_settings: BusSettings, **rates: Any) -> Any:
        await streams.declare(bus_settings)
        return opened(bus_settings, msgspec.structs.replace(SETTINGS, keys="on", **rates))

    async def test_a_key_that_asks_too_often_is_429_and_another_is_not(self, bus_settings: BusSettings) -> None:
        async with await self.limited(bus_settings, rate_of_key="3/hour") as door:
            headers, other = await add(door, "busy"), await add(door, "calm")
            codes = [(await door.http.get("/stats", headers=headers)).status_code for _ in range(5)]
            assert codes == [200, 200, 200, 429, 429]
            answer = await door.http.get("/stats", headers=headers)
            assert int(answer.headers["retry-after"]) == 1200
            assert (await door.http.get("/stats", headers=other)).status_code == 200

    async def test_an_address_that_asks_too_often_is_429(self, bus_settings: BusSettings) -> None:
        async with await self.limited(bus_settings, rate_of_address="3/hour") as door:
            headers = [await add(door, f"key-{n}") for n in range(5)]
            assert [(await door.http.get("/stats", headers=h)).status_code for h in headers] == [200, 200, 200, 429, 429]
            assert (await door.http.get("/live")).status_code == 200

    async def test_who_guesses_is_refused_even_when_right(self, bus_settings: BusSettings) -> None:
        async with await self.limited(bus_settings, rate_of_bad_keys="2/hour") as door:
            good = await add(door, "guessed")
            assert [(await door.http.get("/stats")).status_code for _ in range(3)] == [401, 401, 429]
            assert (await door.http.get("/stats", headers=good)).status_code == 429

    async def test_two_gateways_count_together_in_redis_and_alone_without(self, redis_url: str) -> None:
        item = f"rates-{secrets.token_hex(4)}"
        settings = GatewaySettings(rate_of_key="3/hour", rates_redis_url=redis_url)
        first, second = Rates(settings), Rates(settings)
        for rates in (first, second, first):
            await rates.take("key", item)
        with pytest.raises(TooManyRequests, match="more than 3 per 1 hour from one key"):
            await second.take("key", item)
        alone = Rates(msgspec.structs.replace(settings, rates_redis_url="redis://127.0.0.1:1/0"))
        for _ in range(3):
            await alone.take("key", item)
        with pytest.raises(TooManyRequests, match="more than 3"):
            await alone.take("key", item)
        for rates in (first, second, alone):
            await rates.close()

    async def test_what_is_counted_here_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("gateway.identity.rates.COUNTED_MAX", 50)
        rates = Rates(GatewaySettings(rate_of_address="100/hour"))
        for n in range(500):
            await rates.take("address", str(n))
            assert len(rates._here.storage) <= 60

    @pytest.mark.parametrize(
        ("address_", "counted"),
        [("192.0.2.7", "192.0.2.7"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("", ""), ("unix", "unix")],
    )
    async def test_an_ipv6_network_is_one_address(self, address_: str, counted: str) -> None:
        assert network(address_) == counted


class TestWhenAsked:
    @pytest.mark.parametrize(
        ("host", "keys", "asks"),
        [
            ("127.0.0.1", "auto", False), ("::1", "auto", False), ("localhost", "auto", False), ("0.0.0.0", "auto", True),
            ("192.0.2.1", "auto", True), ("::", "auto", True), ("gateway.example", "auto", True), ("127.0.0.1", "on", True),
            ("0.0.0.0", "off", False),
        ],
    )  # fmt: skip
    async def test_on_anything_but_loopback_unless_told(self, host: str, keys: Any, asks: bool) -> None:
        assert Guard(GatewaySettings(http_host=host, keys=keys), Keyring(lambda: None, 1)).asks is asks  # type: ignore[arg-type,return-value]

    async def test_loopback_is_a_whole_network(self) -> None:
        assert is_loopback("127.8.8.8")

    async def test_without_nats_nobody_gets_in(self, bus_settings: BusSettings) -> None:
        settings = msgspec.structs.replace(SETTINGS, keys="on")
        nowhere = msgspec.structs.replace(bus_settings, nats_url="nats://127.0.0.1:1")
        text, _ = made("anyone", SCOPES, None, "")
        async with opened(nowhere, settings, with_bus=False) as door:
            answer = await door.http.get("/stats", headers={"authorization": f"Bearer {text}"})
            assert answer.status_code == 503


class TestCors:
    async def test_only_a_listed_origin_is_let_in(self, bus_settings: BusSettings) -> None:
        await streams.declare(bus_settings)
        settings = msgspec.structs.replace(SETTINGS, keys="on", cors_origins=["https://console.example"])
        async with opened(bus_settings, settings) as door:
            asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization, content-type"}
            good = await door.http.options("/memory/action", headers={"origin": "https://console.example", **asked})
            assert (good.status_code, good.headers["access-control-allow-origin"]) == (200, "https://console.example")
            bad = await door.http.options("/memory/action", headers={"origin": "https://evil.example", **asked})
            assert "access-control-allow-origin" not in bad.headers
            refused = await door.http.get("/stats", headers={"origin": "https://console.example"})
            assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "https://console.example")


class TestForm:
    async def test_a_key_is_read_as_it_was_made(self) -> None:
        text, key = made("ops-1", ["read"], ["a", "b"], "now")
        assert parsed(text) is not None
        name, secret = parsed(text) or ("", "")
        assert (name, fits(secret, key), fits(f"{secret}x", key)) == ("ops-1", True, False)
        assert (key.scopes, key.agents) == (["read"], ["a", "b"])

    @pytest.mark.parametrize("text", ["", "ck", "ck.a", "ck..x", "ck.a.", "ck.a.b.c", "xx.a.b", "ck.a b.c", "ck.a." + "x" * 300, "ck.*.x"])
    async def test_anything_else_is_none(self, text: str) -> None:
        assert parsed(text) is None

    async def test_names_that_are_looked_up_are_forgotten_again(self) -> None:
        class Nothing(Keyring):
            async def _read(self, name: str) -> ApiKey | None:
                return None

        ring = Nothing(lambda: None, 60)  # type: ignore[arg-type,return-value]
        for n in range(KNOWN_MAX + 100):
            await ring.find(str(n))
        assert len(ring._known) == KNOWN_MAX
