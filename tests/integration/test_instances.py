"""Any number of agents and instances: one `cerebro up` with two instances of nexus, and a fourth agent by a profile of its own."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas.words import rfc3339
from tests.agents.profiles.test_profiles import SAGE
from tests.integration.launched import UP, Up
from tests.integration.rest import GOOD, client, eventually, get, post

TASKS = 60
"""So many that some are still open when an instance dies."""
TRACE = "Traceback (most recent call last):\n  File 'a.py', line 1, in f\nKeyError: 'user'"


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """aria, ricardo, nexus twice, and sage, who can do what nexus and aria can."""
    profiles = tmp_path_factory.mktemp("profiles")
    (profiles / "sage.json").write_text(SAGE)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CEREBRO_AGENTS_PROFILES_DIR", str(profiles))
        environment.setenv("CEREBRO_MEMORY_EMBEDDING", "none")
        started = Up(tmp_path_factory.mktemp("mesh") / "data", "--agent", "nexus=2")
    try:
        yield started.wait_until_ready()
    finally:
        started.stop()


def reaching(many: Up) -> dict[str, str]:
    """The environment of a nexus that reaches the servers of this mesh."""
    run, key = many.run, many.credentials("nexus")["nkeys_seed"]
    servers = {"CEREBRO_NATS_URL": run.nats, "CEREBRO_POSTGRES_DSN": run.postgres, "CEREBRO_REDIS_URL": run.redis}
    return os.environ | servers | {"CEREBRO_NATS_NKEY": key}


async def connected(http: httpx.AsyncClient) -> dict[str, Any]:
    """All agents, once every instance has joined."""

    async def look() -> Any:
        found = (await get(http, "/neural-mesh/connected-agents"))["agents"]
        return found if found.get("nexus", {}).get("instances") == 2 and "sage" in found else None

    found: dict[str, Any] = await eventually(look)
    return found


async def ended(http: httpx.AsyncClient, task: str) -> Any:
    async def look() -> Any:
        found = await get(http, f"/neural-mesh/tasks/{task}")
        return found if found["finished_at"] else None

    return await eventually(look, 60)


def counting(task: dict[str, Any], entry: str) -> list[dict[str, Any]]:
    """The entries of this kind that changed something."""
    return [h for h in task["history"] if h["entry"] == entry and "ignored" not in h]


async def handed_out(http: httpx.AsyncClient) -> list[asyncio.Task[Any]]:
    """So many tasks for nexus, on their way to it; one is answered when its task is assigned."""
    body = {"title": "Look after it", "required_skills": ["infrastructure_management"], "timeout_s": 120}
    return [asyncio.create_task(post(http, "/neural-mesh/task-distribute", body, 202)) for _ in range(TASKS)]


async def worked_on(http: httpx.AsyncClient) -> set[str]:
    """The instances that took some of so many tasks."""
    tasks = [await ended(http, task["task_id"]) for task in await asyncio.gather(*await handed_out(http))]
    return {h["body"]["instance"] for t in tasks for h in counting(t, "progress")}


class TestInstances:
    async def test_they_share_the_tasks(self, many: Up) -> None:
        async with client(many.run.http) as http:
            assert (await connected(http))["nexus"]["instances"] == 2

            async def shared() -> bool:  # one that has just joined may not take tasks yet
                return len(await worked_on(http)) == 2

            await eventually(shared, 60)

    async def test_when_one_is_killed_nothing_is_lost_or_done_twice(self, many: Up) -> None:
        async with client(many.run.http) as http:
            await connected(http)
            posts = await handed_out(http)
            await asyncio.wait(posts, return_when=asyncio.FIRST_COMPLETED)
            os.kill(many.run.processes["nexus.2"], signal.SIGKILL)
            killed_at = rfc3339(datetime.now(UTC))
            tasks = [await ended(http, (await p)["task_id"]) for p in posts]
        assert {(t["status"], t["assigned_to"]) for t in tasks} == {("succeeded", "nexus")}
        assert {(len(counting(t, "result")), len(counting(t, "finished"))) for t in tasks} == {(1, 1)}
        assert max(t["finished_at"] for t in tasks) > killed_at

    async def test_what_was_killed_is_back_as_a_new_instance(self, many: Up) -> None:
        async with client(many.run.http) as http:
            assert (await connected(http))["nexus"]["instances"] == 2

    async def test_one_that_is_started_by_hand_joins_and_says_goodbye(self, many: Up) -> None:
        async with client(many.run.http) as http:
            await connected(http)
            by_hand = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "cerebro", "run", "nexus", env=reaching(many), stderr=asyncio.subprocess.PIPE
            )
            assert by_hand.stderr is not None
            try:
                async with asyncio.timeout(60):
                    while not (await by_hand.stderr.readline()).endswith(b" ready\n"):
                        assert by_hand.returncode is None

                async def nexus(count: int) -> bool:
                    found = (await get(http, "/neural-mesh/connected-agents"))["agents"]
                    return bool(found["nexus"]["instances"] == count)

                await eventually(lambda: nexus(3))
                by_hand.terminate()
                await eventually(lambda: nexus(2))
                assert await asyncio.wait_for(by_hand.wait(), 10) == 0
            finally:
                if by_hand.returncode is None:
                    by_hand.kill()
                    await by_hand.wait()


class TestAFourthAgent:
    async def test_it_is_in_the_electorate_and_votes(self, many: Up) -> None:
        async with client(many.run.http) as http:
            await connected(http)
            decided = await post(http, "/neural-mesh/consensus", {"title": "Go on", "attributes": GOOD, "timeout_s": 5}, 200)
        assert decided["electorate"] == ["aria", "nexus", "ricardo", "sage"]
        assert "sage" in {v["agent"] for v in decided["votes"]}

    async def test_it_gets_the_task_whose_skills_only_it_has_together(self, many: Up) -> None:
        """Skills that one agent has together are not split; each is performed in turn, and the output is by skill."""
        both = ["debugging", "knowledge_synthesis"]
        given = {"traceback": TRACE, "question": "why is the user not there"}
        async with client(many.run.http) as http:
            await connected(http)
            task = await post(
                http, "/neural-mesh/task-distribute", {"title": "Why", "required_skills": both, "input": given, "wait": True}, 200
            )
        assert (task["status"], task["assigned_to"]) == ("succeeded", "sage")
        assert list(task["result"]) == both
        assert task["result"]["debugging"]["diagnosis"]


class TestSkillsAcrossAgents:
    async def test_the_mesh_splits_the_task_and_puts_the_outputs_together_by_skill(self, many: Up) -> None:
        ranking = {"criteria": [{"name": "v", "weight": 1}], "items": [{"id": "a", "scores": {"v": 1}}]}
        given = {"traceback": TRACE, "priority_setting": ranking}
        skills = ["debugging", "priority_setting"]
        async with client(many.run.http) as http:
            await connected(http)
            body = {"title": "Mend and rank", "required_skills": skills, "input": given, "domain": "web", "wait": True}
            task = await post(http, "/neural-mesh/task-distribute", body, 200)
            whole = await get(http, f"/neural-mesh/tasks/{task['task_id']}")
        assert (task["status"], task["assigned_to"]) == ("succeeded", None)
        assert list(task["result"]) == skills
        assert task["result"]["priority_setting"]["ranking"][0]["id"] == "a"
        assert [s["skill"] for s in task["scores"]] == skills
        (split,) = counting(whole, "split")
        assert "no one agent has all required skills" in split["body"]["reason"]
        assert [part["depends_on"] for part in split["body"]["subtasks"]] == [[], []]

    async def test_a_skill_that_nobody_has_is_refused_by_name(self, many: Up) -> None:
        async with client(many.run.http) as http:
            await connected(http)
            body = {"title": "Juggle", "required_skills": ["debugging", "priority_setting", "juggling"]}
            refused = await post(http, "/neural-mesh/task-distribute", body, 422)
        assert "juggling" in refused["detail"]


def cerebro(many: Up, *arguments: str) -> str:
    command = [sys.executable, "-m", "cerebro", "tasks", *arguments, "--data", str(many.data)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


class TestSimulate:
    async def test_the_log_of_the_running_mesh_and_its_export_give_the_same(self, many: Up, tmp_path: Path) -> None:
        async with client(many.run.http) as http:
            await connected(http)
            body = {"title": "Why", "required_skills": ["debugging"], "input": {"traceback": TRACE}, "wait": True}
            await post(http, "/neural-mesh/task-distribute", body, 200)
        exported = tmp_path / "tasks.ndjson"
        exported.write_text(cerebro(many, "export"))
        options = ("simulate", "--weight", "load=1", "--json")
        assert cerebro(many, *options) == cerebro(many, *options, "--log", str(exported))
        usual = cerebro(many, "simulate")
        assert " 0 would have gone to somebody else" in usual


def test_a_profile_that_is_wrong_stops_the_start_with_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sage.json").write_text(SAGE.replace("debugging", "juggling"))
    monkeypatch.setenv("CEREBRO_AGENTS_PROFILES_DIR", str(tmp_path))
    refused = subprocess.run([*UP, "--data", tmp_path / "data"], capture_output=True, text=True, timeout=30, check=False)
    assert refused.returncode == 1
    assert f"{tmp_path / 'sage.json'}: unknown skills juggling" in refused.stderr
