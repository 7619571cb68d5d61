"""A real HTTP server that speaks OpenAI's chat completions, answers as it is told to, and keeps what it was asked."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agents.llm.settings import LlmSettings
from bus.secret import Secret

MODEL = "local"
KEY = "sk-not-to-be-seen-0123456789"
IN, OUT = 100, 20
"""Tokens that each answer says it took."""


class Asked:
    """One request, taken apart."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.body = body
        self.messages: list[dict[str, Any]] = body["messages"]
        self.system = "\n".join(str(m["content"]) for m in self.messages if m["role"] in ("system", "developer"))
        self.user = "\n".join(str(m["content"]) for m in self.messages if m["role"] not in ("system", "developer"))
        self.tools: dict[str, dict[str, Any]] = {t["function"]["name"]: t["function"] for t in body.get("tools", [])}

    @property
    def labels(self) -> list[str]:
        """The choices that its answer allows."""
        return list(self.tools["answer"]["parameters"]["properties"]["choice"]["enum"])


class Lookup:
    """An answer that calls a tool."""

    def __init__(self, tool: str, **arguments: Any) -> None:
        self.tool = tool
        self.arguments = arguments


class Server:
    """`script` is what happens to the next requests, one each; then `mind` says it of every further one.

    A dict is the answer in the structure asked for, `Lookup` a call of a tool, a number a status (or with headers a pair), a word one of:
    slow, html, broken (a tool call whose arguments are no JSON), text, filtered, echo (401 with the key in its body), silent (an answer
    that does not say how many tokens it took; then `mind`'s).
    """

    def __init__(self, mind: Callable[[Asked], Any]) -> None:
        self.mind = mind
        self.script: deque[Any] = deque()
        self.asked: list[Asked] = []
        self.keys: list[str | None] = []
        self.usage: dict[str, int] | None = {"prompt_tokens": IN, "completion_tokens": OUT, "total_tokens": IN + OUT}
        self.port = 0
        self.at_once = 0
        self.at_once_max = 0
        self.released = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def settings(self, **more: Any) -> LlmSettings:
        """Settings that name this endpoint, and do not wait long."""
        own: dict[str, Any] = {
            "model": f"openai-chat:{MODEL}",
            "base_url": self.url,
            "api_key": Secret(KEY),
            "tries_max": 1,
            "pause_s": 0.0,
        }
        return LlmSettings(**(own | more))

    @property
    def environment(self) -> dict[str, str]:
        """The same, as variables."""
        return {
            "CEREBRO_LLM_MODEL": f"openai-chat:{MODEL}",
            "CEREBRO_LLM_BASE_URL": self.url,
            "CEREBRO_LLM_API_KEY": KEY,
            "CEREBRO_LLM_PAUSE_S": "0",
        }

    async def complete(self, request: Request) -> Response:
        asked = Asked(await request.json())
        self.keys.append(request.headers.get("authorization"))
        self.asked.append(asked)
        self.at_once += 1
        self.at_once_max = max(self.at_once_max, self.at_once)
        try:
            return await self._respond(asked, self.script.popleft() if self.script else self.mind(asked))
        finally:
            self.at_once -= 1

    async def _respond(self, asked: Asked, what: Any) -> Response:  # noqa: PLR0911 - one for each way to answer
        match what:
            case int(status):
                return JSONResponse({"error": {"message": "planted"}}, status)
            case (int(status), dict(headers)):
                return JSONResponse({"error": {"message": "planted"}}, status, headers)
            case "echo":
                return JSONResponse({"error": {"message": f"bad key {self.keys[-1]}"}}, 401)
            case "slow":
                await self.released.wait()
                return JSONResponse({}, 503)
            case "html":
                return Response("<html>", media_type="text/html")
            case "text":
                return self._message(content="I would approve this.")
            case "filtered":
                return self._message(content="", finish="content_filter")
            case "broken":
                return self._call("answer", '{"choice": ')
            case "silent":
                return self._call("answer", json.dumps(self.mind(asked)), usage=None)
            case Lookup():
                return self._call(what.tool, json.dumps(what.arguments))
        return self._call("answer", json.dumps(what))

    def _call(self, name: str, arguments: str, **more: Any) -> Response:
        call = {"id": f"call-{len(self.asked)}", "type": "function", "function": {"name": name, "arguments": arguments}}
        return self._message(content=None, tool_calls=[call], finish="tool_calls", **more)

    def _message(self, *, finish: str = "stop", usage: Any = ..., **message: Any) -> Response:
        choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
        told = self.usage if usage is ... else usage
        body = {"id": "c", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [choice]}
        return JSONResponse(body | ({"usage": told} if told else {}))


@asynccontextmanager
async def serving(mind: Callable[[Asked], Any]) -> AsyncIterator[Server]:
    """The server, on a free port, while it is used."""
    server = Server(mind)
    routes = [Route("/v1/chat/completions", server.complete, methods=["POST"])]
    config = uvicorn.Config(Starlette(routes=routes), port=0, log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
    http = uvicorn.Server(config)
    socket = config.bind_socket()
    server.port = socket.getsockname()[1]
    running = asyncio.create_task(http.serve([socket]))
    try:
        while not http.started:
            await asyncio.sleep(0.01)
        yield server
    finally:
        server.released.set()
        http.should_exit = True
        await running
        socket.close()
