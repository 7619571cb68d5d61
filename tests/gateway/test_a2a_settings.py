"""A2A at a gateway without agents behind it: what its settings change, what it puts on the log, and how it waits."""

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from bus import streams
from bus.errors import TooLarge
from bus.log import entries
from bus.settings import BusSettings
from bus.subjects import ASK_AGENTS, ASK_TASKS, TASK_INPUT, TASK_SUBMITTED
from gateway.a2a.settings import A2ASettings
from schemas.entry import Entry
from schemas.members import AgentsView, AgentView
from schemas.tasks import TaskFilter, TaskPage
from tests.gateway.conftest import SETTINGS, Door, opened

VERSION = {"a2a-version": "1.0"}
AGENT = AgentView(
    role="tester",
    status="active",
    specialization=["tests"],
    skills=["poke"],
    communication_patterns=[],
    last_seen="2026-11-27T12:00:00.000000Z",
    instances=1,
    neural_mesh_version="1.0.0",
    takes=["tasks"],
    load=0.0,
)


@contextlib.asynccontextmanager
async def door_with(bus_settings: BusSettings, a2a: A2ASettings | None = None, **gateway: Any) -> AsyncIterator[Door]:
    await streams.declare(bus_settings)
    settings = msgspec.structs.replace(SETTINGS, **gateway)
    async with opened(bus_settings, settings, a2a=a2a or A2ASettings(direct_reply_s=0.1)) as door:
        yield door


def body(text: str = "poke it", now: bool = True, **message: Any) -> dict[str, Any]:
    said = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": text}], **message}
    return {"message": said, "configuration": {"returnImmediately": now}}


async def submitted(door: Door) -> list[Any]:
    found = await entries(door.bus, [TASK_SUBMITTED.wildcard])
    return [entry.body for entry in found if isinstance(entry, Entry)]


class TestTheCard:
    async def test_names_the_public_address_and_the_key_that_is_asked_for(self, bus_settings: BusSettings):
        a2a = A2ASettings(public_url="https://mesh.example.org/agents/", name="Ours", input_modes=["text/plain"])
        async with door_with(bus_settings, a2a, keys="on") as door:
            view = AgentsView(total_connected=1, mesh_topology="mesh_consensus", agents={"ops": AGENT})
            await door.stand_in({ASK_AGENTS: view})
            card = (await door.http.get("/.well-known/agent-card.json")).json()
            assert [i["url"] for i in card["supportedInterfaces"]] == [
                "https://mesh.example.org/agents/a2a/jsonrpc",
                "https://mesh.example.org/agents/a2a",
            ]
            assert (card["name"], card["defaultInputModes"]) == ("Ours", ["text/plain"])
            assert card["securitySchemes"] == {"key": {"httpAuthSecurityScheme": {"scheme": "Bearer", "description": "a key of this mesh"}}}
            assert card["securityRequirements"] == [{"schemes": {"key": {}}}]
            [skill] = card["skills"]
            assert (skill["id"], skill["name"], skill["tags"]) == ("ops/poke", "poke", ["ops", "tester", "tests"])

    async def test_leaves_out_who_has_gone_or_takes_no_tasks(self, bus_settings: BusSettings):
        gone = msgspec.structs.replace(AGENT, status="gone")
        voter = msgspec.structs.replace(AGENT, takes=["votes"])
        async with door_with(bus_settings) as door:
            agents = {"ops": AGENT, "gone": gone, "voter": voter}
            await door.stand_in({ASK_AGENTS: AgentsView(total_connected=2, mesh_topology="mesh_consensus", agents=agents)})
            card = (await door.http.get("/.well-known/agent-card.json")).json()
            assert [s["id"] for s in card["skills"]] == ["ops/poke"]
            assert "securitySchemes" not in card


class TestAMessage:
    @pytest.mark.parametrize(
        ("setting", "named", "skills"),
        [("", None, []), ("poke", None, ["poke"]), ("poke", "prod", ["prod"]), ("", "ops/prod", ["prod"])],
    )
    async def test_is_for_the_skill_it_names_or_that_of_the_settings(
        self, bus_settings: BusSettings, setting: str, named: str | None, skills: list[str]
    ):
        async with door_with(bus_settings, A2ASettings(skill=setting, task_timeout_s=77)) as door:
            metadata = {"metadata": {"skill": named}} if named else {}
            answer = await door.http.post("/a2a/message:send", json=body(**metadata), headers=VERSION)
            assert answer.json()["task"]["status"]["state"] == "TASK_STATE_SUBMITTED"
            [task] = await submitted(door)
            assert (task.required_skills, task.title, task.description, task.timeout_s) == (skills, "poke it", "poke it", 77)

    async def test_stands_in_the_input_beside_the_fields_of_its_data(self, bus_settings: BusSettings):
        async with door_with(bus_settings) as door:
            parts = [{"text": "\n two\nlines"}, {"data": {"a": 1, "message": "hidden"}}, {"data": [1]}, {"data": {"a": 2}}]
            await door.http.post("/a2a/message:send", json=body(parts=parts, contextId="c-1", referenceTaskIds=["t"]), headers=VERSION)
            [task] = await submitted(door)
            assert task.input["a"] == 2
            said = task.input["message"]
            assert (said["messageId"], said["contextId"], said["parts"], said["referenceTaskIds"]) == ("m", "c-1", parts, ["t"])
            assert (task.title, task.context) == ("two", "c-1")

    async def test_to_a_task_is_an_answer_under_the_name_of_the_gateway(self, bus_settings: BusSettings):
        async with door_with(bus_settings) as door:
            task = (await door.http.post("/a2a/message:send", json=body(), headers=VERSION)).json()["task"]
            await door.http.post("/a2a/message:send", json=body("again", taskId=task["id"]), headers=VERSION)
            [answer] = await entries(door.bus, [TASK_INPUT.wildcard])
            assert isinstance(answer, Entry)
            assert (answer.agent, answer.via_gateway) == ("gateway", True)
            assert (answer.body.message["parts"], answer.body.message["contextId"]) == ([{"text": "again"}], task["contextId"])

    async def test_of_another_type_than_is_taken_is_refused(self, bus_settings: BusSettings):
        async with door_with(bus_settings, A2ASettings(input_modes=["text/*", "application/json"])) as door:
            for media, status in (("text/markdown; charset=utf-8", 200), ("application/JSON", 200), ("application/pdf", 415)):
                said = body(parts=[{"raw": "eA==", "mediaType": media}])
                answer = await door.http.post("/a2a/message:send", json=said, headers=VERSION)
                assert answer.status_code == status, answer.text
            assert answer.json()["error"]["details"][0]["reason"] == "CONTENT_TYPE_NOT_SUPPORTED"
            assert len(await submitted(door)) == 2

    async def test_of_which_anything_is_wrong_does_nothing(self, bus_settings: BusSettings):
        async with door_with(bus_settings) as door:
            wrong = {"historyLength": -1}, {"taskPushNotificationConfig": {"url": "ftp://x/"}}
            for path in ("/a2a/message:send", "/a2a/message:stream"):
                for configuration in wrong:
                    answer = await door.http.post(path, json={**body(), "configuration": configuration}, headers=VERSION)
                    assert answer.status_code == 400
            assert await submitted(door) == []

    async def test_that_nobody_ends_is_answered_with_the_task_as_it_is(self, bus_settings: BusSettings):
        async with door_with(bus_settings, end_wait_s=0.1) as door:
            answer = await door.http.post("/a2a/message:send", json=body(now=False), headers=VERSION)
            assert answer.json()["task"]["status"]["state"] == "TASK_STATE_SUBMITTED"


class TestAList:
    async def test_asks_for_fewer_where_their_outputs_do_not_fit_one_message(self, bus_settings: BusSettings):
        asked = []

        async def tasks(which: TaskFilter) -> TaskPage:
            asked.append(which.limit)
            if which.limit > 10:
                raise TooLarge("the answer has more bytes than the server takes; ask for less")
            return TaskPage(tasks=[], next_before=None)

        async with door_with(bus_settings) as door:
            await door.stand_in({ASK_TASKS: tasks})
            answer = await door.http.get("/a2a/tasks", headers=VERSION)
            assert answer.json() == {"tasks": [], "nextPageToken": "", "pageSize": 50, "totalSize": 0}
            assert asked == [50, 25, 12, 6]


class TestAStream:
    async def test_begins_with_the_task_says_that_it_is_there_and_ends_with_the_gateway(self, bus_settings: BusSettings):
        async with (
            door_with(bus_settings) as door,
            door.http.stream("POST", "/a2a/message:stream", json=body(), headers=VERSION) as response,
        ):
            lines = response.aiter_lines()
            first = json.loads((await anext(lines)).removeprefix("data: "))
            assert first["task"]["status"]["state"] == "TASK_STATE_SUBMITTED"
            assert await anext(line async for line in lines if line.startswith(":")) == ": still here"
            door.stop.set()
            assert [line async for line in lines if line.startswith("data")] == []

    async def test_too_many_are_not_served(self, bus_settings: BusSettings):
        async with door_with(bus_settings, streams_max=1) as door:
            async with door.http.stream("POST", "/a2a/message:stream", json=body(), headers=VERSION) as response:
                await anext(response.aiter_lines())
                answer = await door.http.post("/a2a/message:stream", json=body(), headers=VERSION)
                assert (answer.status_code, answer.headers["content-type"]) == (503, "application/json")
                assert int(answer.headers["retry-after"]) > 0
                assert answer.json()["error"]["status"] == "UNAVAILABLE"
            assert len(await submitted(door)) == 1
