"""What parts of the mesh said, said again by themselves: doubled, under another id, changed, under another fence, late, or too early.

    async with Disorder(up, rng) as disorder:
        ...

It hears what the log takes in and says it again with the keys of who said it. A vote is changed to another choice, a result to another
output. What is written once by compare-and-set is said again with an expectation that no longer holds.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, Self

import msgspec
import nats
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from bus import subjects
from bus.entries import MSG_ID
from bus.ids import uuid7
from bus.subjects import By, Subject
from tests.faults.load import AGENTS
from tests.integration.launched import Up
from tests.integration.rest import GOOD

LATE_S: Final = 8.0
"""How late what is late comes at the most: after decisions, ends and deadlines, and after ids are forgotten (`WINDOW_S`)."""
WINDOW_S: Final = 3.0
"""How long the mesh of this test remembers ids."""
WAIT_S: Final = 10.0
OUTSIDER: Final = "outsider"
"""An agent of others that is in no electorate but that of the early proposals, which it alone decides."""
ONCE: Final = (subjects.OPENED, subjects.DECISION, subjects.TASK_ASSIGNED, subjects.TASK_SPLIT, subjects.TASK_FINISHED)
"""What is written by compare-and-set."""
LEFT: Final = (subjects.MEMBER, subjects.DEADLINE, subjects.LESSONS_REFUSED)
"""What is left alone: who is there is told by who is there, and the server's deadline ends what is open whoever repeats it."""
EARLY_ID: Final = "early-"
EARLY: Final = 6
"""How many proposals have votes, and tasks results, before they are there; and how many episodes are said again."""


class Disorder:
    """`said`: how often a row was said again how, and with which outcome. `taken`: what should have been refused and was not."""

    def __init__(self, up: Up, rng: random.Random, hand: str) -> None:
        self.said: Counter[tuple[str, str, str]] = Counter()
        self.taken: list[str] = []
        self.early: list[str] = []
        self.contradicted: list[str] = []
        self._up = up
        self._rng = rng
        self._hand = hand
        self._connections: dict[str, Client] = {}
        self._own: set[str] = set()
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        for name in (*AGENTS, "gateway", "operator"):
            self._connections[name] = await nats.connect(**self._up.credentials(name))
        for name in (OUTSIDER, self._hand):
            self._connections[name] = await nats.connect(**self._up.admitted(name))
        await self._group.__aenter__()
        await self._connections["operator"].subscribe(f"{subjects.LOG_COPY}.{subjects.PROTOCOLS}", cb=self._heard)
        return self

    async def __aexit__(self, *error: object) -> None:
        """What is still to be said is said."""
        await self._connections["operator"].flush()
        await self._group.__aexit__(*error)  # type: ignore[arg-type]
        for connection in self._connections.values():
            await connection.close()

    async def _heard(self, msg: Msg) -> None:
        headers = dict(msg.headers or {})
        found = subjects.find(msg.subject.removeprefix(f"{subjects.LOG_COPY}."))
        ident = headers.get(MSG_ID, "")
        if found is None or found[0] in LEFT or not ident or ident in self._own or not self._speaker(*found):
            return
        self._group.create_task(self._at_once(*found, msg.data), name="say at once")
        self._own.add(ident)  # said again under the same id it is heard again
        for how in self._rng.sample(sorted(WAYS), 2):
            body = WAYS[how](found[0], msg.data)
            if body is not None:
                say = self._say(*found, body, how, uuid7() if how in NEW_ID else ident, int(headers.get("Nats-Sequence", 0)))
                self._group.create_task(say, name=f"say {how}")

    async def _at_once(self, row: Subject, tokens: dict[str, str], data: bytes) -> None:
        """Before anybody else: two votes of one agent that would not decide alike, and a result under a fence that is not yet."""
        if row is subjects.OPENED and tokens["proposal"].startswith(EARLY_ID):
            for choice in ("abstain", "approve"):
                await self._new(subjects.VOTE, {"choice": choice}, proposal=tokens["proposal"], agent=OUTSIDER)
        if row is subjects.TASK_ASSIGNED and tokens["agent"] == self._hand:
            fence = msgspec.json.decode(data)["fence"]
            await self._new(subjects.TASK_RESULT, {"fence": fence + 7, "output": {"effect": 0}}, task=tokens["task"], agent=self._hand)

    async def _new(self, row: Subject, body: dict[str, Any], **tokens: str) -> None:
        """Say something new, as the agent that says it."""
        subject, data = row.subject(**tokens), msgspec.json.encode(body)
        self.said[row.name, "new", await self.publish(tokens.get("agent", "ricardo"), subject, data, {MSG_ID: self._new_id()})] += 1

    def _speaker(self, row: Subject, tokens: dict[str, str]) -> str | None:
        """Whose key it is said with; None where nobody here has it."""
        agent = tokens.get("agent", "")
        if row.by is By.SELF:
            return agent if agent in self._connections else "gateway" if row.gateway else None
        return self._rng.choice(AGENTS) if row.by is By.MESH else "gateway" if row.gateway else None

    async def _say(self, row: Subject, tokens: dict[str, str], body: bytes, how: str, ident: str, seq: int) -> None:
        self._own.add(ident)
        await asyncio.sleep(self._rng.uniform(WINDOW_S, LATE_S) if how.startswith("late") else self._rng.uniform(0, 1))
        headers = {MSG_ID: ident}
        if row in ONCE:
            aggregate = subjects.beside if row in (subjects.OPENED, subjects.DECISION) else subjects.aggregate
            headers |= {
                "Nats-Expected-Last-Subject-Sequence": str(max(0, seq - 1)),
                "Nats-Expected-Last-Subject-Sequence-Subject": aggregate(row, **tokens),
            }
        outcome = await self.publish(self._speaker(row, tokens) or "operator", row.subject(**tokens), body, headers)
        self.said[row.name, how, outcome] += 1
        if row in ONCE and outcome == "stored":
            self.taken.append(f"{row.subject(**tokens)} {how}")

    async def publish(self, name: str, subject: str, body: bytes, headers: dict[str, str]) -> str:
        """What the log makes of it: stored, duplicate, or refused."""
        try:
            reply = await self._connections[name].request(subject, body, timeout=WAIT_S, headers=headers)
        except nats.errors.Error as e:
            return type(e).__name__
        answer = msgspec.json.decode(reply.data)
        return "refused" if "error" in answer else "duplicate" if answer.get("duplicate") else "stored"

    async def say_early(self) -> None:
        """Votes before their proposal, results before their task: they count for nothing, and those that are asked for do."""
        for n in range(EARLY):
            ident = f"{EARLY_ID}{self._rng.getrandbits(48):012x}"
            for agent in self._rng.sample([*AGENTS, OUTSIDER], 3):
                await self._new(subjects.VOTE, {"choice": self._rng.choice(["approve", "reject"])}, proposal=ident, agent=agent)
            proposal = {"title": f"Early {n}", "attributes": GOOD, "electorate": [*AGENTS, OUTSIDER], "timeout_s": 5.0}
            await self._new(subjects.PROPOSAL, proposal, proposal=ident, agent="nexus")
            result = {"fence": 1, "output": {"early": n}}
            await self._new(subjects.TASK_RESULT, result, task=ident, agent="ricardo")
            task = {"title": "Early", "required_skills": ["infrastructure_management"], "timeout_s": 30.0}
            await self._new(subjects.TASK_SUBMITTED, task, task=ident)
            await self._new(subjects.TASK_RESULT, result, task=ident, agent="ricardo")
            self.early.append(ident)

    async def say_episodes(self) -> None:
        """Episodes under one id: again at once, again after ids are forgotten, and then with other content."""
        ids = [self._new_id() for _ in range(EARLY)]
        bodies = {i: msgspec.json.encode({"action_type": "order", "action_details": {"text": f"first under {i}"}}) for i in ids}
        other = msgspec.json.encode({"action_type": "order", "action_details": {"text": "something else"}})
        outcomes = Counter[str]()
        for pause_s in (0.0, 0.0, WINDOW_S + 2):
            await asyncio.sleep(pause_s)
            for ident, body in self._rng.sample(sorted(bodies.items()), EARLY):
                outcomes[await self.publish("aria", subjects.EPISODE.subject(agent="aria"), body, {MSG_ID: ident})] += 1
        assert outcomes == {"stored": 2 * EARLY, "duplicate": EARLY}, outcomes
        await asyncio.sleep(WINDOW_S + 2)
        for ident in ids:
            assert await self.publish("aria", subjects.EPISODE.subject(agent="aria"), other, {MSG_ID: ident}) == "stored"
        self.contradicted = ids

    def _new_id(self) -> str:
        """Of what is not to be heard and said again."""
        self._own.add(ident := uuid7())
        return ident


def same(_row: Subject, data: bytes) -> bytes | None:
    return data


def changed(row: Subject, data: bytes) -> bytes | None:
    """The opposite vote, another result; None where there is nothing to be changed."""
    body: dict[str, Any] = msgspec.json.decode(data)
    if row is subjects.VOTE:
        return msgspec.json.encode(body | {"choice": "reject" if body["choice"] != "reject" else "approve"})
    return msgspec.json.encode(body | {"output": {"forged": True}}) if row is subjects.TASK_RESULT else None


def fenced(row: Subject, data: bytes) -> bytes | None:
    """Under a fence that is over, or is not yet."""
    body: dict[str, Any] = msgspec.json.decode(data)
    if row not in (subjects.TASK_RESULT, subjects.TASK_FAILED, subjects.TASK_PROGRESS):
        return None
    return msgspec.json.encode(body | {"fence": body["fence"] + 7 if body["fence"] == 1 else 1})


WAYS: Final[dict[str, Callable[[Subject, bytes], bytes | None]]] = {
    "doubled": same,
    "again under another id": same,
    "late under its id": same,
    "late under another id": same,
    "changed": changed,
    "late and changed": changed,
    "under another fence": fenced,
}
NEW_ID: Final = {"again under another id", "late under another id", "changed", "late and changed", "under another fence"}
