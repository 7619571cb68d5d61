"""The same key with the same request gives the first reply again; with another it is refused; effects happen once."""

import asyncio
import time
from typing import Any

import msgspec
import pytest

from bus.errors import Unavailable
from bus.log import entries
from bus.subjects import ASK_STIMULUS, EPISODE, LESSON
from gateway.idempotency import BUCKET, fingerprint
from schemas.emotion import AffectView
from schemas.replies import KeptReply
from tests.gateway.conftest import Door

ACTION = {"action_type": "a", "action_details": {"n": 1}}
KEY = {"Idempotency-Key": "one key"}
AFFECT = AffectView(valence=0, arousal=0, dominance=0, label="neutral", cause="c", updated_at="t")


async def episodes(door: Door) -> int:
    return len(await entries(door.bus, [EPISODE.wildcard]))


class TestTheSameKey:
    async def test_with_the_same_body_gives_the_first_reply_again(self, door: Door):
        first = await door.http.post("/memory/action", json=ACTION, headers=KEY)
        second = await door.http.post("/memory/action", json=ACTION, headers=KEY)
        assert (first.status_code, first.json()) == (second.status_code, second.json())
        assert "idempotent-replayed" not in first.headers
        assert second.headers["idempotent-replayed"] == "true"
        assert await episodes(door) == 1

    async def test_keeps_the_headers_of_the_first_reply(self, door: Door):
        lesson = {"agent": "nexus", "topic": "t", "content": "c", "wait_s": 0}
        first = await door.http.post("/neural-mesh/cross-learning", json=lesson, headers=KEY)
        second = await door.http.post("/neural-mesh/cross-learning", json=lesson, headers=KEY)
        assert first.headers["location"] == second.headers["location"]

    async def test_with_another_body_is_422(self, door: Door):
        await door.http.post("/memory/action", json=ACTION, headers=KEY)
        response = await door.http.post("/memory/action", json={**ACTION, "action_type": "b"}, headers=KEY)
        assert response.status_code == 422
        assert response.headers["content-type"] == "application/problem+json"
        assert await episodes(door) == 1

    async def test_on_another_path_or_query_is_422(self, door: Door):
        await door.http.post("/memory/action", json=ACTION, headers=KEY)
        assert (await door.http.post("/memory/action?wait=persisted", json=ACTION, headers=KEY)).status_code == 422

    async def test_of_two_requests_at_once_the_second_waits_for_the_reply_of_the_first(self, door: Door):
        asked = 0

        async def slowly(_: Any) -> AffectView:
            nonlocal asked
            asked += 1
            await asyncio.sleep(0)
            return AFFECT

        await door.stand_in({ASK_STIMULUS: slowly})
        body = {"agent": "aria", "event": "praise", "cause": "c"}
        replies = await asyncio.gather(*(door.http.post("/neural-mesh/emotional-sync", json=body, headers=KEY) for _ in range(10)))
        assert {r.status_code for r in replies} == {202}
        assert asked == 1
        assert sum(r.headers.get("idempotent-replayed") == "true" for r in replies) == 9

    async def test_after_a_malformed_request_is_still_free(self, door: Door):
        assert (await door.http.post("/memory/action", json={}, headers=KEY)).status_code == 400
        assert (await door.http.post("/memory/action", json=ACTION, headers=KEY)).status_code == 202

    @pytest.mark.parametrize("key", ["", "a" * 256])
    async def test_must_have_1_to_255_characters(self, door: Door, key: str):
        response = await door.http.post("/memory/action", json=ACTION, headers={"Idempotency-Key": key})
        assert response.status_code == 400
        assert response.json()["errors"][0]["path"] == "Idempotency-Key"


class TestAReplyThatIsNotFinal:
    async def test_is_not_kept_so_that_the_same_request_is_run_again(self, door: Door):
        away = True

        async def sometimes(_: Any) -> AffectView:
            if away:
                raise Unavailable("not now")
            return AFFECT

        await door.stand_in({ASK_STIMULUS: sometimes})
        body = {"agent": "aria", "event": "praise", "cause": "c"}
        assert (await door.http.post("/neural-mesh/emotional-sync", json=body, headers=KEY)).status_code == 503
        away = False
        other = await door.http.post("/neural-mesh/emotional-sync", json={**body, "cause": "d"}, headers=KEY)
        again = await door.http.post("/neural-mesh/emotional-sync", json=body, headers=KEY)
        assert (other.status_code, again.status_code) == (422, 202)


class TestARunThatCrashed:
    async def put(self, door: Door, since: float) -> None:
        """Leave what a crashed run leaves: a pending record, and its lesson on the log."""
        raw = msgspec.json.encode(self.lesson)
        record = KeptReply(fingerprint=fingerprint("POST", self.path, b"", raw), state="pending", owner="gone", since=since)
        first = await door.http.post(self.path, content=raw, headers=self.headers)
        assert first.status_code == 202
        bucket = await door.bus.kv(BUCKET)
        (name,) = [k for k in await bucket.keys() if k != "health"]
        await bucket.put(name, msgspec.json.encode(record))

    path = "/neural-mesh/cross-learning"
    lesson = {"agent": "nexus", "topic": "t", "content": "c", "wait_s": 0}
    headers = {**KEY, "content-type": "application/json"}

    async def test_is_run_again_and_its_effect_happens_once(self, door: Door):
        await self.put(door, since=time.time() - door.settings.pending_s_max - 1)
        again = await door.http.post(self.path, content=msgspec.json.encode(self.lesson), headers=self.headers)
        assert again.status_code == 202
        assert "idempotent-replayed" not in again.headers
        assert len(await entries(door.bus, [LESSON.wildcard])) == 1
