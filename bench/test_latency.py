"""How long one consensus and one persisted action take beside a bare JetStream publish, interleaved in one run."""

import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import nats
import psutil
import pytest

from tests.integration.launched import Up
from tests.integration.rest import GOOD, client, post

pytestmark = pytest.mark.bench
ROUNDS = 60
WARM_UP = 10


async def timed(call: Callable[[], Awaitable[object]]) -> float:
    """How long one call takes, in milliseconds."""
    start = time.perf_counter()
    await call()
    return (time.perf_counter() - start) * 1000


def resident_mib(pid: int) -> float:
    """Memory of a process and its children, as far as it is its own (unique set size)."""
    process = psutil.Process(pid)
    return sum(p.memory_full_info().uss for p in [process, *process.children(recursive=True)]) / 2**20


async def test_latency(tmp_path: Path) -> None:
    up = Up(tmp_path / "data").wait_until_ready()
    run = up.run
    try:
        bare = await nats.connect(**up.credentials())
        js = bare.jetstream()
        await js.add_stream(name="BARE", subjects=["bare"])
        print("\nmemory at rest (MiB): " + ", ".join(
            f"{name} {resident_mib(pid):.0f}" for name, pid in run.processes.items() if name != "launcher"
        ))  # fmt: skip
        async with client(run.http) as http:
            action = {"action_type": "bench", "action_details": {"text": "one action"}}
            proposal = {"title": "Bench", "attributes": GOOD}
            calls: dict[str, Callable[[], Awaitable[object]]] = {
                "bare JetStream publish": lambda: js.publish("bare", b"x" * 200),
                "POST /memory/action": lambda: post(http, "/memory/action", action, 202),
                "POST /memory/action?wait=persisted": lambda: post(http, "/memory/action?wait=persisted", action, 201),
                "POST /memory/search": lambda: post(http, "/memory/search", {"query": f"one action {time.time()}"}, 200),
                "POST /neural-mesh/consensus": lambda: post(http, "/neural-mesh/consensus", proposal, 200),
            }
            taken: dict[str, list[float]] = {name: [] for name in calls}
            for i in range(WARM_UP + ROUNDS):
                for name, call in calls.items():
                    ms = await timed(call)
                    if i >= WARM_UP:
                        taken[name].append(ms)
        base = statistics.median(taken["bare JetStream publish"])
        print(f"{'':36} {'p50 ms':>8} {'p95 ms':>8} {'x bare':>7}")
        for name, ms in taken.items():
            print(f"{name:36} {statistics.median(ms):8.2f} {sorted(ms)[int(len(ms) * 0.95)]:8.2f} {statistics.median(ms) / base:7.1f}")
        await bare.close()
    finally:
        up.stop()
