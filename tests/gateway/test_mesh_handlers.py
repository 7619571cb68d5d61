"""The four protocols over REST, with stand-ins for the agents: what is published, what is asked, what is answered."""

from typing import Any

import msgspec
import pytest

from bus.errors import not_found
from bus.log import entries
from bus.subjects import ASK_AGENTS, ASK_LESSON, ASK_PROPOSAL, ASK_STIMULUS, ASK_TASK, LESSON, PROPOSAL, TASK_CANCEL, TASK_SUBMITTED
from schemas.consensus import ProposalView
from schemas.learning import LessonView
from schemas.members import AgentsView, AgentView, Ask
from schemas.tasks import Score, TaskDetail, TaskError, Why
from tests.gateway.conftest import Door

LESSON_VIEW = LessonView(
    lesson_id="-", stored=True, stream_seq=1, recipients=["aria", "ricardo"], integrated_by=["aria", "ricardo"], agent="nexus", topic="t",
    content="c", domain=None, confidence=0.8, tags=[], source_episodes=[], published_at="t",
)  # fmt: skip
PROPOSAL_VIEW = ProposalView(
    proposal_id="-", status="accepted", choice="approve", threshold="2/3", electorate=["aria", "nexus", "ricardo"], tally={"approve": 2},
    votes=[], decided_at_seq=5, proposed_at="t", decided_at="t", deadline="t", title="t", description="", proposer="gateway", domain=None,
    options=["approve", "reject"], attributes=None, evidence=[], required_approvers=[],
)  # fmt: skip
SCORE = Score(agent="nexus", score=0.9, why=Why(skill=1, similarity=0.5, success=0.5, load=1, affect=1))
TASK_VIEW = TaskDetail(
    task_id="-", title="t", description="", required_skills=[], priority=5, timeout_s=60, parent=None, domain=None, instance=None,
    status="assigned",
    assigned_to="nexus", fence=1, scores=[SCORE], fraction=None, result=None, error=None, submitted_at="t", finished_at=None, history=[],
)  # fmt: skip


def told(view: Any, key: str, **changes: Any) -> Any:
    """A handler that answers `view` under whatever id it is asked for."""

    async def handler(ask: Ask) -> Any:
        return msgspec.structs.replace(view, **{key: ask.id}, **changes)

    return handler


def agents(*takers: str, gone: str = "") -> AgentsView:
    view = AgentView(
        role="r", status="active", specialization=[], skills=[], communication_patterns=[], last_seen="t", instances=1,
        neural_mesh_version="1", takes=["votes"], load=0,
    )  # fmt: skip
    known = dict.fromkeys(takers, view)
    if gone:
        known[gone] = msgspec.structs.replace(view, status="gone")
    return AgentsView(total_connected=len(takers), mesh_topology="triangular_consensus", agents=known)


class TestCrossLearning:
    body = {"agent": "nexus", "topic": "t", "content": "c", "wait_s": 5}

    async def test_a_lesson_is_published_under_its_agent_and_answered_when_all_have_integrated_it(self, door: Door):
        await door.stand_in({ASK_LESSON: told(LESSON_VIEW, "lesson_id")})
        response = await door.http.post("/neural-mesh/cross-learning", json=self.body)
        (entry,) = await entries(door.bus, [LESSON.wildcard])
        assert response.status_code == 202
        assert response.json() == {
            "lesson_id": entry.event_id, "stored": True, "stream_seq": entry.seq, "recipients": ["aria", "ricardo"],
            "integrated_by": ["aria", "ricardo"],
        }  # fmt: skip
        assert (entry.tokens, entry.via_gateway, entry.body.topic) == ({"agent": "nexus"}, True, "t")

    async def test_an_answer_before_its_time_means_that_all_active_ones_have_it(self, door: Door):
        await door.stand_in({ASK_LESSON: told(LESSON_VIEW, "lesson_id", integrated_by=["aria"])})
        response = await door.http.post("/neural-mesh/cross-learning", json={**self.body, "wait_s": 60})
        assert response.json()["integrated_by"] == ["aria"]

    async def test_without_agents_what_was_acknowledged_is_acknowledged(self, door: Door):
        response = await door.http.post("/neural-mesh/cross-learning", json=self.body)
        assert response.status_code == 202
        assert response.json()["stored"] is True
        assert response.json()["recipients"] == []

    async def test_an_agent_that_has_not_read_so_far_is_asked_again(self, door: Door):
        asked = 0

        async def late(ask: Ask) -> LessonView:
            nonlocal asked
            asked += 1
            if asked < 3:
                raise not_found("not yet")
            return msgspec.structs.replace(LESSON_VIEW, lesson_id=ask.id)

        await door.stand_in({ASK_LESSON: late})
        response = await door.http.post("/neural-mesh/cross-learning", json=self.body)
        assert response.json()["integrated_by"] == ["aria", "ricardo"]

    async def test_an_unknown_lesson_is_the_agents_404(self, door: Door):
        async def unknown(_: Ask) -> LessonView:
            raise not_found("no such lesson")

        await door.stand_in({ASK_LESSON: unknown})
        response = await door.http.get("/neural-mesh/cross-learning/x")
        assert (response.status_code, response.json()["detail"]) == (404, "no such lesson")


class TestConsensus:
    async def test_a_proposal_is_published_under_its_proposer_and_answered_when_it_has_ended(self, door: Door):
        await door.stand_in({ASK_PROPOSAL: told(PROPOSAL_VIEW, "proposal_id")})
        response = await door.http.post("/neural-mesh/consensus", json={"title": "t", "proposer": "ops"})
        (entry,) = await entries(door.bus, [PROPOSAL.wildcard])
        assert response.status_code == 200
        assert response.json()["proposal_id"] == entry.tokens["proposal"]
        assert (entry.tokens["agent"], entry.body.electorate, entry.via_gateway) == ("ops", None, True)

    async def test_without_waiting_it_is_202_with_its_location(self, door: Door):
        await door.stand_in({ASK_PROPOSAL: told(PROPOSAL_VIEW, "proposal_id", status="open", choice=None)})
        response = await door.http.post("/neural-mesh/consensus", json={"title": "t", "wait": False})
        assert response.status_code == 202
        assert response.headers["location"] == f"/neural-mesh/consensus/{response.json()['proposal_id']}"

    async def test_without_waiting_and_without_agents_it_is_on_the_log(self, door: Door):
        response = await door.http.post("/neural-mesh/consensus", json={"title": "t", "wait": False})
        assert (response.status_code, response.json()["status"]) == (202, "open")

    async def test_waiting_without_agents_is_503_with_its_location(self, door: Door):
        response = await door.http.post("/neural-mesh/consensus", json={"title": "t"})
        (entry,) = await entries(door.bus, [PROPOSAL.wildcard])
        assert (response.status_code, response.headers["retry-after"]) == (503, "2")
        assert response.headers["location"] == f"/neural-mesh/consensus/{entry.tokens['proposal']}"

    async def test_one_that_never_ends_is_202_after_its_deadline_and_grace(self, door: Door):
        await door.stand_in({ASK_PROPOSAL: told(PROPOSAL_VIEW, "proposal_id", status="open", choice=None)})
        response = await door.http.post("/neural-mesh/consensus", json={"title": "t", "timeout_s": 0.1})
        assert (response.status_code, response.json()["status"]) == (202, "open")

    async def test_one_that_nobody_opens_is_504(self, door: Door):
        async def unknown(_: Ask) -> ProposalView:
            raise not_found("no such proposal")

        await door.stand_in({ASK_PROPOSAL: unknown})
        response = await door.http.post("/neural-mesh/consensus", json={"title": "t", "timeout_s": 0.1})
        assert response.status_code == 504

    async def test_required_approvers_fix_the_electorate(self, door: Door):
        await door.stand_in({ASK_PROPOSAL: told(PROPOSAL_VIEW, "proposal_id"), ASK_AGENTS: agents("nexus", "aria", gone="ricardo")})
        await door.http.post("/neural-mesh/consensus", json={"title": "t", "required_approvers": ["aria"]})
        (entry,) = await entries(door.bus, [PROPOSAL.wildcard])
        assert entry.body.electorate == ["aria", "nexus"]

    async def test_a_required_approver_that_is_away_is_400_and_nothing_is_published(self, door: Door):
        await door.stand_in({ASK_AGENTS: agents("nexus", "aria", gone="ricardo")})
        response = await door.http.post("/neural-mesh/consensus", json={"title": "t", "required_approvers": ["aria", "ricardo"]})
        assert response.status_code == 400
        assert response.json()["errors"][0]["path"] == "$.required_approvers[1]"
        assert await entries(door.bus, [PROPOSAL.wildcard]) == []


class TestTasks:
    path = "/neural-mesh/task-distribute"

    async def test_a_task_is_published_and_answered_when_it_is_assigned(self, door: Door):
        await door.stand_in({ASK_TASK: told(TASK_VIEW, "task_id")})
        response = await door.http.post(self.path, json={"title": "t", "input": {"a": 1}})
        (entry,) = await entries(door.bus, [TASK_SUBMITTED.wildcard])
        assert response.status_code == 202
        assert response.json() == {
            "task_id": entry.tokens["task"], "status": "assigned", "assigned_to": "nexus", "scores": msgspec.to_builtins([SCORE]),
        }  # fmt: skip
        assert entry.body.input == {"a": 1}

    async def test_waiting_it_is_200_with_its_outcome(self, door: Door):
        await door.stand_in({ASK_TASK: told(TASK_VIEW, "task_id", status="succeeded", result={"x": 1})})
        response = await door.http.post(self.path, json={"title": "t", "wait": True})
        assert (response.status_code, response.json()["result"]) == (200, {"x": 1})

    async def test_a_skill_nobody_has_is_422_and_named(self, door: Door):
        error = TaskError(code="no_such_skill", message="no agent has juggling")
        await door.stand_in({ASK_TASK: told(TASK_VIEW, "task_id", status="failed", assigned_to=None, error=error)})
        response = await door.http.post(self.path, json={"title": "t", "required_skills": ["juggling"]})
        assert response.status_code == 422
        assert "juggling" in response.json()["detail"]

    async def test_an_agent_that_is_not_there_is_422_and_named(self, door: Door):
        error = TaskError(code="no_such_agent", message="there is no agent zoe that takes tasks")
        await door.stand_in({ASK_TASK: told(TASK_VIEW, "task_id", status="failed", assigned_to=None, error=error)})
        response = await door.http.post(self.path, json={"title": "t", "agent": "zoe"})
        assert (response.status_code, response.json()["errors"][0]["path"]) == (422, "$.agent")

    async def test_without_agents_it_is_on_the_log(self, door: Door):
        response = await door.http.post(self.path, json={"title": "t"})
        assert (response.status_code, response.json()["status"]) == (202, "submitted")

    async def test_the_word_between_agents_is_unknown_here(self, door: Door):
        response = await door.http.post(self.path, json={"title": "t", "parent": "p"})
        assert (response.status_code, response.json()["errors"][0]["path"]) == (400, "$.parent")

    async def test_cancelling_publishes_it_in_the_gateways_name(self, door: Door):
        await door.stand_in({ASK_TASK: told(TASK_VIEW, "task_id")})
        response = await door.http.delete("/neural-mesh/tasks/abc")
        (entry,) = await entries(door.bus, [TASK_CANCEL.wildcard])
        assert response.status_code == 202
        assert entry.tokens == {"task": "abc", "agent": "gateway"}

    async def test_cancelling_what_has_ended_is_409(self, door: Door):
        await door.stand_in({ASK_TASK: told(TASK_VIEW, "task_id", status="succeeded")})
        assert (await door.http.delete("/neural-mesh/tasks/abc")).status_code == 409
        assert await entries(door.bus, [TASK_CANCEL.wildcard]) == []


class TestAnActor:
    async def test_that_does_not_answer_in_time_is_504(self, door: Door):
        async def silent(_: Any) -> Any:
            await door.stop.wait()

        await door.stand_in({ASK_STIMULUS: silent})
        response = await door.http.post("/neural-mesh/emotional-sync", json={"agent": "aria", "event": "praise", "cause": "c"})
        assert response.status_code == 504

    @pytest.mark.parametrize("body", [{"agent": "aria", "cause": "c"}, {"agent": "aria", "cause": "c", "valence": 2}])
    async def test_is_not_asked_what_is_no_stimulus(self, door: Door, body: dict[str, Any]):
        assert (await door.http.post("/neural-mesh/emotional-sync", json=body)).status_code == 400
