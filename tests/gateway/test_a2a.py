"""A2A 1.0 at the door of a whole mesh, by the client of the A2A SDK, over both bindings; an agent from outside plays the other side."""

import asyncio
import json
import re
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from a2a.client import Client, ClientConfig, ClientFactory
from a2a.types import a2a_pb2 as pb
from a2a.utils import errors
from google.protobuf import json_format

from tests.integration.launched import Up
from tests.tck.player import Part, playing

pytestmark = pytest.mark.asyncio(loop_scope="module")

SKILL = "a2a_stage"
BINDINGS = ["JSONRPC", "HTTP+JSON"]


async def play(part: Part) -> None:
    """Do what the text of each message says."""
    while True:
        said = (await part.messages.get())["parts"][0].get("text", "")
        match said.split():
            case ["ask"]:
                await part.ask(message="Which one?")
                continue
            case ["reply"]:
                await part.done(message={"parts": [{"text": "at once"}]})
            case ["reject"]:
                await part.fail("rejected", "not my kind of work")
            case ["break"]:
                await part.fail("broken", "it broke")
            case ["pieces"]:
                await part.working(message="writing", fraction=0.5)
                await part.artifact("text", {"text": "one "})
                await part.artifact("text", {"text": "two"}, append=True, last=True)
                await part.artifact("odd", {"no": "part"})
                await part.done({"rows": 2})
            case ["wait"]:
                await part.working()
                continue
            case _:
                await part.done(f"done: {said}")
        return


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(up: Up) -> AsyncIterator[str]:
    """The address of a mesh in which the player has joined."""
    async with playing(up.admitted("a2a-player"), "a2a-player", [SKILL], play), httpx.AsyncClient(trust_env=False) as http:
        async with asyncio.timeout(10):
            while f"a2a-player/{SKILL}" not in (await http.get(f"{up.run.http}/.well-known/agent-card.json")).text:
                await asyncio.sleep(0.05)
        yield up.run.http


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(stage: str) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"a2a-version": "1.0"}
    async with httpx.AsyncClient(base_url=stage, timeout=30, trust_env=False, headers=headers) as client:
        yield client


@asynccontextmanager
async def client(stage: str, binding: str, *, streaming: bool = False) -> AsyncIterator[Client]:
    async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
        config = ClientConfig(streaming=streaming, httpx_client=http, supported_protocol_bindings=[binding])
        yield await ClientFactory(config).create_from_url(stage)


def request(text: str, skill: str | None = SKILL, **more: Any) -> pb.SendMessageRequest:
    configuration = more.pop("configuration", {})
    message = {"messageId": "m-1", "role": "ROLE_USER", "parts": [{"text": text}], **more}
    if skill:
        message["metadata"] = {"skill": skill}
    return json_format.ParseDict({"message": message, "configuration": configuration}, pb.SendMessageRequest())


async def sent(a2a: Client, text: str, **more: Any) -> pb.StreamResponse:
    """The one answer to a message."""
    [answer] = [event async for event in a2a.send_message(request(text, **more))]
    return answer


async def events(a2a: Client, text: str, **more: Any) -> list[pb.StreamResponse]:
    return [event async for event in a2a.send_message(request(text, **more))]


def kinds(told: list[pb.StreamResponse]) -> list[str]:
    """The kind of each event, with its state where it tells of one."""
    return [
        f"status_update {pb.TaskState.Name(e.status_update.status.state)}" if e.HasField("status_update") else str(e.WhichOneof("payload"))
        for e in told
    ]


class TestTheCard:
    async def test_says_what_the_mesh_can_do_and_where_it_is_asked(self, http: httpx.AsyncClient, stage: str):
        card = (await http.get("/.well-known/agent-card.json")).json()
        assert {s["id"] for s in card["skills"]} >= {f"a2a-player/{SKILL}", "nexus/debugging", "ricardo/priority_setting"}
        urls = {i["protocolBinding"]: i["url"] for i in card["supportedInterfaces"]}
        assert urls == {"JSONRPC": f"{stage}/a2a/jsonrpc", "HTTP+JSON": f"{stage}/a2a"}
        assert {i["protocolVersion"] for i in card["supportedInterfaces"]} == {"1.0"}
        assert card["capabilities"] == {"streaming": True, "pushNotifications": True, "extendedAgentCard": False}

    async def test_is_not_sent_again_to_who_has_it(self, http: httpx.AsyncClient):
        async with asyncio.timeout(10):
            while True:  # the agents may not have heard of a new one at the same moment
                first = await http.get("/.well-known/agent-card.json")
                assert "max-age" in first.headers["cache-control"]
                again = await http.get("/.well-known/agent-card.json", headers={"if-none-match": first.headers["etag"]})
                if again.status_code == 304:
                    break
        assert again.content == b""
        assert again.headers["etag"] == first.headers["etag"]

    async def test_a_host_that_is_none_does_not_get_onto_it(self, http: httpx.AsyncClient):
        card = (await http.get("/.well-known/agent-card.json", headers={"host": "evil/x"})).json()
        assert all("evil" not in i["url"] for i in card["supportedInterfaces"])

    async def test_there_is_no_extended_one(self, http: httpx.AsyncClient):
        answer = await http.get("/a2a/extendedAgentCard")
        assert (answer.status_code, answer.json()["error"]["details"][0]["reason"]) == (400, "UNSUPPORTED_OPERATION")


@pytest.mark.parametrize("binding", BINDINGS)
class TestAMessage:
    async def test_becomes_a_task_and_its_output_an_artifact(self, stage: str, binding: str):
        async with client(stage, binding) as a2a:
            task = (await sent(a2a, "sweep")).task
            assert task.status.state == pb.TASK_STATE_COMPLETED
            assert [(a.artifact_id, a.parts[0].text) for a in task.artifacts] == [("output", "done: sweep")]
            assert [(m.message_id, m.role, m.parts[0].text) for m in task.history] == [("m-1", pb.ROLE_USER, "sweep")]
            again = await a2a.get_task(pb.GetTaskRequest(id=task.id))
            assert again == task

    async def test_is_answered_at_once_where_its_client_does_not_wait(self, stage: str, binding: str):
        async with client(stage, binding) as a2a:
            task = (await sent(a2a, "wait", configuration={"returnImmediately": True})).task
            assert task.status.state in {pb.TASK_STATE_SUBMITTED, pb.TASK_STATE_WORKING}
            await a2a.cancel_task(pb.CancelTaskRequest(id=task.id))

    async def test_may_be_answered_by_a_message(self, stage: str, binding: str):
        async with client(stage, binding) as a2a:
            answer = await sent(a2a, "reply", contextId="talk-1")
            assert answer.message.parts[0].text == "at once"
            assert (answer.message.role, answer.message.context_id) == (pb.ROLE_AGENT, "talk-1")

    async def test_may_be_rejected_or_fail(self, stage: str, binding: str):
        async with client(stage, binding) as a2a:
            for text, state, says in (
                ("reject", pb.TASK_STATE_REJECTED, "not my kind of work"),
                ("break", pb.TASK_STATE_FAILED, "it broke"),
            ):
                status = (await sent(a2a, text)).task.status
                assert (status.state, status.message.parts[0].text) == (state, says)
            assert json_format.MessageToDict(status.message.metadata) == {"code": "broken", "retryable": False}

    async def test_for_a_skill_that_nobody_has_is_rejected(self, stage: str, binding: str):
        async with client(stage, binding) as a2a:
            status = (await sent(a2a, "x", skill="juggling")).task.status
            assert (status.state, status.message.parts[0].text) == (pb.TASK_STATE_REJECTED, "no agent has juggling")

    async def test_reaches_a_skill_that_takes_fields_by_a_data_part(self, stage: str, binding: str):
        fields = {
            "criteria": [{"name": "value", "weight": 1}],
            "items": [{"id": "a", "scores": {"value": 1}}, {"id": "b", "scores": {"value": 2}}],
        }
        async with client(stage, binding) as a2a:
            task = (await sent(a2a, "", skill="ricardo/priority_setting", parts=[{"text": "Rank these"}, {"data": fields}])).task
            output = json_format.MessageToDict(task.artifacts[0].parts[0].data)
            assert [item["id"] for item in output["ranking"]] == ["b", "a"]

    async def test_may_ask_back_and_be_answered(self, stage: str, binding: str):
        async with client(stage, binding) as a2a:
            asked = (await sent(a2a, "ask")).task
            assert (asked.status.state, asked.status.message.parts[0].text) == (pb.TASK_STATE_INPUT_REQUIRED, "Which one?")
            done = (await sent(a2a, "the red one", taskId=asked.id)).task
            assert (done.id, done.context_id) == (asked.id, asked.context_id)
            assert done.status.state == pb.TASK_STATE_COMPLETED
            assert [m.parts[0].text for m in done.history] == ["ask", "Which one?", "the red one"]
            last = await a2a.get_task(pb.GetTaskRequest(id=done.id, history_length=1))
            assert [m.parts[0].text for m in last.history] == ["the red one"]
            none = await a2a.get_task(pb.GetTaskRequest(id=done.id, history_length=0))
            assert not none.history

    async def test_to_an_ended_task_another_context_or_no_task_is_refused(self, stage: str, binding: str):
        async with client(stage, binding) as a2a:
            task = (await sent(a2a, "sweep")).task
            with pytest.raises(errors.UnsupportedOperationError):
                await sent(a2a, "again", taskId=task.id)
            with pytest.raises(errors.InvalidParamsError):
                await sent(a2a, "again", taskId=task.id, contextId="another")
            with pytest.raises(errors.TaskNotFoundError):
                await sent(a2a, "again", taskId="nobody")


@pytest.mark.parametrize("binding", BINDINGS)
class TestAStream:
    async def test_begins_with_the_task_tells_each_piece_and_ends_with_the_end(self, stage: str, binding: str):
        async with client(stage, binding, streaming=True) as a2a:
            told = await events(a2a, "pieces")
        assert kinds(told) == [
            "task",
            "status_update TASK_STATE_WORKING",
            "status_update TASK_STATE_WORKING",
            "artifact_update",
            "artifact_update",
            "artifact_update",
            "artifact_update",
            "status_update TASK_STATE_COMPLETED",
        ]
        pieces = [e.artifact_update for e in told if e.HasField("artifact_update")]
        assert [(p.artifact.artifact_id, p.append, p.last_chunk) for p in pieces] == [
            ("text", False, False),
            ("text", True, True),
            ("odd", False, False),
            ("output", False, True),
        ]
        assert json_format.MessageToDict(pieces[2].artifact.parts[0].data) == {"no": "part"}
        assert told[2].status_update.metadata["fraction"] == 0.5
        async with client(stage, binding) as a2a:
            task = await a2a.get_task(pb.GetTaskRequest(id=told[0].task.id))
            assert [p.text for p in task.artifacts[0].parts] == ["one ", "two"]
            assert [m.parts[0].text for m in task.history] == ["pieces", "writing"]

    async def test_of_a_direct_reply_is_that_message_alone(self, stage: str, binding: str):
        async with client(stage, binding, streaming=True) as a2a:
            assert kinds(await events(a2a, "reply")) == ["message"]

    async def test_ends_where_the_agent_waits_for_its_client(self, stage: str, binding: str):
        async with client(stage, binding, streaming=True) as a2a:
            told = await events(a2a, "ask")
            assert kinds(told)[-1] == "status_update TASK_STATE_INPUT_REQUIRED"
            answered = await events(a2a, "blue", taskId=told[0].task.id)
            assert kinds(answered)[0] == "task"
            assert kinds(answered)[-1] == "status_update TASK_STATE_COMPLETED"

    async def test_can_be_joined_later_by_many_who_are_told_the_same(self, stage: str, binding: str):
        async with client(stage, binding) as a2a, client(stage, binding, streaming=True) as listener:
            task = (await sent(a2a, "ask")).task
            heard: list[list[pb.StreamResponse]] = [[], []]
            began = [asyncio.Event(), asyncio.Event()]

            async def listen(n: int) -> None:
                async for event in listener.subscribe(pb.SubscribeToTaskRequest(id=task.id)):
                    heard[n].append(event)
                    began[n].set()

            async with asyncio.TaskGroup() as group:
                for n in range(2):
                    group.create_task(listen(n))
                for event in began:
                    await event.wait()
                await sent(a2a, "green", taskId=task.id)
            assert heard[0] == heard[1]
            assert kinds(heard[0])[0] == "task"
            assert kinds(heard[0])[-1] == "status_update TASK_STATE_COMPLETED"
            with pytest.raises(errors.UnsupportedOperationError):
                await anext(listener.subscribe(pb.SubscribeToTaskRequest(id=task.id)))

    async def test_of_no_task_is_refused(self, stage: str, binding: str):
        async with client(stage, binding, streaming=True) as listener:
            with pytest.raises(errors.TaskNotFoundError):
                await anext(listener.subscribe(pb.SubscribeToTaskRequest(id="nobody")))


@pytest.mark.parametrize("binding", BINDINGS)
class TestTasks:
    async def test_are_listed_by_context_the_latest_change_first_in_pages(self, stage: str, binding: str):
        context = f"list-{binding[0].lower()}"
        async with client(stage, binding) as a2a:
            asked = (await sent(a2a, "ask", contextId=context)).task
            done = [(await sent(a2a, str(n), contextId=context)).task for n in range(3)]
            first = await a2a.list_tasks(pb.ListTasksRequest(context_id=context, page_size=3))
            assert [t.id for t in first.tasks] == [t.id for t in reversed(done)]
            assert (first.total_size, first.page_size) == (4, 3)
            assert not any(t.artifacts for t in first.tasks)
            rest = await a2a.list_tasks(pb.ListTasksRequest(context_id=context, page_size=3, page_token=first.next_page_token))
            assert ([t.id for t in rest.tasks], rest.next_page_token) == ([asked.id], "")
            waiting = await a2a.list_tasks(pb.ListTasksRequest(context_id=context, status=pb.TASK_STATE_INPUT_REQUIRED))
            assert [t.id for t in waiting.tasks] == [asked.id]
            whole = await a2a.list_tasks(
                pb.ListTasksRequest(context_id=context, status=pb.TASK_STATE_COMPLETED, include_artifacts=True, history_length=0)
            )
            assert [t.artifacts[0].parts[0].text for t in whole.tasks] == ["done: 2", "done: 1", "done: 0"]
            assert not any(t.history for t in whole.tasks)
            since = pb.ListTasksRequest(context_id=context, status_timestamp_after=done[2].status.timestamp)
            assert [t.id for t in (await a2a.list_tasks(since)).tasks] == [done[2].id]
            await a2a.cancel_task(pb.CancelTaskRequest(id=asked.id))

    async def test_are_cancelled_once(self, stage: str, binding: str):
        async with client(stage, binding) as a2a:
            task = (await sent(a2a, "ask")).task
            cancelled = await a2a.cancel_task(pb.CancelTaskRequest(id=task.id))
            assert cancelled.status.state == pb.TASK_STATE_CANCELED
            with pytest.raises(errors.TaskNotCancelableError):
                await a2a.cancel_task(pb.CancelTaskRequest(id=task.id))
            with pytest.raises(errors.TaskNotFoundError):
                await a2a.cancel_task(pb.CancelTaskRequest(id="nobody"))

    async def test_that_are_not_there_are_not_found(self, stage: str, binding: str):
        async with client(stage, binding) as a2a:
            for ident in ("nobody", "No Such!", "x" * 300):
                with pytest.raises(errors.TaskNotFoundError):
                    await a2a.get_task(pb.GetTaskRequest(id=ident))

    async def test_that_came_by_rest_are_the_same_tasks(self, stage: str, binding: str, http: httpx.AsyncClient):
        body = {"title": "by hand", "required_skills": [SKILL], "input": {"message": {"parts": [{"text": "x"}]}}, "wait": True}
        ident = (await http.post("/neural-mesh/task-distribute", json=body)).json()["task_id"]
        async with client(stage, binding) as a2a:
            task = await a2a.get_task(pb.GetTaskRequest(id=ident))
        assert (task.context_id, task.status.state) == (ident, pb.TASK_STATE_COMPLETED)


async def rpc(http: httpx.AsyncClient, body: Any, **headers: str) -> Any:
    answer = await http.post("/a2a/jsonrpc", content=body if isinstance(body, bytes) else json.dumps(body), headers=JSON | headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    return answer.json()


JSON = {"content-type": "application/json"}
CALL = {"jsonrpc": "2.0", "id": 7, "method": "GetTask", "params": {"id": "nobody"}}
MESSAGE = {"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "x"}], "metadata": {"skill": SKILL}}}


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (b"{", -32700),
            (b"\xff", -32700),
            (b"[" * 50_000, -32700),
            ([CALL], -32600),
            ({**CALL, "jsonrpc": "1.0"}, -32600),
            ({**CALL, "id": {}}, -32600),
            ({**CALL, "method": 1}, -32600),
            ({**CALL, "method": "tasks/get"}, -32601),
            ({**CALL, "params": []}, -32602),
            ({**CALL, "params": {}}, -32602),
            ({**CALL, "params": {"id": "nobody", "historyLength": "many"}}, -32602),
            ({**CALL, "method": "SendMessage", "params": {"message": {**MESSAGE["message"], "parts": [{}]}}}, -32602),
            ({**CALL, "method": "SendMessage", "params": {"message": {**MESSAGE["message"], "parts": [{"text": "a\x00b"}]}}}, -32602),
            ({**CALL, "method": "SendMessage", "params": {"message": {**MESSAGE["message"], "metadata": {"skill": 1}}}}, -32602),
            ({**CALL, "method": "ListTasks", "params": {"pageSize": 0}}, -32602),
            ({**CALL, "method": "ListTasks", "params": {"pageToken": "x"}}, -32602),
            ({**CALL, "method": "GetExtendedAgentCard", "params": {}}, -32004),
            (CALL, -32001),
        ],
        ids=str,
    )
    async def test_by_json_rpc_has_its_code(self, http: httpx.AsyncClient, body: Any, code: int):
        answer = await rpc(http, body)
        assert (answer["error"]["code"], answer["jsonrpc"]) == (code, "2.0")
        info = answer["error"]["data"][0]
        assert (info["@type"], info["domain"]) == ("type.googleapis.com/google.rpc.ErrorInfo", "a2a-protocol.org")
        assert answer["id"] == (7 if isinstance(body, dict) and body["id"] == 7 else None)

    async def test_another_content_type(self, http: httpx.AsyncClient):
        assert (await rpc(http, CALL, **{"content-type": "text/plain"}))["error"]["code"] == -32005
        answer = await http.post("/a2a/message:send", content=json.dumps(MESSAGE), headers={"content-type": "text/plain"})
        error = answer.json()["error"]
        assert (answer.status_code, error["details"][0]["reason"]) == (415, "CONTENT_TYPE_NOT_SUPPORTED")

    @pytest.mark.parametrize("version", ["0.3", "2.0", "", "x"])
    async def test_another_version(self, http: httpx.AsyncClient, version: str):
        assert (await rpc(http, CALL, **{"a2a-version": version}))["error"]["code"] == -32009
        answer = await http.get("/a2a/tasks/nobody", headers={"a2a-version": version})
        assert (answer.status_code, answer.json()["error"]["details"][0]["reason"]) == (400, "VERSION_NOT_SUPPORTED")

    async def test_the_version_may_be_a_parameter(self, http: httpx.AsyncClient):
        answer = await http.get("/a2a/tasks/nobody?A2A-Version=1.0", headers={"a2a-version": ""})
        assert answer.status_code == 404

    @pytest.mark.parametrize("path", ["/a2a/message:send", "/a2a/jsonrpc"])
    async def test_a_body_that_is_too_large(self, http: httpx.AsyncClient, path: str):
        answer = await http.post(path, content=b" " * (1024 * 1024 + 1), headers=JSON)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == ((200, -32600) if path == "/a2a/jsonrpc" else (413, 413))

    @pytest.mark.parametrize(
        ("method", "path", "body", "status"),
        [
            ("POST", "/a2a/message:send", b"{", 400),
            ("POST", "/a2a/message:send", b"{}", 400),
            ("POST", "/a2a/message:stream", b"[]", 400),
            ("GET", "/a2a/tasks?pageSize=1000", None, 400),
            ("GET", "/a2a/tasks?status=NONE", None, 400),
            ("GET", "/a2a/tasks/nobody?historyLength=-1", None, 404),
            ("GET", "/a2a/tasks/No%20Such", None, 404),
            ("POST", "/a2a/tasks/nobody:cancel", None, 404),
            ("GET", "/a2a/tasks/nobody:subscribe", None, 404),
        ],
    )
    async def test_by_http_is_told_as_json_of_aip_193(self, http: httpx.AsyncClient, method: str, path: str, body: Any, status: int):
        answer = await http.request(method, path, content=body, headers=JSON if body else {})
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
        error = answer.json()["error"]
        assert error["code"] == status
        assert error["details"][0]["domain"] == "a2a-protocol.org"

    async def test_nothing_is_for_a_slash_at_the_end(self, http: httpx.AsyncClient):
        answer = await http.post("/a2a/jsonrpc/", json=CALL)
        assert answer.json()["error"]["code"] == -32001

    async def test_fields_it_does_not_know_are_passed_over(self, http: httpx.AsyncClient):
        answer = await http.post("/a2a/message:send?nonsense=1", json={**MESSAGE, "nonsense": {"a": 1}})
        assert answer.json()["task"]["status"]["state"] == "TASK_STATE_COMPLETED"

    async def test_answers_are_plain_json(self, http: httpx.AsyncClient):
        answer = await http.post("/a2a/message:send", json=MESSAGE)
        assert answer.headers["content-type"] == "application/json"
        listed = (await http.get("/a2a/tasks?pageSize=1&contextId=nowhere")).json()
        assert listed == {"tasks": [], "nextPageToken": "", "pageSize": 1, "totalSize": 0}

    async def test_the_same_key_is_the_same_task(self, http: httpx.AsyncClient):
        first, again = [await http.post("/a2a/message:send", json=MESSAGE, headers={"idempotency-key": "a2a-1"}) for _ in range(2)]
        assert again.headers["idempotent-replayed"] == "true"
        assert first.json() == again.json()


PAGE = Path(__file__).parents[2] / "docs" / "a2a.md"


async def test_the_curl_lines_of_the_page_are_answered(http: httpx.AsyncClient):
    lines = re.findall(r"^curl .*?(?<!\\)$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(lines) == 5
    for line in lines:
        words = shlex.split(line.replace("\\\n", " "))
        path = next(w for w in words if w.startswith("http")).removeprefix("http://127.0.0.1:8001")
        headers = dict(words[i + 1].split(": ") for i, w in enumerate(words) if w == "-H")
        body = words[words.index("-d") + 1] if "-d" in words else None
        answer = await http.request("POST" if body else "GET", path, content=body, headers=headers)
        assert answer.status_code == 200, line
        assert '"error"' not in answer.text, answer.text
        assert "TASK_STATE_FAILED" not in answer.text, answer.text
