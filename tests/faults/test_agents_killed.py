"""Each agent is killed in the middle of a consensus, a task and a broadcast: it ends, once, all the same."""

import os
import signal
from typing import Any

import pytest

from tests.integration.launched import Up
from tests.integration.rest import GOOD, client, eventually, get, post

pytestmark = pytest.mark.faults
AGENTS = ["nexus", "aria", "ricardo"]


def kill(up: Up, process: str) -> None:
    os.kill(up.run.processes[process], signal.SIGKILL)


async def all_back(http: Any) -> None:
    async def look() -> bool:
        found = (await get(http, "/neural-mesh/connected-agents"))["agents"]
        return all(a in found and found[a]["status"] == "active" for a in AGENTS)

    await eventually(look)


@pytest.mark.parametrize("victim", AGENTS)
async def test_a_consensus_ends_with_one_decision(up: Up, victim: str) -> None:
    async with client(up.run.http) as http:
        await all_back(http)
        body = {"title": f"Go on without {victim}", "attributes": GOOD, "electorate": AGENTS, "timeout_s": 15, "wait": False}
        proposed = await post(http, "/neural-mesh/consensus", body, 202)
        kill(up, victim)

        async def ended() -> Any:
            found = await get(http, f"/neural-mesh/consensus/{proposed['proposal_id']}")
            return found if found["status"] != "open" else None

        found = await eventually(ended)
        assert found["status"] in {"accepted", "rejected", "expired"}
        assert len([v for v in found["votes"] if v["counted"]]) == len({v["agent"] for v in found["votes"] if v["counted"]})
        await all_back(http)


@pytest.mark.parametrize("victim", AGENTS)
async def test_a_task_completes_once(up: Up, victim: str) -> None:
    skill = {"nexus": "infrastructure_management", "aria": "knowledge_synthesis", "ricardo": "priority_setting"}[victim]
    given = {
        "infrastructure_management": {},
        "knowledge_synthesis": {"question": "what happened"},
        "priority_setting": {"criteria": [{"name": "v", "weight": 1}], "items": [{"id": "a", "scores": {"v": 1}}]},
    }[skill]
    async with client(up.run.http) as http:
        await all_back(http)
        kill(up, victim)  # it is the only one who can: its task waits for it
        submitted = {"title": "Do it", "required_skills": [skill], "input": given, "timeout_s": 60}
        task = await eventually(lambda: post(http, "/neural-mesh/task-distribute", submitted, 202))

        async def done() -> Any:
            found = await get(http, f"/neural-mesh/tasks/{task['task_id']}")
            return found if found["status"] == "succeeded" else None

        found = await eventually(done, 60)
        assert [h["entry"] for h in found["history"]].count("task.finished") == 1 or "finished" in str(found["history"])
        await all_back(http)


@pytest.mark.parametrize("victim", AGENTS)
async def test_a_lesson_is_integrated_when_the_agent_is_back(up: Up, victim: str) -> None:
    sender = next(a for a in AGENTS if a != victim)
    async with client(up.run.http) as http:
        await all_back(http)
        kill(up, victim)
        lesson = {"agent": sender, "topic": f"while {victim} was down", "content": "still counts", "wait_s": 2}
        receipt = await post(http, "/neural-mesh/cross-learning", lesson, 202)
        assert victim in receipt["recipients"]

        async def integrated() -> bool:
            found = await get(http, f"/neural-mesh/cross-learning/{receipt['lesson_id']}")
            return victim in found["integrated_by"]

        await eventually(integrated)
        await all_back(http)
