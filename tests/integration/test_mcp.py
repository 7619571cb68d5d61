"""`cerebro mcp` by the SDK's own client, over stdio and over streamable HTTP, against the whole mesh."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from bus.ids import uuid7
from cerebro.cli import parser
from gateway.mcp.tools import TOOLS
from tests.integration.launched import Up, until
from tests.integration.rest import BAD, GOOD, eventually

PAGE = Path(__file__).parents[2] / "docs" / "mcp.md"
COMMAND = ("-m", "cerebro", "mcp")


def environment(up: Up) -> dict[str, str]:
    """What finds the mesh is its folder alone."""
    return {k: v for k, v in os.environ.items() if k != "CEREBRO_NATS_URL"} | {"CEREBRO_LOG_LEVEL": "INFO"}


def over_stdio(up: Up, name: str = "clerk") -> StdioServerParameters:
    arguments = [*COMMAND, "--data", str(up.data), "--agent", name]
    return StdioServerParameters(command=sys.executable, args=arguments, env=environment(up))


class Http:
    """`cerebro mcp --http` in a process of its own."""

    def __init__(self, up: Up, log: Path, **settings: str) -> None:
        self.log = log
        with log.open("w") as stderr:
            arguments = [sys.executable, *COMMAND, "--data", str(up.data), "--agent", "clerk", "--http", "127.0.0.1:0"]
            self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=stderr, env=environment(up) | settings)
        until(lambda: self.process.poll() is not None or self._told() is not None)
        assert self.process.poll() is None, log.read_text()

    def _told(self) -> str | None:
        found = re.search(r"MCP is served on (\S+)", self.log.read_text())
        return found[1] if found else None

    @property
    def url(self) -> str:
        return str(self._told())

    def stop(self) -> None:
        """As an operator does; nothing may have been said on stdout."""
        self.process.send_signal(signal.SIGTERM)
        told, _ = self.process.communicate(timeout=20)
        assert (self.process.returncode, told) == (0, b"")


@pytest.fixture(scope="module")
def http(up: Up, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Http]:
    running = Http(up, tmp_path_factory.mktemp("mcp") / "log")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def guarded(up: Up, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Http]:
    running = Http(up, tmp_path_factory.mktemp("mcp") / "log", CEREBRO_GATEWAY_KEYS="on")
    yield running
    running.stop()


async def use(host: Client, name: str, **arguments: Any) -> Any:
    """What the tool answers; its structured output is the text's JSON."""
    result = await host.call_tool(name, arguments)
    (content,) = result.content
    assert not result.is_error, content.text
    assert json.loads(content.text) == result.structured_content
    return result.structured_content


async def refused(host: Client, name: str, **arguments: Any) -> Any:
    result = await host.call_tool(name, arguments)
    assert result.is_error
    return json.loads(result.content[0].text)


class TestTools:
    async def test_what_was_stored_is_found_and_recent(self, http: Http) -> None:
        async with Client(http.url) as host:
            word = f"zeppelin{uuid7()[-8:]}"
            stored = await use(host, "memory_store", action_type="note", action_details={"text": f"The {word} leaves at noon."})
            assert stored["persisted"]
            found = await use(host, "memory_search", query=f"When does the {word} leave?", limit=3)
            assert found["results"][0]["id"] == stored["episode_id"]
            assert found["results"][0]["agent_id"] == "clerk"
            recent = await use(host, "memory_recent", agent_id="clerk", limit=1)
            assert [e["episode_id"] for e in recent["episodes"]] == [stored["episode_id"]]
            assert (await use(host, "memory_get", episode_id=stored["episode_id"]))["action_details"]["text"].startswith(f"The {word}")

    async def test_a_proposal_is_decided_and_its_decision_read(self, http: Http) -> None:
        async with Client(http.url) as host:
            good = await use(host, "consensus_propose", title="Go on", attributes=GOOD)
            assert (good["status"], good["choice"], good["proposer"]) == ("accepted", "approve", "clerk")
            bad = await use(host, "consensus_propose", title="Turn everything off", attributes=BAD)
            read = await use(host, "consensus_get", proposal_id=bad["proposal_id"])
            assert (read["status"], read["tally"]) == (bad["status"], bad["tally"])
            assert bad["status"] != "accepted"
            listed = await use(host, "consensus_list", limit=2)
            assert {p["proposal_id"] for p in listed["proposals"]} == {good["proposal_id"], bad["proposal_id"]}

    async def test_a_lesson_is_integrated_by_all_agents(self, http: Http) -> None:
        async with Client(http.url) as host:
            told = await use(host, "lesson_broadcast", topic="airships", content="Helium is safer than hydrogen.", wait_s=10)

            async def integrated() -> Any:
                found = await use(host, "lesson_get", lesson_id=told["lesson_id"])
                return found if set(found["integrated_by"]) >= {"aria", "nexus", "ricardo"} else None

            lesson = await eventually(integrated)
            assert (lesson["agent"], lesson["topic"]) == ("clerk", "airships")
            assert (await use(host, "lesson_list", agent="clerk", limit=1))["lessons"][0]["lesson_id"] == told["lesson_id"]

    async def test_a_task_is_done_by_who_can(self, http: Http) -> None:
        async with Client(http.url) as host:
            plan = {"tasks": [{"id": "a", "estimate": 2}, {"id": "b", "estimate": 3, "depends_on": ["a"]}]}
            done = await use(host, "task_distribute", title="Plan it", required_skills=["strategic_planning"], input=plan, wait=True)
            assert (done["status"], done["assigned_to"], done["result"]["length"]) == ("succeeded", "ricardo", 5)
            assert (await use(host, "task_get", task_id=done["task_id"]))["status"] == "succeeded"
            assert (await use(host, "task_list", agent="ricardo", limit=1))["tasks"][0]["task_id"] == done["task_id"]
            assert (await refused(host, "task_cancel", task_id=done["task_id"]))["status"] == 409

    async def test_every_tool_has_schemas_that_name_no_foreign_speaker(self, http: Http) -> None:
        async with Client(http.url) as host:
            tools = {tool.name: tool for tool in (await host.list_tools()).tools}
            assert len(tools) == 15
            for tool in tools.values():
                assert tool.input_schema["type"] == "object"
                assert tool.output_schema is not None
                assert tool.output_schema["type"] == "object"
                assert tool.description
            assert "agent" not in tools["lesson_broadcast"].input_schema["properties"]
            assert tools["memory_search"].input_schema["required"] == ["query"]
            assert tools["memory_search"].annotations is not None
            assert tools["memory_search"].annotations.read_only_hint

    async def test_resources_show_the_agents_and_the_recent_past(self, http: Http) -> None:
        async with Client(http.url) as host:
            found = {str(r.uri) for r in (await host.list_resources()).resources}
            assert found == {"cerebro://agents", "cerebro://memory/recent"}
            (agents,) = (await host.read_resource("cerebro://agents")).contents
            assert set(json.loads(agents.text)["agents"]) >= {"nexus", "aria", "ricardo"}
            with pytest.raises(MCPError, match="there is no resource"):
                await host.read_resource("cerebro://secrets")


class TestStdio:
    async def test_a_host_that_starts_it_itself_has_the_same_tools(self, up: Up) -> None:
        async with Client(over_stdio(up)) as host:
            stored = await use(host, "memory_store", action_type="note", action_details={"text": "The dirigible leaves at noon."})

            async def first() -> bool:
                found = await use(host, "memory_search", query="When does the dirigible leave?", agent_id="clerk", limit=1)
                return bool(found["results"][0]["id"] == stored["episode_id"])

            await eventually(first)  # its vector comes a moment after its words
            assert (await use(host, "consensus_propose", title="Go on", attributes=GOOD))["status"] == "accepted"
            assert (await use(host, "lesson_broadcast", topic="airships", content="Mind the wind.", wait_s=10))["integrated_by"]
            plan = {"tasks": [{"id": "a", "estimate": 2}]}
            done = await use(host, "task_distribute", title="Plan it", required_skills=["strategic_planning"], input=plan, wait=True)
            assert done["result"]["critical_path"] == ["a"]
            assert "$.query" in str(await refused(host, "memory_search", query=5))


class TestBadInput:
    @pytest.mark.parametrize(
        ("tool", "arguments", "path"),
        [
            ("memory_search", {}, "$.query"),
            ("memory_search", {"query": 5}, "$.query"),
            ("memory_search", {"query": "x", "limit": 1_000}, "$.limit"),
            ("memory_search", {"query": "x", "nonsense": 1}, "$.nonsense"),
            ("memory_store", {"action_type": "note", "agent_id": "nexus"}, "$.agent_id"),
            ("lesson_broadcast", {"topic": "a", "content": "b", "agent": "nexus"}, "$.agent"),
            ("consensus_propose", {"title": "x", "threshold": "1/2"}, "$.threshold"),
            ("task_get", {"task_id": "no token!"}, "$.task_id"),
            ("agents_list", {"x": 1}, "$.x"),
            ("task_distribute", {"title": "x", "required_skills": ["juggling"], "wait": True}, "$.required_skills"),
        ],
    )
    async def test_a_bad_argument_is_named(self, http: Http, tool: str, arguments: dict[str, Any], path: str) -> None:
        async with Client(http.url) as host:
            problem = await refused(host, tool, **arguments)
        assert problem["status"] in {400, 422}
        assert path in [e["path"] for e in problem["errors"]]

    async def test_what_is_not_there_is_not_found(self, http: Http) -> None:
        async with Client(http.url) as host:
            assert (await refused(host, "task_get", task_id="nobody-knows"))["status"] == 404
            assert "there is no tool" in (await refused(host, "juggle"))["detail"]

    async def test_too_much_is_refused(self, http: Http) -> None:
        async with Client(http.url) as host:
            problem = await refused(host, "memory_store", action_type="note", action_details={"text": "x" * 1_048_576})
        assert problem["status"] == 413


class TestHttpDoor:
    async def test_hosts_of_an_earlier_protocol_are_served_too(self, http: Http) -> None:
        async with Client(http.url, mode="legacy") as host:
            assert len((await host.list_tools()).tools) == 15
            assert "nexus" in (await use(host, "agents_list"))["agents"]

    @pytest.mark.parametrize(
        ("headers", "status"), [({"host": "evil.example"}, 421), ({"origin": "http://evil.example"}, 403), ({"host": "localhost:1"}, 200)]
    )
    async def test_a_page_of_another_site_is_kept_out(self, http: Http, headers: dict[str, str], status: int) -> None:
        info = {"name": "test", "version": "1"}
        initialize = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "initialize",
            "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info},
        }
        accepts = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(http.url, json=initialize, headers={**accepts, **headers})
        assert answer.status_code == status

    async def test_many_hosts_are_served_at_once(self, http: Http) -> None:
        async def one(n: int) -> Any:
            async with Client(http.url) as host:
                return await use(host, "memory_search", query=f"question {n}")

        assert len(await asyncio.gather(*(one(n) for n in range(10)))) == 10


class TestKeys:
    """Where REST would ask for a key, the door over HTTP does."""

    def key(self, up: Up, *options: str) -> str:
        """A new key, as `cerebro key add` tells it."""
        arguments = [sys.executable, "-m", "cerebro", "key", "add", f"k{uuid7()[-10:]}", "--data", str(up.data), *options]
        return subprocess.run(arguments, check=True, capture_output=True, text=True, env=environment(up), timeout=60).stdout.strip()

    async def test_without_one_nobody_comes_in(self, guarded: Http) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(guarded.url, json={})
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")

    @pytest.mark.parametrize(
        ("options", "status"),
        [(["--scope", "read"], 403), (["--agent", "somebody"], 403), (["--agent", "clerk"], None), ([], None)],
    )
    async def test_it_must_be_for_what_the_tool_does(self, up: Up, guarded: Http, options: list[str], status: int | None) -> None:
        headers = {"authorization": f"Bearer {self.key(up, *options)}"}
        async with (
            httpx2.AsyncClient(headers=headers, trust_env=False, timeout=30) as http,
            Client(streamable_http_client(guarded.url, http_client=http)) as host,
        ):
            assert "nexus" in (await use(host, "agents_list"))["agents"]
            note = {"action_type": "note", "action_details": {"text": "noted"}}
            if status is None:
                assert (await use(host, "memory_store", **note))["stored"]
            else:
                assert (await refused(host, "memory_store", **note))["status"] == status


class TestPage:
    def test_what_it_gives_a_host_is_understood(self) -> None:
        (config,) = re.findall(r"```json\n(.+?)```", PAGE.read_text(), re.DOTALL)
        parsed = parser().parse_args(json.loads(config)["mcpServers"]["cerebro"]["args"])
        assert (parsed.agent, parsed.http) == ("claude", None)

    def test_it_names_every_tool(self) -> None:
        assert set(TOOLS) <= set(re.findall(r"`(\w+)`", PAGE.read_text()))


class TestStart:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["--data", "/nowhere"], "no mesh runs on /nowhere"),
            (["--agent", "No Token"], "--agent 'No Token'"),
            (["--http", "nonsense"], "'nonsense' is not HOST:PORT"),
        ],
    )
    def test_what_is_wrong_is_said_on_stderr(self, up: Up, options: list[str], words: str) -> None:
        arguments = [sys.executable, *COMMAND, "--data", str(up.data), *options]
        ended = subprocess.run(
            arguments, check=False, capture_output=True, text=True, env=environment(up), timeout=60, stdin=subprocess.DEVNULL
        )
        assert (ended.returncode, ended.stdout) == (1, "")
        assert words in ended.stderr

    def test_stdin_that_is_closed_is_the_end(self, up: Up) -> None:
        arguments = [sys.executable, *COMMAND, "--data", str(up.data)]
        ended = subprocess.run(arguments, check=False, capture_output=True, text=True, env=environment(up), timeout=60, input="nonsense\n")
        assert ended.returncode == 0, ended.stderr
        assert all(json.loads(line)["jsonrpc"] == "2.0" for line in ended.stdout.splitlines())
