"""Pages that show REST and the bus beside each other: every line works, and answers as the page says."""

from pathlib import Path
from typing import Any

import httpx
import nats
import pytest
from nats.aio.client import Client

from tests.integration.rest import client
from tests.integration.test_by_hand import Hand, answered_as_shown, steps

DOCS = Path(__file__).parents[2] / "docs"
HOST = "http://127.0.0.1:8001"


class Reader(Hand):
    """The `nats` command, and `curl -s [-X METHOD] URL [-d BODY]`."""

    def __init__(self, nc: Client, http: httpx.AsyncClient) -> None:
        super().__init__(nc)
        self._http = http

    async def run(self, words: list[str]) -> Any:
        if words[0] != "curl":
            return await super().run(words)
        url = next(w for w in words if w.startswith(HOST)).removeprefix(HOST)
        method = words[words.index("-X") + 1] if "-X" in words else "GET"
        body = words[words.index("-d") + 1] if "-d" in words else None
        answer = await self._http.request(method, url, content=body, headers={"content-type": "application/json"})
        return answer.json()


@pytest.mark.parametrize("page", ["graph.md", "continuity.md"])
async def test_every_line_of_the_page_works_and_answers_as_it_says(mesh: dict[str, Any], page: str) -> None:
    nc = await nats.connect(**mesh["credentials"])
    try:
        async with client(mesh["http"]) as http:
            walked = list(steps(DOCS / page))
            assert walked
            for words, shown in walked:
                await answered_as_shown(Reader(nc, http), words, shown)
    finally:
        await nc.close()
