"""One simulated run: a seed is a whole history. Bad times, then healing; what must hold is looked at after each entry of the log,
and in the end everything must have ended, alike for everyone.
"""

import asyncio
import logging
import random
import zlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from agents.minds import MINDS
from agents.skills.skill import SkillError
from bus import entries, subjects
from bus.connection import Outgoing, Stored
from bus.errors import CerebroError
from tests.simulation.client import VirtualClient, WatchedBus
from tests.simulation.loop import VirtualLoop, passes
from tests.simulation.network import PEACE, Hostility, Network
from tests.simulation.node import AGENTS, SKILLS_OF, Node
from tests.simulation.oracle import SKEW_S_MAX, Broken, Oracle, demand
from tests.simulation.scenario import KINDS, Saying, Script
from tests.simulation.server import START_S, VirtualServer
from tests.simulation.work import WorkQueue

HOSTILE_S_MAX = 4.0
"""Longest bad times of a small scenario."""
HEAL_S_MAX = 75.0
"""Everything ends within this after the bad times: a task waits for a gone agent for as long as that is listed, 60 s."""
AFTER_S = 1.5
"""How long all must have ended: what is done twice shows by then."""
LOOK_S = 0.3
"""How often is looked whether all has ended."""
FAULTS_MAX = 5
"""Most faults of one history."""
FAULTS = ("crash", "crash", "leave", "cut", "cut", "stop", "stop", "away", "power", "clock", "twin")
RETRY_S = 0.3
"""Pause before somebody outside says again what was not stored."""


class Outcome(msgspec.Struct):
    """How a run went; `broken` says what did not hold. `trace` is equal for equal histories."""

    seed: int
    kind: str
    broken: str | None
    entries: int
    virtual_s: float
    faults: list[str]
    trace: list[str]


class Errors(logging.Handler):
    """Collects what parts of the mesh log as errors: an exception that nobody expected."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self.told.append(f"{record.getMessage()}: {type(error).__name__}: {error}")


class World:
    """Everything of one run, drawn from `seed`. `faults_max` and `sayings_max` cut a history short, to shrink it."""

    def __init__(self, seed: int, kind: str | None = None, faults_max: int = FAULTS_MAX, sayings_max: int | None = None) -> None:
        self.seed = seed
        self.rng = rng = random.Random(seed)
        self.kind = kind or rng.choice(KINDS)
        self.loop = VirtualLoop()
        self.hostile_s = rng.uniform(1.0, HOSTILE_S_MAX) * (1.5 if self.kind in {"tasks", "all"} else 1.0)
        self.network = Network(rng, self._hostility())
        window_s = rng.choice([120.0, 120.0, 1.0])
        self.server = VirtualServer(self.loop, window_s, self._late)
        self.oracle = Oracle(SKILLS_OF, ids_kept=window_s > 100)
        self.mind_of = {agent: rng.choice(list(MINDS)) for agent in AGENTS}
        self.works = {agent: WorkQueue(agent, self.server) for agent in AGENTS}
        self.nodes: list[Node] = []
        self.stored: dict[int, str] = {}
        self.broken: str | None = None
        self.happened: list[str] = []
        self._healed = False
        self._gone: set[str] = set()
        self._heard_s: dict[str, float] = {}
        self._born = 0
        self._seen = 0
        self._performing: Counter[tuple[str, str]] = Counter()
        self._unsaid = 0
        self._outside = VirtualClient(self.loop, self.server, self.network, self.heard)
        self._bus = WatchedBus(self.acknowledged, self._outside, lambda: START_S + self.loop.time())
        self._tasks: list[asyncio.Task[None]] = []
        self._faults_max = faults_max
        self._sayings_max = sayings_max
        self.server.on_append(self._appended)

    def _hostility(self) -> Hostility:
        draw = self.rng.uniform
        if self.rng.random() < 0.1:
            return PEACE
        bad = Hostility(lost=draw(0, 0.2), ack_lost=draw(0, 0.2), doubled=draw(0, 0.1), slow=draw(0, 0.2), batch_torn=draw(0, 0.1))
        bad.delay_s_max, bad.reader_s_max = draw(0.01, 0.3), draw(0.05, 1.0)
        return bad

    def _late(self) -> float | None:
        """How late a schedule comes; never, rarely, as in a log that was restored without it."""
        chance = self.rng.random()
        return None if chance < 0.12 else self.rng.uniform(0, 2.0) if chance < 0.3 else 0.0

    # what the nodes ask of it

    def heard(self, subject: str, data: bytes) -> None:
        """A beat or a goodbye on its way to everyone."""
        found = subjects.find(subject)
        assert found is not None
        tokens, profile = found[1], entries.decode(subjects.PRESENCE.body, data) if data else None
        at_s = self._heard_s[subject] = max(self._heard_s.get(subject, 0.0), self.loop.time() + self.network.delay_s())
        for node in self.nodes:
            if not node.dead:
                self.loop.call_at(at_s, node.hear, tokens["agent"], tokens["instance"], profile)

    def acknowledged(self, out: Outgoing, stored: Stored) -> None:
        if out.row.stream == subjects.MESH:
            self.stored[stored.seq] = out.row.name

    def tick_s(self) -> float:
        return self.rng.uniform(0.4, 0.95)

    def portion(self, waiting: int) -> int:
        """How many of the entries that wait a reader gets at once."""
        return self.rng.randint(1, waiting) if waiting and not self._healed and self.rng.random() < 0.3 else waiting

    async def perform(self, instance: str, context: Any, given: dict[str, Any]) -> dict[str, Any]:
        """The one skill there is: takes its time, fails at times. No instance performs one task twice at a time."""
        doing = (instance, context.task_id)
        self._performing[doing] += 1
        try:
            await passes(given["takes_s"])
            if self._performing[doing] > 1:
                self.broken = self.broken or f"at {self.loop.time():.3f} s {instance} performs {context.task_id} twice at a time"
        finally:
            self._performing[doing] -= 1
        if self.rng.random() < given["fails"]:
            raise SkillError("bad_luck", "it did not work out", retryable=self.rng.random() < 0.7)
        return {"by": context.agent, "run": self.rng.random()}

    # the run

    def run(self) -> Outcome:
        """The whole history."""
        errors, logger = Errors(), logging.getLogger("cerebro")
        logger.addHandler(errors)
        try:
            self._play()
            told = errors.told + [str(f.get("exception") or f["message"]) for f in self.loop.faults]
            demand(not told, f"nobody expected: {told[:3]}")
        except Broken as e:
            self.broken = self.broken or str(e)
        except Exception as e:  # noqa: BLE001 - whatever a rule raises is a finding, and its seed is told
            self.broken = f"{type(e).__name__}: {e}"
        finally:
            logger.removeHandler(errors)
            self._close()
        return Outcome(self.seed, self.kind, self.broken, self.server.seq, round(self.loop.time(), 3), self.happened, self._trace())

    def _close(self) -> None:
        """End what still goes on, so that nothing of this run is left."""
        for node in self.nodes:
            node.crash()
        for task in self._tasks:
            task.cancel()
        self.loop.run(self.loop.time() + AFTER_S, lambda: False)

    def _play(self) -> None:
        self._begin()
        self._run_until(self.hostile_s, lambda: False)
        self._heal()
        end_s, quiet_s = self.hostile_s + HEAL_S_MAX, 0.0
        while self.loop.time() < end_s and quiet_s < AFTER_S:
            self._run_until(self.loop.time() + LOOK_S, lambda: False)
            quiet_s = 0.0 if self._open_ends() else quiet_s + LOOK_S
        demand(not (ends := self._open_ends()), f"{HEAL_S_MAX:g} s after the bad times: {'; '.join(ends[:5])}")
        self._compare()

    def _run_until(self, moment_s: float, met: Callable[[], bool]) -> None:
        self.loop.run(moment_s, lambda: self.broken is not None or met())
        demand(self.broken is None, self.broken or "")

    def _begin(self) -> None:
        for agent in AGENTS:
            self.loop.call_at(self.rng.uniform(0, 1.0), self.be_born, agent)
        sayings = Script(self.rng, self.hostile_s).write(self.kind)[: self._sayings_max]
        self._unsaid = len(sayings)
        for saying in sayings:
            self.loop.call_at(saying.at_s, self._say, saying)
        for _ in range(min(self._faults_max, self.rng.randint(0, FAULTS_MAX))):
            self.loop.call_at(self.rng.uniform(0.5, self.hostile_s), self._fault)

    def be_born(self, agent: str) -> None:
        """A new instance of an agent comes up."""
        self._born += 1
        node = Node(self, agent, self._born, self.rng.uniform(-0.2, 0.2))
        self.nodes.append(node)
        node.start()

    def _say(self, saying: Saying) -> None:
        self._unsaid -= 1
        self._tasks.append(self.loop.create_task(self._until_stored(saying), name=f"say {saying.msg_id}"))

    async def _until_stored(self, saying: Saying) -> None:
        while True:
            try:
                await self._bus.publish(saying.row, saying.body, msg_id=saying.msg_id, **saying.tokens)
                return
            except CerebroError:
                await passes(RETRY_S)

    # bad times

    def _fault(self) -> None:
        if self._healed or not (there := self.living()):
            return
        node, kind = self.rng.choice(there), self.rng.choice(FAULTS)
        self.happened.append(f"{self.loop.time():.2f} {kind} {node.instance}")
        getattr(self, f"_{kind}")(node)

    def _crash(self, node: Node) -> None:
        node.crash()
        self.loop.call_later(self.rng.uniform(0.2, 4.0), self._reborn, node.agent)

    def _leave(self, node: Node) -> None:
        node.leave()
        self.loop.call_later(self.rng.uniform(0.2, 4.0), self._reborn, node.agent)

    def _reborn(self, agent: str) -> None:
        if not any(n.agent == agent for n in self.living()) and agent not in self._gone:
            self.be_born(agent)

    def _cut(self, node: Node) -> None:
        node.client.cut = True
        self.loop.call_later(self.rng.uniform(0.3, 4.5), setattr, node.client, "cut", False)

    def _stop(self, node: Node) -> None:
        """As by SIGSTOP: it hears and reads nothing, and what it says comes when it goes on."""
        node.client.stands_still_until = self.loop.time() + self.rng.uniform(0.5, 6.0)

    def _away(self, node: Node) -> None:
        node.client.away = True
        self.loop.call_later(self.rng.uniform(0.3, 4.5), setattr, node.client, "away", False)

    def _power(self, _: Node) -> None:
        self.server.power_cut(self.rng)
        for node in self.living():
            self._away(node)

    def _clock(self, node: Node) -> None:
        node.skew_s += self.rng.uniform(-3.5, 3.5)
        node.skew_s = max(-SKEW_S_MAX, min(SKEW_S_MAX, node.skew_s))

    def _twin(self, node: Node) -> None:
        """A second instance of the same agent."""
        self.be_born(node.agent)

    def _heal(self) -> None:
        """From now on all is well: everyone hears everything at once, and is there, but for one that stays away at times."""
        self._healed = True
        self.network.heal()
        for node in self.living():
            node.client.cut = node.client.away = False
            node.client.stands_still_until = 0.0
            node.read_now()
            node.skew_s = max(-0.2, min(0.2, node.skew_s))
        away = [agent for agent in AGENTS if not any(n.agent == agent for n in self.living())]
        for agent in AGENTS:
            if agent in away[:1] and self.rng.random() < 0.5:
                self._gone.add(agent)
            self._reborn(agent)

    # what must hold

    def living(self) -> list[Node]:
        """The instances that are there, without those that are about to leave."""
        return [n for n in self.nodes if not (n.dead or n.leaves)]

    def _appended(self) -> None:
        """Look at what has come, at once, and let everyone know that there is something."""
        for seq in range(self._seen + 1, self.server.seq + 1):
            if self.broken is None and seq in self.server.messages:
                try:
                    self.oracle.take(self.server.messages[seq].entry)
                except Broken as e:
                    self.broken = f"at {self.loop.time():.3f} s, entry {seq}: {e}"
        self._seen = self.server.seq
        for node in self.nodes:
            node.expect_entries()

    def _open_ends(self) -> list[str]:
        """What has not ended yet."""
        waiting = [f"{self._unsaid} are not said"] if self._unsaid else []
        waiting += [f"{t.get_name()} is not stored" for t in self._tasks if not t.done()]
        waiting += [
            f"{agent} is not there" for agent in AGENTS if agent not in self._gone and not any(n.agent == agent for n in self.living())
        ]
        if not self._everyone_has_read():
            return [*waiting, "somebody has not read the log to its end"]
        for node in self.living():
            keys = [duty.key for p in node.actor.protocols for duty in p.duties(node.bus.now())]
            waiting += [f"{node.instance} has to {key}" for key in keys if not key.startswith("affect drift")]
        return waiting + self.oracle.open_ends({(n.agent, n.instance) for n in self.living()})

    def _everyone_has_read(self) -> bool:
        return all(n.position >= self.server.seq for n in self.living())

    def _compare(self) -> None:
        """All replicas know the same, and what was acknowledged stands in the log."""
        lost = [f"{name} at {seq}" for seq, name in self.stored.items() if seq not in self.server.messages]
        demand(not lost, f"acknowledged and not in the log: {lost}")
        demand(self._everyone_has_read(), "a replica has not read the log to its end")
        first, *others = self.living()
        state, mood = first.state(), first.emotion.alignment()
        for node in others:
            theirs = node.state()
            differ = [name for name in state.keys() | theirs.keys() if state.get(name) != theirs.get(name)]
            demand(not differ, f"{first.instance} and {node.instance} know different things of {sorted(differ)}")
            demand(node.emotion.alignment() == mood, f"{first.instance} and {node.instance} align to different affects")
        given = first.would_assign()
        for node in self.living():
            demand(node.would_assign() == given, f"{first.instance} and {node.instance} would give the next task to different agents")
            self._recount(node)
            if node.emotion in node.actor.protocols:
                for agent, entry in self.oracle.affects.items():
                    demand(node.emotion.affect(agent) == entry.body, f"{node.instance} does not know what {agent} feels")

    def _recount(self, node: Node) -> None:
        """What it takes each agent's success to be is what stands in the log; within a run, nothing fades."""
        known = {agent: [round(book.all.successes), round(book.all.failures)] for agent, book in node.tasks.book.success.items()}
        counted = self.oracle.outcomes if self.kind in {"tasks", "all"} else {}
        demand(known == counted, f"{node.instance} counts the outcomes {known}, the log says {counted}")

    def _trace(self) -> list[str]:
        """The log without the ids that differ from run to run."""
        return [f"{m.seq} {m.time.timestamp():.6f} {m.subject} {zlib.crc32(m.data):08x}" for m in self.server.messages.values()]


def simulate(seed: int, **options: Any) -> Outcome:
    """Play one seed."""
    return World(seed, **options).run()
