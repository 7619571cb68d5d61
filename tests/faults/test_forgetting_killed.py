"""Whatever is killed in the middle of a forgetting: it is finished, once, to the last byte."""

import asyncio
import os
import secrets
import signal
from typing import Any

import httpx
import pytest

from tests.integration.launched import Up
from tests.integration.rest import client, eventually, get, post
from tests.integration.traces import checkpoint, in_files, in_redis, in_tables

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]
EPISODES = 60  # erased one after the other, so that a kill finds some done and some not
AGAIN_S_MAX = 120.0
"""Longest wait for an answer: a question that was under way when memory was killed is given up by `client` only after 40 s."""
POINTS = [("memory", after_s) for after_s in (0.01, 0.05, 0.2, 0.5, 1.0, 2.0)] + [(server, 0.3) for server in ("nats", "postgres", "redis")]


async def plant(http: httpx.AsyncClient, session: str, said: str) -> list[str]:
    batch = [
        {"agent_id": "teller", "action_type": "note", "action_details": {"text": f"{said} {n}"}, "session_id": session}
        for n in range(EPISODES)
    ]
    items = (await post(http, "/memory/actions?wait=persisted", batch, 201))["items"]
    await http.put(f"/memory/working/{session}/key", json={"context_data": {"held": said}})
    assert (await post(http, "/memory/search", {"query": said}, 200))["results"]
    return [item["episode_id"] for item in items]


async def ask(http: httpx.AsyncClient, session: str) -> Any:
    """The receipt, or None where the one who gives it is away."""
    try:
        answer = await http.post("/memory/forget", json={"session_id": session})
    except httpx.HTTPError:
        return None
    assert answer.status_code in {200, 503, 504}, answer.text
    return answer.json() if answer.status_code == 200 else None


@pytest.mark.parametrize(("victim", "after_s"), POINTS)
async def test_a_forgetting_is_finished(up: Up, victim: str, after_s: float) -> None:
    session, said = f"s-{secrets.token_hex(4)}", f"said{secrets.token_hex(10)}"
    async with client(up.run.http) as http:
        ids = await plant(http, session, said)
        kept = (await post(http, "/memory/action?wait=persisted", {"action_type": "kept", "session_id": f"not {session}"}, 201))[
            "episode_id"
        ]
        await checkpoint(up.run.postgres)
        asking = asyncio.create_task(ask(http, session), name="forget")
        await asyncio.sleep(after_s)
        os.kill(up.run.processes[victim], signal.SIGKILL)
        first = await asking
        receipt = first or await eventually(lambda: ask(http, session), AGAIN_S_MAX)
        assert (receipt["episodes"], receipt["log_entries"], receipt["scrubbed"]) == (EPISODES, EPISODES, True)
        assert await eventually(lambda: ask(http, session), AGAIN_S_MAX) == receipt
        for ident in (ids[0], ids[-1]):
            await get(http, f"/memory/episodic/{ident}", 404)
        await get(http, f"/memory/episodic/{kept}")
    assert await in_tables(up.run.postgres, said) == []
    assert await in_redis(up.run.redis, said) == []
    assert in_files(up.data, said) == []
    print(f"killed {victim} {after_s} s after the question: {'answered' if first else 'asked again'}")
