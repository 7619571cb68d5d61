"""NATS stays away from everybody for a while: what REST says meanwhile, how large everything grows, and how soon all is well again."""

import asyncio
import time
from collections import Counter
from typing import Any, Final

import httpx

from bus.connection import Bus
from bus.log import bounds
from tests.faults.behind import Behind
from tests.faults.load import Load
from tests.faults.network import well
from tests.faults.report import Report, share
from tests.fuzz import watch
from tests.integration.rest import GOOD

BEFORE_S: Final = 5.0
"""How long the mesh is at work before NATS goes."""
UNDER_WAY_S: Final = 6.0
"""Within this what was asked before has been answered: a publish is tried for 5 s."""
ANSWER_S: Final = 5.0
"""Every answer comes within this, which is the longest that anybody waits who does not ask to wait."""
EVERY_S: Final = 0.5
GROWN_BYTES_MAX: Final = 64 * 2**20
"""Most that the resident memory of one process may grow while NATS is away."""
ASKED: Final[tuple[tuple[str, dict[str, Any] | None], ...]] = (
    ("/memory/action", {"action_type": "away", "agent_id": "away"}),
    ("/memory/action?wait=persisted", {"action_type": "away", "agent_id": "away"}),
    ("/memory/search", {"query": "anything"}),
    ("/memory/episodic/recent", None),
    ("/neural-mesh/consensus", {"title": "Away", "attributes": GOOD, "timeout_s": 5}),
    ("/neural-mesh/task-distribute", {"title": "Away", "required_skills": ["priority_setting"], "input": {}}),
    ("/neural-mesh/cross-learning", {"agent": "nexus", "topic": "away", "content": "nobody hears it"}),
    ("/neural-mesh/connected-agents", None),
    ("/ready", None),
    ("/health", None),
)
"""What is asked of REST all the while; of these `/health` says what is the matter, the others that it is not now."""


class Away:
    """One time of it. `broken`: what was not as it is promised."""

    def __init__(self, mesh: Behind, load: Load, report: Report) -> None:
        self.broken: list[str] = []
        self._mesh = mesh
        self._load = load
        self._report = report
        self._processes = watch.Processes(mesh.data)
        self._at_first: dict[str, int] = {}
        self._largest: dict[str, int] = {}
        self._answers: Counter[str] = Counter()
        self._took_s: list[float] = []

    async def pass_by(self, away_s: float) -> None:
        """Let NATS be away for so long, under load, and wait until all is well again."""
        async with self._load:
            await asyncio.sleep(BEFORE_S)
            for proxy in self._mesh.before("nats"):
                await self._mesh.do(proxy.refuse)
            self._report.injected("NATS away")
            await asyncio.sleep(UNDER_WAY_S)
            stood, said = await self._log_end(), self._load.acknowledged.total()
            self._at_first = self._processes.rss()
            await self._ask_all_the_while(away_s - UNDER_WAY_S)
            self._find("entries stand in the log that nobody could write", await self._log_end() - stood)
            self._find("things were acknowledged meanwhile", self._load.acknowledged.total() - said)
            began = time.monotonic()
            for proxy in self._mesh.before("nats"):
                await self._mesh.do(proxy.calm)
            self.broken += await well(self._mesh)
            self._report.recovered("NATS away", time.monotonic() - began)
            await asyncio.sleep(BEFORE_S)
            self._find("no new thing was acknowledged afterwards", int(self._load.acknowledged.total() == said))
        self.broken += self._processes.faults() + [f"{name} was given up" for name in self._mesh.run.quarantined]
        self._tell()

    def _find(self, what: str, times: int) -> None:
        if times:
            self.broken.append(f"{times} {what}")

    async def _log_end(self) -> int:
        """The latest place of the log, of what is not the server's own: it writes down what time it is."""
        settings = self._mesh.bus_settings()
        bus = await Bus.connect(type(settings)(nats_url=self._mesh.direct.nats, nats_nkey=settings.nats_nkey), "operator", 30.0)
        try:
            info = await bus.api("STREAM.INFO.MESH", {"subjects_filter": ">"})
            server = sum(n for subject, n in (info["state"].get("subjects") or {}).items() if subject.endswith((".deadline", ".timer")))
            return (await bounds(bus))[1] - server
        finally:
            await bus.close()

    async def _ask_all_the_while(self, for_s: float) -> None:
        end = time.monotonic() + for_s
        async with httpx.AsyncClient(base_url=self._mesh.run.http, timeout=2 * ANSWER_S, trust_env=False) as http:
            while time.monotonic() < end:
                await asyncio.gather(*(self._ask(http, path, body) for path, body in ASKED))
                for name, size in self._processes.rss().items():
                    self._largest[name] = max(size, self._largest.get(name, 0))
                await asyncio.sleep(EVERY_S)

    async def _ask(self, http: httpx.AsyncClient, path: str, body: dict[str, Any] | None) -> None:
        began = time.monotonic()
        try:
            answer = await (http.get(path) if body is None else http.post(path, json=body))
        except httpx.HTTPError as e:
            self.broken.append(f"{path}: {type(e).__name__} after {time.monotonic() - began:.1f} s")
            return
        took_s = time.monotonic() - began
        self._took_s.append(took_s)
        self._answers[str(answer.status_code)] += 1
        later = answer.headers.get("retry-after", "")
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or (path != "/health" and not later.isdecimal()):
            self.broken.append(f"{path} was answered with {answer.status_code}, retry-after {later!r}")
        if took_s > ANSWER_S:
            self.broken.append(f"{path} was answered after {took_s:.1f} s")

    def _tell(self) -> None:
        grown = {name: size - self._at_first.get(name, size) for name, size in self._largest.items()}
        self.broken += [f"{n} grew by {g:,} bytes" for n, g in grown.items() if g > GROWN_BYTES_MAX]
        self.broken = [f"{times} times: {what}" if times > 1 else what for what, times in Counter(self.broken).items()]
        took = f"p50 {share(self._took_s, 0.5):.3f} s, p99 {share(self._took_s, 0.99):.3f} s, max {max(self._took_s):.3f} s"
        self._report.figure("answers while NATS was away", f"{dict(self._answers)}: {took}")
        self._report.figure("grown while NATS was away, MiB", {name: round(g / 2**20, 1) for name, g in sorted(grown.items())})
