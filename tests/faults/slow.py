"""What is measured while somebody is slow: how soon the others are answered, how large everything is, and how far memory is behind."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx

from tests.faults.behind import Behind
from tests.faults.report import Report, share
from tests.fuzz import watch

TEXT: Final = "x" * 10_000
BATCH_LEN: Final = 100
BATCH_BYTES: Final = BATCH_LEN * len(TEXT)
EVERY_S: Final = 0.1
PLAIN_S: Final = 5.0
"""How long the others are looked at before anybody is slow."""
SLOWED_MAX: Final = 5.0
"""The others may be answered so much later by the half of their answers, beside the flood that makes somebody slow."""
SLOWED_S: Final = 1.0
"""Or as late as this, where they were answered very soon."""
GROWN_BYTES_MAX: Final = 128 * 2**20
"""Most that the resident memory of one process of ours may grow meanwhile."""
SERVERS: Final = {"nats": 384 * 2**20, "postgres": 512 * 2**20, "redis": 384 * 2**20}
"""The same of a server, which keeps some of what passes for as long as there is room."""
TIMEOUT_S: Final = 30.0


async def flood(mesh: Behind, size_bytes: int) -> int:
    """Write so much in episodes of 10 kB; how many were acknowledged."""
    written = 0
    batch = [{"action_type": "flood", "agent_id": "flood", "action_details": {"text": TEXT}} for _ in range(BATCH_LEN)]
    async with httpx.AsyncClient(base_url=mesh.run.http, timeout=TIMEOUT_S, trust_env=False) as http:
        for _ in range(size_bytes // BATCH_BYTES):
            answer = await http.post("/memory/actions", json=batch)
            assert answer.status_code in {201, 202, 503}, answer.text
            written += len(answer.json()["items"]) if answer.is_success else 0
    return written


class Others:
    """Those who are not slow. `broken`: what they had to suffer."""

    def __init__(self, mesh: Behind, report: Report) -> None:
        self.broken: list[str] = []
        self.behind_max = 0
        """Most entries of the log that were not persisted, as `GET /stats` told."""
        self.detail = ""
        """What `GET /health` said of it."""
        self._mesh = mesh
        self._report = report
        self._processes = watch.Processes(mesh.data)
        self._largest: dict[str, int] = {}

    @asynccontextmanager
    async def while_slow(self, kind: str) -> AsyncIterator[None]:
        """Look at them for a while, and then all the time that this lasts."""
        plain = await self._answered(asyncio.Event(), PLAIN_S)
        at_first, self._largest = self._processes.rss(), {}
        stop = asyncio.Event()
        self._report.injected(kind)
        looking = asyncio.create_task(self._answered(stop), name="look at the others")
        try:
            yield
        finally:
            stop.set()
            slowed = await looking
        before, during = share(plain, 0.5), share(slowed, 0.5)
        grown = {name: size - at_first.get(name, size) for name, size in self._largest.items()}
        self._report.figure(f"answers, {kind}", f"p50 {before:.3f} s before, {during:.3f} s meanwhile, p99 {share(slowed, 0.99):.3f} s")
        self._report.figure(f"grown, {kind}, MiB", {name: round(g / 2**20, 1) for name, g in sorted(grown.items())})
        if during > max(SLOWED_S, SLOWED_MAX * before):
            self.broken.append(f"the others were answered within {during:.2f} s, and {before:.2f} s before")
        self.broken += [f"{n} grew by {g:,} bytes" for n, g in grown.items() if g > SERVERS.get(n, GROWN_BYTES_MAX)]
        self.broken += self._processes.faults()

    async def _answered(self, stop: asyncio.Event, for_s: float = float("inf")) -> list[float]:
        """How long each answer took, until `stop` or for so long."""
        took_s, end = [], time.monotonic() + for_s
        async with httpx.AsyncClient(base_url=self._mesh.run.http, timeout=TIMEOUT_S, trust_env=False) as http:
            while not stop.is_set() and time.monotonic() < end:
                began = time.monotonic()
                answer = await http.post("/memory/action", json={"action_type": "other", "agent_id": "other"})
                took_s.append(time.monotonic() - began)
                if not answer.is_success:
                    self.broken.append(f"another was answered with {answer.status_code}")
                await self._look(http)
                await asyncio.sleep(EVERY_S)
        return took_s

    async def _look(self, http: httpx.AsyncClient) -> None:
        for name, size in self._processes.rss().items():
            self._largest[name] = max(size, self._largest.get(name, 0))
        told: dict[str, Any] = (await http.get("/stats")).json()
        behind = (told["memory"] or {}).get("unpersisted") or 0
        if behind > self.behind_max:
            self.behind_max = behind
            detail = (await http.get("/health")).json()["components"]["memory_components"]["episodic_memory"]["detail"]
            self.detail = detail or self.detail
