"""The quickstart of the SDK's README, as it stands there."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.integration.launched import Up

SDK = Path(__file__).parents[2] / "sdk" / "python"
PATIENCE_S = 30.0


def block(kind: str, number: int = 0) -> str:
    return re.findall(rf"```{kind}\n(.*?)```", (SDK / "README.md").read_text(), re.DOTALL)[number]


@pytest.fixture
def ops(up: Up, tmp_path: Path) -> subprocess.Popen[bytes]:
    """`python ops.py`"""
    program = tmp_path / "ops.py"
    program.write_text(block("python"))
    key = up.admitted("ops")["nkeys_seed"]
    env = {**os.environ, "PYTHONPATH": str(SDK), "CEREBRO_NATS_URL": up.run.nats, "CEREBRO_NATS_NKEY": key}
    return subprocess.Popen([sys.executable, program], env=env)


async def test_the_quickstart_joins_and_does_what_the_page_shows(up: Up, ops: subprocess.Popen[bytes]) -> None:
    found = re.search(r"-d '(.*?)'", block("sh", 1))
    assert found
    try:
        async with httpx.AsyncClient(base_url=up.run.http, timeout=20) as http, asyncio.timeout(PATIENCE_S):
            while "ops" not in (await http.get("/neural-mesh/connected-agents")).json()["agents"]:
                await asyncio.sleep(0.1)
            answer = (await http.post("/neural-mesh/task-distribute", json=json.loads(found[1]))).json()
        shown = json.loads(block("json"))
        assert {name: answer[name] for name in shown} == shown
    finally:
        ops.send_signal(signal.SIGINT)
        assert ops.wait(timeout=10) == 0
