"""An external agent killed in the middle of its work, against the whole mesh; and the graph over REST."""

import json
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import nats
import pytest
import pytest_asyncio

from tests.integration.launched import Up
from tests.integration.rest import GOOD, client, eventually, get, post

STEPPER = Path(__file__).with_name("stepper.py")
HANGS_BEFORE = 6

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest_asyncio.fixture
async def http(mesh: dict[str, Any]) -> AsyncIterator[httpx.AsyncClient]:
    async with client(mesh["http"]) as http:
        yield http


@pytest.fixture
def start(up: Up, tmp_path: Path) -> Iterator[Start]:
    """Start the agent in a process of its own; what still runs at the end is killed."""
    started: list[subprocess.Popen[bytes]] = []
    key = up.admitted("stepper")["nkeys_seed"]

    def begin(*options: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, STEPPER, up.run.nats, key, tmp_path / "journal", *options]
        with (tmp_path / "stepper.log").open("ab") as log:
            started.append(subprocess.Popen(command, stdout=log, stderr=log))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()


def journal(tmp_path: Path) -> list[int]:
    path = tmp_path / "journal"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


class TestAnAgentThatIsKilled:
    async def test_it_goes_on_after_its_last_checkpoint_and_every_step_is_done_once(
        self, http: httpx.AsyncClient, start: Start, tmp_path: Path
    ) -> None:
        process = start(str(HANGS_BEFORE))

        async def submitted() -> Any:
            task = {"title": "Ten steps", "required_skills": ["steps"], "timeout_s": 120}
            return await post(http, "/neural-mesh/task-distribute", task, 202)

        task = (await eventually(submitted))["task_id"]

        async def left() -> bool:
            tasks = (await get(http, "/memory/continuity/stepper"))["open_tasks"]
            return [(t["task_id"], t["handoff_packet"]) for t in tasks] == [(task, {"done": HANGS_BEFORE - 1})]

        await eventually(left)
        process.kill()
        process.wait()
        assert journal(tmp_path) == list(range(1, HANGS_BEFORE))

        start()

        async def ended() -> Any:
            told = await get(http, f"/neural-mesh/tasks/{task}")
            return told if told["status"] not in {"submitted", "assigned", "running"} else None

        told = await eventually(ended, wait_s=60)
        assert (told["status"], told["assigned_to"]) == ("succeeded", "stepper")
        assert journal(tmp_path) == list(range(1, 11))
        assert [h["entry"] for h in told["history"]].count("finished") == 1

        async def nothing_open() -> bool:
            return (await get(http, "/memory/continuity/stepper"))["open_tasks"] == []

        await eventually(nothing_open)

    async def test_of_an_unknown_agent_nothing_is_told(self, http: httpx.AsyncClient) -> None:
        told = await get(http, "/memory/continuity/nobody-at-all")
        assert told == {
            "agent_id": "nobody-at-all",
            "open_tasks": [],
            "last_handoff": None,
            "projects": [],
            "recent_important": [],
            "working_memory": [],
            "affect": None,
        }

    async def test_a_built_in_agent_has_said_what_it_feels(self, http: httpx.AsyncClient) -> None:
        async def told() -> Any:
            return (await get(http, "/memory/continuity/nexus"))["affect"]

        assert set(await eventually(told)) == {"valence", "arousal", "dominance", "label", "cause", "updated_at"}


class TestTheGraph:
    async def test_receipts_lead_from_a_proposal_to_what_entered_it_and_back(self, http: httpx.AsyncClient) -> None:
        word = "w" + secrets.token_hex(8)
        note = {"agent_id": "nexus", "action_type": "rollout", "action_details": {"text": f"{word} went well", "outcome": "success"}}
        evidence = (await post(http, "/memory/action?wait=persisted", note, 201))["episode_id"]
        proposal = {"title": f"Roll {word} out", "attributes": GOOD, "evidence": [evidence]}
        ident = (await post(http, "/neural-mesh/consensus", proposal, 200))["proposal_id"]

        async def receipts() -> Any:
            edges = (await get(http, f"/memory/graph/{ident}?limit=200"))["edges"]
            told = {(e["kind"], e["agent_id"]) for e in edges if (e["source"], e["target"]) == (evidence, ident)}
            return told if len([kind for kind, _ in told if kind == "informed"]) >= 2 else None

        assert ("caused", "gateway") in await eventually(receipts)
        back = await get(http, f"/memory/graph/{evidence}?depth=1&limit=200")
        assert {"id": ident, "kind": "proposal", "text": f"Roll {word} out", "distance": 1}.items() <= next(
            n for n in back["nodes"] if n["id"] == ident
        ).items()

    async def test_search_spreads_along_it_when_asked(self, http: httpx.AsyncClient) -> None:
        word = "w" + secrets.token_hex(8)
        first = await post(http, "/memory/action?wait=persisted", {"action_type": "note", "action_details": {"text": "the cause"}}, 201)
        second = {"action_type": "note", "action_details": {"text": f"{word} is why, see {first['episode_id']}"}}
        await post(http, "/memory/action?wait=persisted", second, 201)
        plain = await post(http, "/memory/search", {"query": word, "mode": "text"}, 200)
        spread = await post(http, "/memory/search", {"query": word, "mode": "text", "spread": True}, 200)
        assert first["episode_id"] not in [h["id"] for h in plain["results"]]
        assert [h["id"] for h in spread["results"]][1] == first["episode_id"]

    @pytest.mark.parametrize(("query", "status"), [("", 404), ("?depth=5", 400), ("?limit=0", 400)])
    async def test_what_is_not_there_is_404_and_what_is_no_question_400(self, http: httpx.AsyncClient, query: str, status: int) -> None:
        await get(http, f"/memory/graph/nothing-here{query}", status)

    async def test_by_hand_it_is_the_same(self, http: httpx.AsyncClient, mesh: dict[str, Any]) -> None:
        nc = await nats.connect(**mesh["credentials"])
        try:
            by_hand = json.loads((await nc.request("memory.graph", b'{"id": "nexus", "depth": 1, "limit": 5}', timeout=10)).data)
        finally:
            await nc.close()
        assert by_hand["nodes"][0] == (await get(http, "/memory/graph/nexus?depth=1&limit=5"))["nodes"][0]
