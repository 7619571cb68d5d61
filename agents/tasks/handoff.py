"""Handoff: what a worker leaves on the log for whoever goes on with its task, and what it finds there when it goes on itself.

A checkpoint is an episode of the agent that names the task and carries a packet. It is on disk when it is left; who takes the
task up later waits until memory has come to the present of the log, so that the last packet is the one it finds.
"""

import asyncio
import logging
from typing import Any, Final

from agents.skills.skill import SkillError
from agents.tasks.actor import Tasks
from bus import subjects
from bus.errors import CerebroError, TooLarge
from bus.ids import uuid7
from schemas.memory import Action
from schemas.tasks import Assignment, Progress

log = logging.getLogger("cerebro.agents")

CHECKPOINT: Final = "checkpoint"
"""The action type of a checkpoint."""
IMPORTANCE: Final = 0.3
"""How important a checkpoint is to remember: little once its task has ended."""
LEAVE_PAUSE_S: Final = 0.5
"""Pause before a checkpoint that could not be published is published again."""


class Handoffs:
    """The checkpoints of one agent's tasks."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._bus = tasks.bus
        self._agent = tasks.agent

    async def last(self, assignment: Assignment) -> dict[str, Any] | None:
        """The last packet that anyone left about this task; None where there is none, or memory does not answer.

        An entry of our own marks the present: once memory has it, it has every checkpoint that was left before.
        """
        ident = assignment.task.task_id
        try:
            mark = await self._bus.publish(subjects.TASK_PROGRESS, Progress(fence=assignment.fence), task=ident, agent=self._agent)
        except CerebroError as e:
            log.info("task %s begins anew: %s", ident, e)
            return None
        known = await self._tasks.recall.continuity(self._agent, mark.event_id)
        return next((t.handoff_packet for t in known.open_tasks if t.task_id == ident), None) if known else None

    async def leave(self, assignment: Assignment, packet: dict[str, Any]) -> None:
        """Put a packet on the log; returned means on disk. Tried as long as the task is ours.

        Raises `SkillError`: `too_large` for a packet that no message holds, `lost` where the task is somebody else's by now.
        """
        ident = assignment.task.task_id
        details = {"task": ident, "fence": assignment.fence, "skill": assignment.skill}
        action = Action(action_type=CHECKPOINT, action_details=details, handoff_packet=packet, importance_score=IMPORTANCE)
        msg_id = uuid7()
        while self._tasks.holds(ident, assignment.fence):
            try:
                await self._bus.publish(subjects.EPISODE, action, msg_id=msg_id, agent=self._agent)
                return
            except TooLarge as e:
                raise SkillError("too_large", "the handoff packet is larger than one message may be") from e
            except CerebroError as e:
                log.info("a checkpoint of %s is not on the log yet: %s", ident, e)
                await asyncio.sleep(LEAVE_PAUSE_S)
        raise SkillError("lost", f"task {ident} is not held under fence {assignment.fence} any more")
