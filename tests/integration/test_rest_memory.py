"""Memory over REST, against the whole mesh: each endpoint of the contract, on its good and its bad paths."""

import secrets
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.integration.rest import client, get, post


@pytest_asyncio.fixture
async def http(mesh: dict[str, Any]) -> AsyncIterator[httpx.AsyncClient]:
    async with client(mesh["http"]) as http:
        yield http


@pytest.fixture
def word() -> str:
    """A word that nobody else uses."""
    return "w" + secrets.token_hex(8)


class TestActions:
    async def test_persisted_it_is_found_by_text_at_once(self, http: httpx.AsyncClient, word: str):
        action = {"agent_id": "nexus", "action_type": "deploy", "action_details": {"text": word, "n": 1}, "tags": ["x"], "session_id": word}
        receipt = await post(http, "/memory/action?wait=persisted", action, 201)
        hits = await post(http, "/memory/search", {"query": word, "mode": "text"}, 200)
        assert [h["id"] for h in hits["results"]] == [receipt["episode_id"]]
        episode = await get(http, f"/memory/episodic/{receipt['episode_id']}")
        assert {k: episode[k] for k in action} == action

    async def test_searchable_it_is_found_by_vector_at_once(self, http: httpx.AsyncClient, word: str):
        receipt = await post(http, "/memory/action?wait=searchable", {"action_type": "a", "action_details": {"text": word}}, 201)
        hits = await post(http, "/memory/search", {"query": word, "mode": "vector"}, 200)
        assert receipt["episode_id"] in [h["id"] for h in hits["results"]]

    async def test_under_an_id_of_ones_own_it_is_stored_once(self, http: httpx.AsyncClient, word: str):
        action = {"episode_id": word, "action_type": "a", "action_details": {"text": "x"}}
        first = await post(http, "/memory/action?wait=persisted", action, 201)
        assert await post(http, "/memory/action?wait=persisted", action, 201) == first
        told = await post(http, "/memory/action", {**action, "action_type": "b"}, 409)
        assert told["errors"][0]["path"] == "$.episode_id"

    async def test_many_are_stored_as_one(self, http: httpx.AsyncClient, word: str):
        batch = [{"action_type": "a", "action_details": {"text": word, "n": n}, "agent_id": "ops"} for n in range(100)]
        items = (await post(http, "/memory/actions?wait=persisted", batch, 201))["items"]
        seqs = [item["stream_seq"] for item in items]
        assert seqs == list(range(seqs[0], seqs[0] + 100))
        page = await get(http, "/memory/episodic/recent?agent_id=ops&limit=200")
        assert {item["episode_id"] for item in items} <= {e["episode_id"] for e in page["episodes"]}

    async def test_pages_go_on_where_they_ended(self, http: httpx.AsyncClient, word: str):
        batch = [{"action_type": "a", "tags": [word], "action_details": {"n": n}} for n in range(5)]
        await post(http, "/memory/actions?wait=persisted", batch, 201)
        seen, query = [], f"tag={word}&limit=2"
        page = await get(http, f"/memory/episodic/recent?{query}")
        while page["next_before"]:
            seen += page["episodes"]
            page = await get(http, f"/memory/episodic/recent?{query}&before={page['next_before']}")
        seen += page["episodes"]
        assert sorted(e["action_details"]["n"] for e in seen) == [0, 1, 2, 3, 4]

    async def test_an_unknown_episode_is_404(self, http: httpx.AsyncClient, word: str):
        await get(http, f"/memory/episodic/{word}", 404)

    async def test_a_cursor_that_is_none_is_400(self, http: httpx.AsyncClient):
        await get(http, "/memory/episodic/recent?before=nonsense", 400)


class TestSearch:
    @pytest.mark.parametrize(("bad", "path"), [
        ({"query": ""}, "$.query"),
        ({"query": "a" * 4001}, "$.query"),
        ({"query": "a", "limit": 201}, "$.limit"),
        ({"query": "a", "mode": "psychic"}, "$.mode"),
        ({"query": "a", "kinds": []}, "$.kinds"),
        ({"query": "a", "since": "today"}, "$.since"),
    ])  # fmt: skip
    async def test_what_is_no_search_is_400(self, http: httpx.AsyncClient, bad: dict[str, Any], path: str):
        assert (await post(http, "/memory/search", bad, 400))["errors"][0]["path"] == path

    @pytest.mark.parametrize("query", ["' OR 1=1 --", "%%%", "a & b | !c :*", "\\", "(((", "😀", "\u202e", "the", "- -"])
    async def test_any_text_is_a_search(self, http: httpx.AsyncClient, query: str):
        for mode in ("text", "vector", "hybrid"):
            answer = await post(http, "/memory/search", {"query": query, "mode": mode}, 200)
            assert set(answer) == {"results", "next_before", "took_ms", "cached", "degraded"}


class TestWorkingMemory:
    async def test_an_item_is_kept_listed_and_forgotten(self, http: httpx.AsyncClient, word: str):
        path = f"/memory/working/{word}/a%2Fkey"
        answer = await http.put(path, json={"context_data": {"step": 1}, "agent_id": "aria", "ttl_s": 60})
        assert answer.status_code == 200
        assert (await get(http, path))["context_data"] == {"step": 1}
        listed = await get(http, f"/memory/working?session_id={word}&agent_id=aria")
        assert [item["key"] for item in listed["items"]] == ["a/key"]
        assert (await http.delete(path)).status_code == 200
        await get(http, path, 404)
        assert (await http.delete(path)).status_code == 404

    async def test_a_time_to_live_must_be_one(self, http: httpx.AsyncClient):
        answer = await http.put("/memory/working/s/k", json={"context_data": {}, "ttl_s": 0})
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (400, "$.ttl_s")


class TestSemanticMemory:
    async def test_a_concept_is_kept_with_its_sources_and_found(self, http: httpx.AsyncClient, word: str):
        source = (await post(http, "/memory/action?wait=persisted", {"action_type": "a", "action_details": {"text": word}}, 201))[
            "episode_id"
        ]
        body = {
            "concept": word,
            "content": f"{word} matters",
            "knowledge_type": "heuristic",
            "confidence_score": 0.9,
            "source_episodes": [source],
        }
        concept = await post(http, "/memory/semantic", body, 201)
        whole = await get(http, f"/memory/semantic/{concept['concept_id']}")
        assert [episode["episode_id"] for episode in whole["sources"]] == [source]
        listed = await get(http, f"/memory/semantic?query={word}&knowledge_type=heuristic&confidence_min=0.5")
        assert concept["concept_id"] in [c["concept_id"] for c in listed["concepts"]]

    async def test_an_unknown_concept_is_404(self, http: httpx.AsyncClient, word: str):
        await get(http, f"/memory/semantic/{word}", 404)


class TestOperations:
    async def test_the_mesh_is_healthy(self, http: httpx.AsyncClient):
        told = await get(http, "/health")
        assert told["status"] == "healthy"
        await get(http, "/ready")
        await get(http, "/live")

    async def test_figures_of_all_parts_are_there(self, http: httpx.AsyncClient):
        stats = await get(http, "/stats")
        assert stats["memory"]["episodes"] > 0
        text = (await http.get("/metrics")).text
        for name in ("aria_db_connections_active", "aria_db_query_duration_seconds_bucket", 'agent_connected{agent_id="nexus"} 1.0'):
            assert name in text
