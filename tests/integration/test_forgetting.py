"""What was forgotten is nowhere: not in an answer, a table, Redis, or a byte of the data folder; also after a restart.

One mesh: a marker is planted through every door for each way of asking, all is forgotten, and each test looks in one place.
"""

import asyncio
import json
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from bus import entries, subjects
from bus.connection import Bus
from cerebro.backup.compressed import pieces
from cerebro.runfile import Run
from tests.integration.launched import Up
from tests.integration.rest import client, eventually, get, post
from tests.integration.traces import checkpoint, in_files, in_redis, in_tables

WAYS = ("id", "session", "agent", "tag")
PATIENCE_S = 30.0
QUIET_S = 3.0
"""A stream of events that is silent for so long has told all there is: its signs of life come every 15 s."""
LONG = 20_000  # characters: such a text does not fit into a page of PostgreSQL


def marker(what: str) -> str:
    return f"{what}x{secrets.token_hex(10)}"


class Story(msgspec.Struct):
    """What was planted, under which ids, and what came of it."""

    up: Up
    markers: dict[str, str]
    ids: dict[str, list[str]]
    neighbours: dict[str, dict[str, Any]] = {}
    receipts: dict[str, dict[str, Any]] = {}
    traces_before: dict[str, list[str]] = {}
    replayed: dict[str, httpx.Response] = {}
    seq_before: int = 0
    concepts: dict[str, str] = {}

    @property
    def run(self) -> Run:
        return self.up.run


@asynccontextmanager
async def connected(up: Up) -> AsyncIterator[Bus]:
    bus = await Bus.connect(up.bus_settings(), "test", wait_s=10)
    try:
        yield bus
    finally:
        await bus.close()


def action(text: str, agent: str, **fields: Any) -> dict[str, Any]:
    return {"agent_id": agent, "action_type": "note", "action_details": {"text": text}, **fields}


async def plant(story: Story) -> None:
    async with client(story.run.http) as http, connected(story.up) as bus:
        for way in WAYS:
            await plant_neighbour(http, story, way)
        await plant_id(http, story)
        await plant_session(http, bus, story)
        await plant_agent(http, bus, story)
        await plant_tag(http, story)
        assert (await post(http, "/memory/consolidate", {}, 202))["concepts"]
        for said in story.markers.values():
            for mode in ("text", "hybrid"):
                for _ in range(2):
                    assert (await post(http, "/memory/search", {"query": f"{said} words", "mode": mode}, 200))["results"]
            await http.post("/memory/search", json={"query": said}, headers={"Idempotency-Key": f"search {said}"})
        story.seq_before = (await bus.api(f"STREAM.INFO.{subjects.MESH}", {}))["state"]["last_seq"]
    await checkpoint(story.run.postgres)


async def plant_neighbour(http: httpx.AsyncClient, story: Story, way: str) -> None:
    kept = action(f"neighbour of {way}", f"kept-{way}", session_id=f"kept {way}", tags=[f"kept {way}"])
    ident = (await post(http, "/memory/action?wait=searchable", kept, 201))["episode_id"]
    story.neighbours[way] = await get(http, f"/memory/episodic/{ident}")


async def plant_id(http: httpx.AsyncClient, story: Story) -> None:
    said = story.markers["id"]
    body = action(f"{said} words " + secrets.token_hex(LONG // 2), "teller", context_state={"seen": said}, handoff_packet={"next": said})
    answer = await http.post("/memory/action?wait=searchable", json=body, headers={"Idempotency-Key": f"action {said}"})
    story.ids["id"] = [answer.json()["episode_id"]]
    for name, sources in (("alone", story.ids["id"]), ("told", [])):
        concept = {
            "concept": f"{name} {said if sources else 'nothing'}",
            "content": f"{said if sources else 'no'} words",
            "source_episodes": sources,
        }
        story.concepts[name] = (await post(http, "/memory/semantic", concept, 201))["concept_id"]


async def plant_session(http: httpx.AsyncClient, bus: Bus, story: Story) -> None:
    said, session = story.markers["session"], f"session {story.markers['session']}"
    lines = [json.dumps(action(f"{said} words {n}", "teller", session_id=session)) for n in range(5)]
    headers = {"content-type": "application/x-ndjson"}
    items = (await http.post("/memory/actions?wait=searchable", content="\n".join(lines), headers=headers)).json()["items"]
    story.ids["session"] = [item["episode_id"] for item in items]
    again = {entries.EVENT_ID: items[0]["episode_id"]}  # the same event once more, past the server's duplicate window
    stored = await bus.publish(subjects.EPISODE, json.loads(lines[0]), headers=again, agent="teller")
    await persisted_to(http, stored.seq)
    await http.put(f"/memory/working/{session}/key", json={"context_data": {"held": said}})
    await get(http, f"/memory/working/{session}/key")


async def plant_agent(http: httpx.AsyncClient, bus: Bus, story: Story) -> None:
    said = story.markers["agent"]
    by_hand = json.dumps({"action_type": "by hand", "action_details": {"text": f"{said} words"}}).encode()
    ack = await bus.js.publish(subjects.EPISODE.subject(agent="ops"), by_hand)
    bad = json.dumps({"action_type": 5, "said": f"{said} words"}).encode()
    buried = await bus.js.publish(subjects.EPISODE.subject(agent="ops"), bad)
    lesson = {"agent": "ops", "topic": f"{said} topic", "content": f"{said} words", "wait_s": 20}
    receipt = await post(http, "/neural-mesh/cross-learning", lesson, 202)

    async def integrated() -> bool:  # one that was not heard for a moment is not waited for
        told = await get(http, f"/neural-mesh/cross-learning/{receipt['lesson_id']}")
        return set(told["integrated_by"]) >= {"nexus", "aria", "ricardo"}

    await eventually(integrated)
    await http.put("/memory/working/of-ops/key", json={"context_data": {"held": said}, "agent_id": "ops"})
    await persisted_to(http, max(ack.seq, buried.seq, receipt["stream_seq"]))
    story.ids["agent"] = [e["episode_id"] for e in (await get(http, "/memory/episodic/recent?agent_id=ops"))["episodes"]]
    assert receipt["lesson_id"] in story.ids["agent"]


async def plant_tag(http: httpx.AsyncClient, story: Story) -> None:
    said = story.markers["tag"]
    tagged = [action(f"{said} words {n}", f"teller-{n}", tags=[f"tag {said}", "other"]) for n in range(2)]
    items = (await post(http, "/memory/actions?wait=searchable", tagged, 201))["items"]
    story.ids["tag"] = [item["episode_id"] for item in items]
    await http.put("/memory/working/tagged/key", json={"context_data": {"held": said}, "tags": [f"tag {said}"]})


async def persisted_to(http: httpx.AsyncClient, seq: int) -> None:
    async def there() -> bool:
        return bool((await get(http, "/stats"))["memory"]["persisted_seq"] >= seq)

    await eventually(there)


async def forget(story: Story) -> None:
    for way, said in story.markers.items():
        story.traces_before[way] = in_files(story.up.data, said)
    async with client(story.run.http) as http:
        answer = await http.delete(f"/memory/episodic/{story.ids['id'][0]}")
        assert answer.status_code == 200, answer.text
        story.receipts["id"] = answer.json()
        selectors = {
            "session": {"session_id": f"session {story.markers['session']}"},
            "agent": {"agent_id": "ops"},
            "tag": {"tag": f"tag {story.markers['tag']}"},
        }
        for way, selector in selectors.items():
            story.receipts[way] = await post(http, "/memory/forget", selector, 200)
        for way, selector in selectors.items():
            assert await post(http, "/memory/forget", selector, 200) == story.receipts[way], "asked again, it is another receipt"
        for way, said in story.markers.items():
            key = {"Idempotency-Key": f"search {said}"}
            story.replayed[way] = await http.post("/memory/search", json={"query": said}, headers=key)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    up = Up(tmp_path_factory.mktemp("forgetting") / "data")
    told = Story(up=up, markers={way: marker(way) for way in WAYS}, ids={})
    try:
        up.wait_until_ready()
        asyncio.run(plant(told))
        asyncio.run(forget(told))
        yield told
    finally:
        told.up.stop()


class TestBefore:
    @pytest.mark.parametrize("way", WAYS)
    def test_the_marker_was_in_the_log_and_in_the_tables(self, story: Story, way: str) -> None:
        places = " ".join(story.traces_before[way])
        assert "streams/MESH/msgs" in places
        assert "postgres/base/" in places

    def test_copies_of_it_were_where_we_look(self, story: Story) -> None:
        assert "streams/LESSONS/msgs" in " ".join(story.traces_before["agent"])
        assert "streams/DEAD/msgs" in " ".join(story.traces_before["agent"])
        assert "KV_idempotency" in " ".join(story.traces_before["id"])
        assert "postgres/pg_wal" in " ".join(story.traces_before["id"])


class TestReceipt:
    def test_it_counts_what_was_erased(self, story: Story) -> None:
        def counted(way: str) -> dict[str, Any]:
            names = ("episodes", "lessons", "working_items", "dead_letters")
            return {name: n for name in names if (n := story.receipts[way][name])}

        assert counted("id") == {"episodes": 1}
        assert counted("session") == {"episodes": 5, "working_items": 1}
        assert counted("agent") == {"episodes": 1, "lessons": 1, "working_items": 1, "dead_letters": 1}
        assert counted("tag") == {"episodes": 2, "working_items": 1}

    def test_the_places_of_copies_dead_letters_and_concepts_are_among_its_places(self, story: Story) -> None:
        def further(way: str) -> int:
            receipt = story.receipts[way]
            return int(receipt["log_entries"] - receipt["episodes"] - receipt["lessons"])

        assert further("id") >= 1  # what told the concept
        assert further("session") >= 2  # the copy, and what consolidation told
        assert story.receipts["session"]["concepts_erased"] + story.receipts["session"]["concepts_rewritten"] >= 1
        assert further("agent") >= 1  # what lies dead

    def test_everything_was_erased_to_the_last_byte(self, story: Story) -> None:
        assert all(receipt["scrubbed"] and receipt["complete"] for receipt in story.receipts.values())


async def answers(run: Run, story: Story) -> AsyncIterator[str]:
    """Whatever the mesh says of it, by every question there is."""
    async with client(run.http) as http:
        for way, said in story.markers.items():
            for query in ({}, {"as_of": story.seq_before}):
                for mode in ("text", "vector", "hybrid"):
                    yield json.dumps(await post(http, "/memory/search", {"query": "words", "mode": mode, "limit": 200, **query}, 200))
                    found = await post(http, "/memory/search", {"query": said, "mode": mode, "limit": 200, **query}, 200)
                    yield json.dumps(found)
            for ident in story.ids[way]:
                await get(http, f"/memory/episodic/{ident}", 404)
                yield (await http.get(f"/memory/graph/{ident}")).text
        yield json.dumps(await get(http, "/memory/episodic/recent?limit=200"))
        for agent in ("ops", "teller", "teller-0", "nexus", "aria"):
            yield json.dumps(await get(http, f"/memory/episodic/recent?limit=200&agent_id={agent}"))
            yield (await http.get(f"/memory/continuity/{agent}")).text
        for path in ("/memory/semantic", "/memory/working", "/neural-mesh/tasks", "/neural-mesh/consensus", "/neural-mesh/emotional-sync"):
            yield json.dumps(await get(http, path))
        for _ in range(12):  # any of the agents answers
            yield json.dumps(await get(http, "/neural-mesh/cross-learning?limit=200"))
        yield await replayed_events(http)


async def replayed_events(http: httpx.AsyncClient) -> str:
    """The log from its beginning, as `/events` tells it, until nothing more comes."""
    told = ""
    request = http.stream("GET", "/events?subjects=mesh.>,memory.episode.>", headers={"Last-Event-ID": "0"})
    async with request as stream:
        try:
            async with asyncio.timeout(PATIENCE_S) as waiting:
                async for part in stream.aiter_text():
                    told += part
                    waiting.reschedule(asyncio.get_running_loop().time() + QUIET_S)
        except TimeoutError:
            pass
    assert "neighbour of tag" in told
    return told


async def assert_nowhere(story: Story) -> None:
    said = story.markers
    async for answer in answers(story.run, story):
        assert not [way for way in WAYS if said[way] in answer], answer
    for way in WAYS:
        assert await in_tables(story.run.postgres, said[way]) == []
        assert await in_redis(story.run.redis, said[way]) == []
        assert in_files(story.up.data, said[way]) == []


class TestAfter:
    async def test_it_is_in_no_answer_no_table_no_cache_and_no_file(self, story: Story) -> None:
        await assert_nowhere(story)

    def test_it_is_in_no_backup_made_afterwards(self, story: Story, tmp_path: Path) -> None:
        """Its tables are looked through as they lie there, and its log as a restore writes it."""
        command = [sys.executable, "-m", "cerebro"]
        taken = subprocess.run([*command, "backup", "--data", story.up.data, "--to", tmp_path / "backups"], capture_output=True, check=True)
        [backup] = (tmp_path / "backups").iterdir()
        tables = {path.name: b"".join(pieces(path)) for path in backup.rglob("*.zst")}
        subprocess.run([*command, "restore", backup, "--data", tmp_path / "again"], capture_output=True, check=True)
        assert any(b"neighbour of id" in data for data in tables.values()), taken.stdout
        assert in_files(tmp_path / "again", "neighbour of id")
        for said in story.markers.values():
            assert [name for name, data in tables.items() if said.encode() in data] == []
            assert in_files(tmp_path / "again", said) == []

    @pytest.mark.parametrize("way", WAYS)
    def test_a_first_reply_that_held_it_is_gone(self, story: Story, way: str) -> None:
        assert story.replayed[way].status_code == 410
        assert story.replayed[way].json()["code"] == "forgotten"

    async def test_neighbours_are_as_they_were(self, story: Story) -> None:
        async with client(story.run.http) as http:
            for kept in story.neighbours.values():
                assert await get(http, f"/memory/episodic/{kept['episode_id']}") == kept
            hits = await post(http, "/memory/search", {"query": "neighbour", "mode": "text"}, 200)
            assert {kept["episode_id"] for kept in story.neighbours.values()} <= {hit["id"] for hit in hits["results"]}

    async def test_a_concept_that_rested_on_it_alone_is_gone_and_others_are_not(self, story: Story) -> None:
        async with client(story.run.http) as http:
            await get(http, f"/memory/semantic/{story.concepts['alone']}", 404)
            await get(http, f"/memory/semantic/{story.concepts['told']}")

    async def test_what_comes_again_under_a_forgotten_id_is_erased_again(self, story: Story) -> None:
        late = marker("late")
        async with client(story.run.http) as http, connected(story.up) as bus:
            headers = {entries.EVENT_ID: story.ids["id"][0]}
            body = {"action_type": "note", "action_details": {"text": late}}
            stored = await bus.publish(subjects.EPISODE, body, headers=headers, agent="teller")

            async def empty() -> bool:
                return await bus.entry_at(stored.seq) is None

            await eventually(empty)
            await get(http, f"/memory/episodic/{story.ids['id'][0]}", 404)
            again = action(late, "teller", episode_id=story.ids["id"][0])
            assert "forgotten" in (await post(http, "/memory/action", again, 409))["errors"][0]["message"]
        assert in_files(story.up.data, late) == []

    async def test_a_lesson_that_comes_again_is_not_learned(self, story: Story) -> None:
        ident = story.ids["agent"][0]
        async with client(story.run.http) as http, connected(story.up) as bus:
            await bus.publish(subjects.LESSON, {"topic": "late", "content": "again"}, headers={entries.EVENT_ID: ident}, agent="ops")
            for _ in range(6):
                await get(http, f"/neural-mesh/cross-learning/{ident}", 404)

    async def test_nothing_known_is_404_and_two_selectors_are_400(self, story: Story) -> None:
        async with client(story.run.http) as http:
            assert (await http.delete("/memory/episodic/never-there")).status_code == 404
            await post(http, "/memory/forget", {"session_id": "never there"}, 404)
            await post(http, "/memory/forget", {"session_id": "a", "tag": "b"}, 400)
            await post(http, "/memory/forget", {}, 400)


class TestAfterARestart:
    async def test_it_is_nowhere_either(self, story: Story, tmp_path: Path) -> None:
        story.up.stop()
        for way in WAYS:
            assert in_files(story.up.data, story.markers[way]) == []
        story.up = Up(story.up.data).wait_until_ready()
        await assert_nowhere(story)
        async with client(story.run.http) as http:
            again = await http.delete(f"/memory/episodic/{story.ids['id'][0]}")
            assert again.json() == story.receipts["id"]
