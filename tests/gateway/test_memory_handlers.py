"""Memory over REST, with a stand-in for the memory actor: one action, batches, ids that are known, waiting."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from bus.errors import CerebroError, Unavailable, not_found, refusal
from bus.log import entries
from bus.subjects import (
    EPISODE,
    MEMORY_AWAIT,
    MEMORY_GET,
    MEMORY_SEMANTIC_GET,
    MEMORY_SEMANTIC_PUT,
    MEMORY_WORKING_DELETE,
    MEMORY_WORKING_GET,
    MEMORY_WORKING_PUT,
)  # fmt: skip
from schemas.concepts import ConceptById, ConceptView, ConceptWithSources
from schemas.forgetting import FORGOTTEN_CODE
from schemas.memory import Await, Awaited, ById, Deleted, EpisodeView, WorkingKey, WorkingPut, WorkingView
from tests.gateway.conftest import Door

ACTION = {"agent_id": "nexus", "action_type": "deploy", "action_details": {"text": "went live"}, "tags": ["x"]}
EPISODE_VIEW = EpisodeView(
    episode_id="mine", kind="episode", agent_id="nexus", timestamp="t", action_type="deploy", action_details={"text": "went live"},
    context_state=None, importance_score=0.5, tags=["x"], consolidated=False, cross_reference=None, project_dna_id=None,
    handoff_packet=None, session_id=None, subject="-", stream_seq=999, recorded_at="t",
)  # fmt: skip


async def log_of(door: Door) -> list[Any]:
    return await entries(door.bus, [EPISODE.wildcard])


def knows(*views: EpisodeView) -> Any:
    async def get(ask: ById) -> EpisodeView:
        for view in views:
            if view.episode_id == ask.id:
                return view
        raise not_found("no such episode")

    return get


class TestOneAction:
    async def test_is_published_under_its_agent_and_answered_with_its_place_on_the_log(self, door: Door):
        response = await door.http.post("/memory/action", json=ACTION)
        (entry,) = await log_of(door)
        assert response.status_code == 202
        assert response.json() == {"episode_id": entry.event_id, "stored": True, "stream_seq": entry.seq, "persisted": False}
        assert (entry.tokens, entry.via_gateway, entry.body.action_details) == ({"agent": "nexus"}, True, {"text": "went live"})

    async def test_under_an_id_that_was_forgotten_it_is_409_and_not_published(self, door: Door):
        async def gone(_: ById) -> EpisodeView:
            raise refusal(404, "it was forgotten", code=FORGOTTEN_CODE)

        await door.stand_in({MEMORY_GET: gone})
        response = await door.http.post("/memory/action", json={**ACTION, "episode_id": "mine"})
        assert response.status_code == 409
        assert response.json()["errors"] == [{"path": "$.episode_id", "message": "was forgotten, and is not remembered again"}]
        assert await log_of(door) == []

    @pytest.mark.parametrize(("wait", "state", "status"), [
        ("persisted", Awaited(persisted=True, searchable=False), 201),
        ("searchable", Awaited(persisted=True, searchable=True), 201),
        ("searchable", Awaited(persisted=True, searchable=False), 202),
        ("persisted", Awaited(persisted=False, searchable=False), 202),
    ])  # fmt: skip
    async def test_waiting_it_is_201_when_it_has_come_so_far(self, door: Door, wait: str, state: Awaited, status: int):
        asked: list[Await] = []

        async def awaited(ask: Await) -> Awaited:
            asked.append(ask)
            return state

        await door.stand_in({MEMORY_AWAIT: awaited})
        response = await door.http.post(f"/memory/action?wait={wait}", json=ACTION)
        assert (response.status_code, response.json()["persisted"]) == (status, status == 201)
        assert {(a.id, a.until) for a in asked} == {(response.json()["episode_id"], wait)}

    async def test_waiting_while_memory_is_away_it_is_stored_all_the_same(self, door: Door):
        response = await door.http.post("/memory/action?wait=persisted", json=ACTION)
        assert (response.status_code, response.json()["stored"], response.json()["persisted"]) == (202, True, False)

    async def test_waiting_for_something_else_is_400(self, door: Door):
        response = await door.http.post("/memory/action?wait=forever", json=ACTION)
        assert (response.status_code, response.json()["errors"][0]["path"]) == (400, "$.wait")

    async def test_larger_than_the_log_takes_is_413(self, door: Door):
        size = door.settings.body_bytes_max - 100
        response = await door.http.post("/memory/action", json={"action_type": "a", "action_details": {"x": "a" * size}})
        assert response.status_code == 413


class TestAnIdOfTheCallersOwn:
    mine = {**ACTION, "episode_id": "mine"}

    async def test_becomes_the_id_of_the_entry(self, door: Door):
        response = await door.http.post("/memory/action", json=self.mine)
        (entry,) = await log_of(door)
        assert (response.json()["episode_id"], entry.event_id) == ("mine", "mine")

    async def test_known_to_the_log_with_the_same_content_answers_as_the_first_time(self, door: Door):
        first = await door.http.post("/memory/action", json=self.mine)
        second = await door.http.post("/memory/action", json=self.mine)
        assert (first.status_code, first.json()) == (second.status_code, second.json())
        assert len(await log_of(door)) == 1

    async def test_known_to_the_log_with_other_content_is_409(self, door: Door):
        await door.http.post("/memory/action", json=self.mine)
        response = await door.http.post("/memory/action", json={**self.mine, "tags": []})
        assert (response.status_code, response.json()["errors"][0]["path"]) == (409, "$.episode_id")
        response = await door.http.post("/memory/action", json={**self.mine, "agent_id": "aria"})
        assert response.status_code == 409

    @pytest.mark.parametrize(("trouble", "status"), [(Unavailable("PostgreSQL: it starts"), 202), (CerebroError("it failed"), 500)])
    async def test_where_memory_cannot_look_it_is_stored_and_where_it_fails_that_is_told(self, door: Door, trouble: Exception, status: int):
        async def troubled(_: ById) -> EpisodeView:
            raise trouble

        await door.stand_in({MEMORY_GET: troubled})
        response = await door.http.post("/memory/action", json=self.mine)
        assert response.status_code == status
        assert "an internal error" not in response.text
        assert len(await log_of(door)) == (status == 202)

    async def test_known_to_memory_alone_with_the_same_content_answers_as_the_first_time(self, door: Door):
        await door.stand_in({MEMORY_GET: knows(EPISODE_VIEW)})
        response = await door.http.post("/memory/action", json=self.mine)
        assert (response.status_code, response.json()["stream_seq"]) == (202, 999)
        assert await log_of(door) == []

    async def test_known_to_memory_alone_with_other_content_is_409(self, door: Door):
        await door.stand_in({MEMORY_GET: knows(msgspec.structs.replace(EPISODE_VIEW, importance_score=0.9))})
        assert (await door.http.post("/memory/action", json=self.mine)).status_code == 409
        assert await log_of(door) == []

    @pytest.mark.parametrize("ident", ["", " a", "a\n", "a\r\nX: y", "é", "a" * 256, "\x7f"])
    async def test_must_fit_into_a_header(self, door: Door, ident: str):
        response = await door.http.post("/memory/action", json={**ACTION, "episode_id": ident})
        assert (response.status_code, response.json()["errors"][0]["path"]) == (400, "$.episode_id")


class TestManyActions:
    async def test_stand_side_by_side_on_the_log(self, door: Door):
        response = await door.http.post("/memory/actions", json=[ACTION] * 50)
        items = response.json()["items"]
        assert response.status_code == 202
        assert [i["stream_seq"] for i in items] == list(range(1, 51))
        assert [e.event_id for e in await log_of(door)] == [i["episode_id"] for i in items]

    async def test_as_ndjson(self, door: Door):
        lines = b"\n".join(msgspec.json.encode({**ACTION, "tags": [str(i)]}) for i in range(3)) + b"\n"
        response = await door.http.post("/memory/actions", content=lines, headers={"content-type": "application/x-ndjson"})
        assert response.status_code == 202
        assert [e.body.tags for e in await log_of(door)] == [["0"], ["1"], ["2"]]

    async def test_one_that_is_wrong_keeps_all_of_them_away(self, door: Door):
        response = await door.http.post("/memory/actions", json=[ACTION, ACTION, {**ACTION, "tags": 1}])
        assert (response.status_code, response.json()["errors"][0]["path"]) == (400, "$[2].tags")
        assert await log_of(door) == []

    async def test_the_same_id_twice_is_400(self, door: Door):
        response = await door.http.post("/memory/actions", json=[{**ACTION, "episode_id": "a"}, ACTION, {**ACTION, "episode_id": "a"}])
        assert (response.status_code, response.json()["errors"][0]["path"]) == (400, "$[2].episode_id")
        assert await log_of(door) == []

    async def test_one_known_with_other_content_is_409_and_keeps_all_of_them_away(self, door: Door):
        await door.stand_in({MEMORY_GET: knows(EPISODE_VIEW)})
        response = await door.http.post("/memory/actions", json=[ACTION, {**ACTION, "episode_id": "mine", "tags": ["other"]}])
        assert (response.status_code, response.json()["errors"][0]["path"]) == (409, "$[1].episode_id")
        assert await log_of(door) == []

    @pytest.mark.parametrize("count", [0, 1001])
    async def test_none_or_more_than_a_thousand_are_400(self, door: Door, count: int):
        assert (await door.http.post("/memory/actions", json=[ACTION] * count)).status_code == 400

    async def test_a_thousand_are_taken(self, door: Door):
        response = await door.http.post("/memory/actions", json=[ACTION] * 1000)
        assert response.status_code == 202
        assert len(response.json()["items"]) == 1000

    async def test_sent_again_under_their_ids_they_answer_as_the_first_time(self, door: Door):
        batch = [{**ACTION, "episode_id": f"e{i}"} for i in range(5)]
        first = await door.http.post("/memory/actions", json=batch)
        second = await door.http.post("/memory/actions", json=batch)
        assert first.json() == second.json()
        assert len(await log_of(door)) == 5

    async def test_waiting_for_all_of_them(self, door: Door):
        await door.stand_in({MEMORY_AWAIT: Awaited(persisted=True, searchable=True)})
        response = await door.http.post("/memory/actions?wait=searchable", json=[ACTION] * 20)
        assert response.status_code == 201
        assert all(i["persisted"] for i in response.json()["items"])


class TestWorkingMemory:
    async def test_any_session_and_key_can_be_named(self, door: Door):
        """A slash, a percent sign and a space within them included."""
        kept: dict[tuple[str, str], WorkingView] = {}

        async def put(item: WorkingPut) -> WorkingView:
            view = WorkingView(
                session_id=item.session_id, key=item.key, agent_id=item.agent_id, context_data=item.context_data, tags=item.tags,
                created_at="t", expires_at="t",
            )  # fmt: skip
            kept[item.session_id, item.key] = view
            return view

        async def get(key: WorkingKey) -> WorkingView:
            return kept[key.session_id, key.key]

        await door.stand_in({MEMORY_WORKING_PUT: put, MEMORY_WORKING_GET: get})
        path = "/memory/working/a%2Fb%20c/50%25%2Fx"
        assert (await door.http.put(path, json={"context_data": {"a": 1}})).status_code == 200
        assert list(kept) == [("a/b c", "50%/x")]
        assert (await door.http.get(path)).json()["context_data"] == {"a": 1}

    async def test_forgetting_what_is_not_there_is_404(self, door: Door):
        await door.stand_in({MEMORY_WORKING_DELETE: Deleted(deleted=False)})
        assert (await door.http.delete("/memory/working/s/k")).status_code == 404


@pytest.mark.parametrize(
    ("query", "as_of"),
    [("", None), ("?as_of=17", 17), ("?as_of=2026-11-22T10:00:00Z", datetime(2026, 11, 22, 10, tzinfo=UTC))],
)
async def test_a_concept_is_asked_for_as_it_was(door: Door, query: str, as_of: Any):
    asked: list[ConceptById] = []

    async def get(ask: ConceptById) -> ConceptWithSources:
        asked.append(ask)
        return ConceptWithSources(
            concept_id=ask.id, concept="c", content="x", knowledge_type="general", confidence_score=0.5, source_episodes=[], sources=[],
            created_at="t",
        )  # fmt: skip

    await door.stand_in({MEMORY_SEMANTIC_GET: get})
    assert (await door.http.get(f"/memory/semantic/c1{query}")).status_code == 200
    assert asked == [ConceptById(id="c1", as_of=as_of)]
    assert (await door.http.get("/memory/semantic/c1?as_of=yesterday")).json()["errors"][0]["path"] == "$.as_of"


async def test_a_concept_is_201_with_its_location(door: Door):
    view = ConceptView(
        concept_id="c/1", concept="c", content="x", knowledge_type="general", confidence_score=0.5, source_episodes=[], created_at="t"
    )
    await door.stand_in({MEMORY_SEMANTIC_PUT: view})
    response = await door.http.post("/memory/semantic", json={"concept": "c", "content": "x"})
    assert (response.status_code, response.headers["location"]) == (201, "/memory/semantic/c%2F1")
