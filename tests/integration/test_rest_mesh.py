"""The neural mesh over REST, against the whole mesh: each endpoint of the contract, on its good and its bad paths."""

import json
import secrets
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from bus import subjects
from tests.integration.rest import GOOD, client, get, post

RANKING = {
    "criteria": [{"name": "value", "weight": 1}],
    "items": [{"id": "a", "scores": {"value": 1}}, {"id": "b", "scores": {"value": 2}}],
}


def subject_name(subject: str) -> str:
    found = subjects.find(subject)
    assert found is not None
    return found[0].name


@pytest_asyncio.fixture
async def http(mesh: dict[str, Any]) -> AsyncIterator[httpx.AsyncClient]:
    async with client(mesh["http"]) as http:
        yield http


class TestConnectedAgents:
    async def test_are_the_three_with_their_skills(self, http: httpx.AsyncClient):
        told = await get(http, "/neural-mesh/connected-agents")
        assert {"nexus", "aria", "ricardo"} <= told["agents"].keys()
        assert told["agents"]["nexus"]["role"] == "technical_implementer"
        assert told["agents"]["nexus"]["specialization"] == ["technical", "implementation", "systems"]


class TestCrossLearning:
    async def test_a_lesson_is_integrated_by_all_others_and_found_again(self, http: httpx.AsyncClient):
        topic = secrets.token_hex(8)
        receipt = await post(http, "/neural-mesh/cross-learning", {"agent": "nexus", "topic": topic, "content": "c", "wait_s": 20}, 202)
        assert {"aria", "ricardo"} <= set(receipt["integrated_by"])
        view = await get(http, f"/neural-mesh/cross-learning/{receipt['lesson_id']}")
        assert (view["topic"], view["stream_seq"]) == (topic, receipt["stream_seq"])
        page = await get(http, f"/neural-mesh/cross-learning?topic={topic}&agent=nexus")
        assert [lesson["lesson_id"] for lesson in page["lessons"]] == [receipt["lesson_id"]]

    async def test_lists_go_on_where_they_ended(self, http: httpx.AsyncClient):
        topic = secrets.token_hex(8)
        for content in "abc":
            await post(http, "/neural-mesh/cross-learning", {"agent": "aria", "topic": topic, "content": content}, 202)
        first = await get(http, f"/neural-mesh/cross-learning?topic={topic}&limit=2")
        rest = await get(http, f"/neural-mesh/cross-learning?topic={topic}&limit=2&before={first['next_before']}")
        assert [x["content"] for x in first["lessons"] + rest["lessons"]] == ["c", "b", "a"]
        assert rest["next_before"] is None

    async def test_an_unknown_lesson_is_404(self, http: httpx.AsyncClient):
        await get(http, "/neural-mesh/cross-learning/no-such-lesson", 404)


class TestConsensus:
    async def test_a_good_proposal_is_accepted(self, http: httpx.AsyncClient):
        view = await post(http, "/neural-mesh/consensus", {"title": secrets.token_hex(8), "attributes": GOOD}, 200)
        assert (view["status"], view["choice"], view["electorate"]) == ("accepted", "approve", ["aria", "nexus", "ricardo"])
        again = await get(http, f"/neural-mesh/consensus/{view['proposal_id']}")
        assert (again["status"], again["decided_at_seq"]) == ("accepted", view["decided_at_seq"])

    async def test_without_waiting_its_location_tells_what_became_of_it(self, http: httpx.AsyncClient):
        answer = await http.post(
            "/neural-mesh/consensus", json={"title": secrets.token_hex(8), "electorate": ["nobody"], "timeout_s": 600, "wait": False}
        )
        assert (answer.status_code, answer.json()["status"]) == (202, "open")
        assert (await get(http, answer.headers["location"]))["electorate"] == ["nobody"]
        listed = await get(http, "/neural-mesh/consensus?status=open&limit=200")
        assert answer.json()["proposal_id"] in [p["proposal_id"] for p in listed["proposals"]]

    async def test_an_electorate_that_is_not_there_lets_it_expire(self, http: httpx.AsyncClient):
        body = {"title": secrets.token_hex(8), "electorate": ["nobody"], "timeout_s": 0.5}
        view = await post(http, "/neural-mesh/consensus", body, 200)
        assert (view["status"], view["choice"], view["tally"]["absent"]) == ("expired", None, 1)

    async def test_a_required_approver_who_is_not_there_is_400(self, http: httpx.AsyncClient):
        told = await post(http, "/neural-mesh/consensus", {"title": "t", "required_approvers": ["nobody"]}, 400)
        assert told["errors"][0]["path"] == "$.required_approvers[0]"

    @pytest.mark.parametrize(("bad", "path"), [
        ({"threshold": "1/2"}, "$.threshold"),
        ({"threshold": "most"}, "$.threshold"),
        ({"electorate": []}, "$.electorate"),
        ({"options": ["one"]}, "$.options"),
        ({"options": ["a", "a"]}, "$.options"),
        ({"electorate": ["a"], "required_approvers": ["b"]}, "$.required_approvers"),
        ({"attributes": {"benefit": 2}}, "$.attributes.benefit"),
        ({"timeout_s": 0}, "$.timeout_s"),
    ])  # fmt: skip
    async def test_what_cannot_be_put_to_a_vote_is_400(self, http: httpx.AsyncClient, bad: dict[str, Any], path: str):
        told = await post(http, "/neural-mesh/consensus", {"title": "t", **bad}, 400)
        assert told["errors"][0]["path"] == path

    async def test_an_unknown_proposal_is_404(self, http: httpx.AsyncClient):
        await get(http, "/neural-mesh/consensus/no-such-proposal", 404)


class TestEmotionalSync:
    async def test_a_stimulus_moves_its_agent(self, http: httpx.AsyncClient):
        before = (await get(http, "/neural-mesh/emotional-sync"))["agents"]["aria"]
        state = await post(http, "/neural-mesh/emotional-sync", {"agent": "aria", "valence": -1, "intensity": 1, "cause": "a test"}, 202)
        assert state["valence"] < before["valence"]

    async def test_all_of_it_lies_within_its_bounds(self, http: httpx.AsyncClient):
        told = await get(http, "/neural-mesh/emotional-sync")
        assert 0 <= told["coherence"] <= 1
        assert set(told["alignment"]) == {"task_concurrency_factor", "approval_confidence_min"}
        assert set(told["collective"]) == {"valence", "arousal", "dominance", "label"}

    async def test_an_agent_that_is_not_there_is_404(self, http: httpx.AsyncClient):
        await post(http, "/neural-mesh/emotional-sync", {"agent": "nobody", "event": "praise", "cause": "c"}, 404)


class TestTasks:
    async def test_one_is_done_by_the_agent_that_can(self, http: httpx.AsyncClient):
        body = {"title": "rank", "required_skills": ["priority_setting"], "input": RANKING, "wait": True}
        receipt = await post(http, "/neural-mesh/task-distribute", body, 200)
        assert (receipt["status"], receipt["assigned_to"]) == ("succeeded", "ricardo")
        assert [row["id"] for row in receipt["result"]["ranking"]] == ["b", "a"]
        assert set(receipt["scores"][0]["why"]) == {"skill", "similarity", "success", "load", "affect"}
        task = await get(http, f"/neural-mesh/tasks/{receipt['task_id']}")
        assert [task["history"][0]["entry"], task["history"][-1]["entry"]] == ["submitted", "finished"]
        listed = await get(http, "/neural-mesh/tasks?status=succeeded&agent=ricardo")
        assert receipt["task_id"] in [t["task_id"] for t in listed["tasks"]]
        assert (await http.delete(f"/neural-mesh/tasks/{receipt['task_id']}")).status_code == 409

    async def test_a_skill_that_nobody_has_is_422_and_named(self, http: httpx.AsyncClient):
        told = await post(http, "/neural-mesh/task-distribute", {"title": "t", "required_skills": ["juggling"]}, 422)
        assert "juggling" in told["detail"]

    async def test_an_unknown_task_is_404_to_see_and_to_cancel(self, http: httpx.AsyncClient):
        await get(http, "/neural-mesh/tasks/no-such-task", 404)
        assert (await http.delete("/neural-mesh/tasks/no-such-task")).status_code == 404

    @pytest.mark.parametrize(
        ("bad", "path"), [({"priority": 10}, "$.priority"), ({"timeout_s": -1}, "$.timeout_s"), ({"input": []}, "$.input")]
    )
    async def test_what_is_no_task_is_400(self, http: httpx.AsyncClient, bad: dict[str, Any], path: str):
        told = await post(http, "/neural-mesh/task-distribute", {"title": "t", **bad}, 400)
        assert told["errors"][0]["path"] == path


class TestEvents:
    async def test_a_consensus_can_be_followed_from_its_proposal_to_its_decision(self, http: httpx.AsyncClient):
        view = await post(http, "/neural-mesh/consensus", {"title": secrets.token_hex(8), "attributes": GOOD}, 200)
        filters = subjects.aggregate(subjects.OPENED, proposal=view["proposal_id"])
        seen: list[str] = []
        async with http.stream("GET", f"/events?subjects={filters}&last_event_id=0") as response:
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    seen.append(subject_name(json.loads(line.removeprefix("data: "))["subject"]))
                if seen and seen[-1] == subjects.DECISION.name:
                    break
        assert seen[0] == subjects.PROPOSAL.name
        assert {subjects.OPENED.name, subjects.VOTE.name} <= set(seen)
