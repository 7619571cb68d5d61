"""An agent by nats-py alone, with nothing of Cerebro: every message it reads and writes stands here.

python agent.py NAME    joins the mesh at CEREBRO_NATS_URL (nats://127.0.0.1:4222) as NAME until Ctrl-C

It counts words, counts down, votes, learns and feels. One thing after the other where it can be: a real agent would bound and share out
its work, as the SDK does.
"""

import asyncio
import json
import os
import signal
import sys
import uuid
from typing import Any

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

NAME = sys.argv[1] if len(sys.argv) > 1 else "wordsmith"
PROFILE = {
    "role": "wordsmith",
    "skills": [
        {
            "name": "count_words",
            "description": "Counts the words of a text and finds the longest.",
            "input_schema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
            "output_schema": {
                "type": "object",
                "properties": {"words": {"type": "integer"}, "longest": {"type": "string"}},
                "required": ["words", "longest"],
            },
        },
        {
            "name": "countdown",
            "description": "Counts seconds and reports how far it is.",
            "input_schema": {"type": "object", "properties": {"seconds": {"type": "number"}}, "required": ["seconds"]},
            "output_schema": {"type": "number"},
        },
    ],
    "confidence_domains": ["text"],
}
BEAT_S = 1.0
STEP_S = 0.5
RISK_MAX = 0.5
PLEASANT = {"task_succeeded", "proposal_accepted", "praise", "relief"}


class FailedError(Exception):
    """The work could not be done."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Wordsmith:
    """What the agent knows, and its connection."""

    def __init__(self, nc: Client) -> None:
        self.nc = nc
        self.js = nc.jetstream()
        self.instance = uuid.uuid4().hex
        self.valence = 0.0
        self.lessons: dict[str, dict[str, Any]] = {}
        self.look = asyncio.Event()

    async def put(self, subject: str, body: Any, msg_id: str) -> None:
        """On the log, once: the same id is published again until the server says that it is on disk."""
        while True:
            try:
                await self.js.publish(subject, json.dumps(body).encode(), timeout=2, headers={"Nats-Msg-Id": msg_id})
                return
            except (nats.errors.Error, nats.js.errors.Error, OSError, TimeoutError):
                await asyncio.sleep(0.5)

    async def ask(self, subject: str, body: Any) -> Any:
        """An answer of the mesh; None where it refused. While it is away, the question is asked again."""
        while True:
            try:
                reply = await self.nc.request(subject, json.dumps(body).encode(), timeout=5)
            except (nats.errors.Error, OSError, TimeoutError):
                await asyncio.sleep(0.5)
                continue
            refused = reply.headers and "Nats-Service-Error-Code" in reply.headers
            return None if refused else json.loads(reply.data)

    # presence

    async def beat(self) -> None:
        while True:
            if self.nc.is_connected:
                await self.nc.publish(f"$KV.presence.{NAME}.{self.instance}", json.dumps(PROFILE).encode())
            await asyncio.sleep(BEAT_S)

    async def goodbye(self) -> None:
        if self.nc.is_connected:
            await self.nc.publish(f"$KV.presence.{NAME}.{self.instance}", b"", headers={"KV-Operation": "DEL"})

    # lessons: what is missing is asked for; the log's copy of a lesson says when

    async def learn(self) -> None:
        while True:
            page = await self.ask("ask.lessons", {"missing_from": NAME, "limit": 200})
            new = [x for x in reversed(page["lessons"]) if x["lesson_id"] not in self.lessons]
            for lesson in new:
                self.lessons[lesson["lesson_id"]] = lesson
                body, ident = {"lesson_id": lesson["lesson_id"]}, f"{NAME}-{lesson['lesson_id']}"
                await self.put(f"mesh.learning.{NAME}.integrated", body, ident)
            if not new:
                self.look.clear()
                try:
                    await asyncio.wait_for(self.look.wait(), 2)
                    await asyncio.sleep(0.2)  # the mesh reads the same log, and may be a moment behind
                except TimeoutError:
                    continue

    async def heard_lesson(self, _: Msg) -> None:
        self.look.set()

    # votes

    async def heard_proposal(self, msg: Msg) -> None:
        await self.vote(msg.subject.split(".")[3], json.loads(msg.data))

    async def vote_on_open_ones(self) -> None:
        page = await self.ask("ask.proposals", {"status": "open", "limit": 200})
        for proposal in page["proposals"]:
            if not any(vote["agent"] == NAME for vote in proposal["votes"]):
                await self.vote(proposal["proposal_id"], proposal)

    async def vote(self, ident: str, proposal: dict[str, Any]) -> None:
        if NAME not in proposal["electorate"]:
            return
        risk = (proposal.get("attributes") or {}).get("risk")
        choice = "abstain"
        if risk is not None:
            reject = risk > RISK_MAX and "reject" in proposal["options"]
            choice = "reject" if reject else next(o for o in proposal["options"] if o != "reject")
        await self.put(f"mesh.consensus.{ident}.vote.{NAME}", {"choice": choice, "rationale": f"its risk is {risk}"}, f"{NAME}-{ident}")

    # affect

    async def feel(self, cause: str) -> None:
        state = {"valence": self.valence, "arousal": 0.0, "dominance": 0.0, "cause": cause}
        await self.put(f"mesh.emotion.{NAME}", state, uuid.uuid4().hex)

    async def heard_stimulus(self, msg: Msg) -> None:
        stimulus = json.loads(msg.data)
        if event := stimulus.get("event"):
            by = stimulus.get("intensity", 0.5) / 2
            self.valence = max(-1.0, min(1.0, self.valence + (by if event in PLEASANT else -by)))
        await self.feel(stimulus["cause"])

    # tasks: the mesh has made the consumer

    async def work(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    assigned = await self.js.pull_subscribe_bind(f"work-{NAME}", "MESH")
                    [msg] = await assigned.fetch(1, timeout=5)
                    await assigned.unsubscribe()
                except (nats.errors.Error, nats.js.errors.Error, OSError, TimeoutError):
                    await asyncio.sleep(0.5)
                    continue
                group.create_task(self.one(msg))

    async def one(self, msg: Msg) -> None:
        """One assignment: performed under its fence, unless the task has ended or is somebody else's."""
        assignment = json.loads(msg.data)
        task, fence = assignment["task"]["task_id"], assignment["fence"]
        over = asyncio.Event()

        async def heard(about: Msg) -> None:
            kind = about.subject.split(".")[4]
            if kind in {"finished", "cancel"} or (kind == "assigned" and json.loads(about.data)["fence"] > fence):
                over.set()

        listening = await self.nc.subscribe(f"log.mesh.task.{task}.>", cb=heard)
        await self.nc.flush()
        view = await self.ask("ask.task", {"id": task})
        if view is None or view["finished_at"] or view["fence"] > fence or (view["fence"] == fence and view["assigned_to"] != NAME):
            over.set()
        alive = asyncio.create_task(self.keep(msg, task, fence, assignment["lease_s"]))
        performing = asyncio.create_task(self.outcome(assignment))
        ending = asyncio.create_task(over.wait())
        await asyncio.wait({performing, ending}, return_when=asyncio.FIRST_COMPLETED)
        if performing.done() and not over.is_set():
            kind, body = performing.result()
            await self.put(f"mesh.task.{task}.{kind}.{NAME}", {"fence": fence, **body}, f"{NAME}-{task}-{fence}")
        await end(alive, performing, ending)
        await listening.unsubscribe()
        await msg.ack()

    async def keep(self, msg: Msg, task: str, fence: int, lease_s: float) -> None:
        """A sign of life extends the lease; the server is told that the assignment is still worked on."""
        while True:
            await asyncio.sleep(lease_s / 4)
            await self.put(f"mesh.task.{task}.progress.{NAME}", {"fence": fence, "instance": self.instance}, uuid.uuid4().hex)
            await msg.in_progress()

    async def outcome(self, assignment: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        task = assignment["task"]
        required = list(dict.fromkeys(task["required_skills"]))
        try:
            if len(required) > 1:  # each in turn
                output: Any = {skill: await perform(skill, input_of(task, skill)) for skill in required}
            else:
                output = await perform(assignment["skill"], task["input"])
        except FailedError as e:
            return "failed", {"error": {"code": e.code, "message": str(e), "retryable": False}}
        return "result", {"output": output}


def input_of(task: dict[str, Any], skill: str) -> dict[str, Any]:
    """The input of one of several skills: what stands under its name, and all that stands under no skill's name."""
    shared = {name: value for name, value in task["input"].items() if name not in task["required_skills"]}
    return {**shared, **task["input"].get(skill, {})}


async def perform(skill: str | None, given: dict[str, Any]) -> Any:
    if skill == "count_words":
        return count_words(given)
    if skill == "countdown":
        return await countdown(given)
    raise FailedError("no_such_skill", f"{NAME} has no skill for this task")


def count_words(given: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(given.get("text"), str):
        raise FailedError("bad_input", "a text is needed - at `$.text`")
    words = given["text"].split()
    if not words:
        raise FailedError("nothing_to_count", "the text has no words")
    return {"words": len(words), "longest": max(words, key=len)}


async def countdown(given: dict[str, Any]) -> float:
    seconds = given.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise FailedError("bad_input", "a number is needed - at `$.seconds`")
    await asyncio.sleep(seconds)
    return seconds


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel until each has ended: by Python 3.11's wait_for, by which nats-py waits, a cancellation is lost in the moment of an answer."""
    while pending := {task for task in tasks if not task.done()}:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=0.1)


async def main() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    async def again() -> None:
        """Connected again: what was said meanwhile was not heard."""
        me.look.set()
        await me.vote_on_open_ones()

    nc = Client()
    me = Wordsmith(nc)
    await nc.connect(
        os.environ.get("CEREBRO_NATS_URL", "nats://127.0.0.1:4222"),
        inbox_prefix=f"_INBOX.{NAME}",  # the only one where it may listen, on a mesh that asks for credentials
        nkeys_seed=os.environ.get("CEREBRO_NATS_NKEY") or None,
        max_reconnect_attempts=-1,
        reconnect_time_wait=1,
        reconnected_cb=again,
    )
    await nc.subscribe("log.mesh.learning.*", cb=me.heard_lesson)
    await nc.subscribe("log.mesh.consensus.*.opened", cb=me.heard_proposal)
    await nc.subscribe(f"log.mesh.emotion.{NAME}.stimulus", cb=me.heard_stimulus)
    await nc.flush()
    doing = [asyncio.create_task(x) for x in (me.beat(), me.learn(), me.work(), me.feel("awake"), me.vote_on_open_ones())]
    await stop.wait()
    await end(*doing)
    await me.goodbye()
    await nc.drain()


if __name__ == "__main__":
    asyncio.run(main())
