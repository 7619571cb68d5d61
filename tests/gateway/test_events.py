"""Server-sent events: what the log accepted, in its order, from any place on."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from bus.subjects import EPISODE, LESSON
from schemas.learning import Lesson
from schemas.memory import Action
from tests.gateway.conftest import Door


async def say(door: Door, *topics: str) -> None:
    for topic in topics:
        await door.bus.publish(LESSON, Lesson(topic=topic, content="c"), agent="nexus")


@contextlib.asynccontextmanager
async def listening(door: Door, query: str = "", **headers: str) -> AsyncIterator["Events"]:
    async with door.http.stream("GET", f"/events{query}", headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Events(response)


class Events:
    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()

    async def next(self) -> dict[str, Any]:
        """The next event; comments are passed over."""
        event: dict[str, Any] = {}
        async with asyncio.timeout(10):
            async for line in self._lines:
                if not line and event:
                    return event
                name, _, value = line.partition(": ")
                if name:
                    event[name] = json.loads(value) if name == "data" else value
        raise AssertionError("the stream ended")

    async def comment(self) -> str:
        async with asyncio.timeout(10):
            return await anext(line async for line in self._lines if line.startswith(":"))

    async def ended(self) -> None:
        async with asyncio.timeout(10):
            async for _ in self._lines:
                pass


class TestAStream:
    async def test_starts_at_the_end_of_the_log_and_gives_each_entry(self, door: Door):
        await say(door, "before")
        async with listening(door) as events:
            await say(door, "after")
            event = await events.next()
        assert event["id"] == "2"
        assert event["event"] == event["data"]["subject"] == LESSON.subject(agent="nexus")
        assert (event["data"]["seq"], event["data"]["body"]["topic"]) == (2, "after")
        assert event["data"]["time"].endswith("Z")

    @pytest.mark.parametrize("by", ["header", "query"])
    async def test_goes_on_after_the_last_event_id_without_a_gap(self, door: Door, by: str):
        await say(door, *"abcdef")
        query, headers = ("", {"last-event-id": "2"}) if by == "header" else ("?last_event_id=2", {})
        async with listening(door, query, **headers) as events:
            assert [(await events.next())["data"]["body"]["topic"] for _ in range(4)] == list("cdef")

    async def test_gives_what_its_filters_match(self, door: Door):
        async with listening(door, f"?subjects={EPISODE.wildcard}") as events:
            await say(door, "a lesson")
            await door.bus.publish(EPISODE, Action(action_type="a"), agent="nexus")
            assert (await events.next())["event"] == EPISODE.subject(agent="nexus")

    async def test_of_the_whole_world_is_the_example_of_the_contract(self, door: Door):
        async with listening(door, "?subjects=mesh.%3E,memory.episode.%3E") as events:
            await say(door, "a")
            await door.bus.publish(EPISODE, Action(action_type="a"), agent="nexus")
            assert [(await events.next())["id"] for _ in range(2)] == ["1", "2"]

    async def test_says_that_it_is_there_when_nothing_happens(self, door: Door):
        async with listening(door) as events:
            assert [await events.comment() for _ in range(3)] == [": still here"] * 3

    async def test_leaves_malformed_entries_out(self, door: Door):
        async with listening(door) as events:
            await door.bus.publish(LESSON, b"{", agent="nexus")
            await say(door, "good")
            assert (await events.next())["id"] == "2"

    async def test_ends_when_the_gateway_stops(self, door: Door):
        async with listening(door) as events:
            await events.comment()
            door.stop.set()
            await events.ended()

    async def test_that_its_client_leaves_is_free_for_the_next(self, door: Door):
        for _ in range(door.settings.streams_max * 2):
            async with listening(door) as events:
                await events.comment()
            async with asyncio.timeout(30):
                while (await door.http.get("/stats")).json()["event_streams"]:
                    pass

    async def test_whose_reader_does_not_read_holds_nobody_up(self, door: Door):
        async with listening(door), listening(door) as reader:
            for topic in range(200):
                await door.bus.publish(LESSON, Lesson(topic=str(topic), content="c" * 50_000), agent="nexus")
            assert [(await reader.next())["data"]["body"]["topic"] for _ in range(200)] == [str(i) for i in range(200)]


class TestWhatIsRefused:
    async def test_more_streams_than_are_served(self, door: Door):
        async with contextlib.AsyncExitStack() as stack:
            streams = [await stack.enter_async_context(listening(door)) for _ in range(door.settings.streams_max)]
            for stream in streams:
                await stream.comment()
            response = await door.http.get("/events")
            assert (response.status_code, response.headers["content-type"]) == (503, "application/problem+json")

    @pytest.mark.parametrize("header", ["x", "-1", "1.5", "9" * 30])
    async def test_an_id_that_is_none(self, door: Door, header: str):
        assert (await door.http.get("/events", headers={"last-event-id": header})).status_code == 400

    async def test_an_id_beyond_the_end_of_the_log(self, door: Door):
        assert (await door.http.get("/events", headers={"last-event-id": "5"})).status_code == 400

    @pytest.mark.parametrize("subjects", ["", "x.>", ">", "$KV.>", "mesh.x y"])
    async def test_filters_that_lie_elsewhere(self, door: Door, subjects: str):
        response = await door.http.get("/events", params={"subjects": subjects})
        assert (response.status_code, response.json()["errors"][0]["path"]) == (400, "$.subjects")

    async def test_head_gets_the_headers_alone(self, door: Door):
        response = await door.http.head("/events")
        assert (response.status_code, response.content) == (200, b"")
