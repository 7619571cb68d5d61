"""An agent that somebody else wrote: it knows NATS and JSON, and nothing of ours. It does tasks of ten steps, leaves a packet
after each step, and asks memory where it was before it begins.

    python stepper.py <nats url> <seed file> <journal> [<step before which it hangs>]

The journal gets a line for each step as it is done.
"""

import asyncio
import json
import os
import sys
import uuid
from pathlib import Path
from typing import Any

import nats
import nats.errors

NAME = "stepper"
STEPS = 10


class Stepper:
    def __init__(self, nc: Any, journal: Path, hangs_before: int | None) -> None:
        self._nc = nc
        self._js = nc.jetstream()
        self._journal = journal
        self._hangs_before = hangs_before

    async def beat(self) -> None:
        profile = json.dumps({"role": "walker", "skills": ["steps"], "takes": ["tasks"]}).encode()
        while True:
            await self._nc.publish(f"$KV.presence.{NAME}.1", profile)
            await asyncio.sleep(0.5)

    async def ask(self, subject: str, body: dict[str, Any]) -> Any:
        return json.loads((await self._nc.request(subject, json.dumps(body).encode(), timeout=30)).data)

    async def say(self, subject: str, body: dict[str, Any]) -> str:
        """Put it on the log; returned means on disk."""
        ident = str(uuid.uuid4())
        await self._js.publish(subject, json.dumps(body).encode(), headers={"Nats-Msg-Id": ident})
        return ident

    async def open_tasks(self) -> list[Any]:
        """What memory tells once it has come to the present of the log: to a word of our own."""
        here = await self.say(f"memory.episode.{NAME}", {"action_type": "awake"})
        await self.ask("memory.await", {"id": here, "timeout_s": 20})
        tasks: list[Any] = (await self.ask("memory.continuity", {"agent_id": NAME}))["open_tasks"]
        return tasks

    async def work_on_all(self) -> None:
        """Go on with every open task after its last checkpoint."""
        for task in await self.open_tasks():
            done = (task["handoff_packet"] or {"done": 0})["done"]
            for step in range(done + 1, STEPS + 1):
                await self.step(task, step)
            output = {"fence": task["fence"], "output": {"went_on_after": done}}
            await self.say(f"mesh.task.{task['task_id']}.result.{NAME}", output)

    async def step(self, task: Any, step: int) -> None:
        if step == self._hangs_before:
            await asyncio.Event().wait()
        with self._journal.open("a") as journal:
            journal.write(f"{step}\n")
            journal.flush()
            os.fsync(journal.fileno())
        packet = {"action_type": "checkpoint", "action_details": {"task": task["task_id"]}, "handoff_packet": {"done": step}}
        await self.say(f"memory.episode.{NAME}", packet)
        await self.say(f"mesh.task.{task['task_id']}.progress.{NAME}", {"fence": task["fence"], "fraction": step / STEPS})

    async def run(self) -> None:
        assignments = await self._js.pull_subscribe(f"mesh.task.*.assigned.{NAME}", durable=f"work-{NAME}", stream="MESH")
        await self.work_on_all()
        while True:
            try:
                for msg in await assignments.fetch(1, timeout=1):
                    await msg.ack()
                    await self.work_on_all()
            except (TimeoutError, nats.errors.TimeoutError):
                continue


async def main() -> None:
    url, key, journal, *hangs = sys.argv[1:]
    nc = await nats.connect(url, nkeys_seed=key, inbox_prefix=f"_INBOX.{NAME}")
    stepper = Stepper(nc, Path(journal), int(hangs[0]) if hangs else None)
    async with asyncio.TaskGroup() as group:
        group.create_task(stepper.beat())
        group.create_task(stepper.run())


if __name__ == "__main__":
    asyncio.run(main())
