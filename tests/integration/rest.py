"""A client for tests: REST of a running mesh, and waiting for what takes its way first."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx

GOOD = {"benefit": 0.8, "cost": 0.2, "risk": 0.1, "urgency": 0.5, "reversible": True}
"""Attributes that nexus and ricardo approve on a fresh mesh."""
BAD = {"benefit": 0.1, "cost": 0.9, "risk": 0.9, "urgency": 0.1, "reversible": False}


@asynccontextmanager
async def client(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, timeout=40, trust_env=False) as http:
        yield http


async def post(http: httpx.AsyncClient, path: str, body: Any, status: int) -> Any:
    """The answer's body; its status must be the one named."""
    answer = await http.post(path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


async def get(http: httpx.AsyncClient, path: str, status: int = 200) -> Any:
    answer = await http.get(path)
    assert answer.status_code == status, answer.text
    return answer.json()


async def eventually(
    look: Callable[[], Awaitable[Any]], wait_s: float = 30.0, away: tuple[type[Exception], ...] = (httpx.HTTPError, AssertionError)
) -> Any:
    """The first truthy thing that `look` returns; what is `away` meanwhile is looked for again."""
    last: Any = None
    try:
        async with asyncio.timeout(wait_s):
            while True:
                try:
                    if last := await look():
                        return last
                except away as e:
                    last = e
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"not within {wait_s:g} s; the last look gave {last!r}") from None
