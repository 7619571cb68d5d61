"""The consumers of agents that others wrote: the mesh makes them, so that such an agent needs no rights over the stream.

Each agent that is there and takes tasks finds a durable consumer `work-<agent>` on the log, over its own assignments. One that was lost
is made again within `LOOK_S`.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from agents.members.actor import Members
from agents.protocol import Duty, Question
from bus import subjects
from bus.connection import Bus
from bus.work import work_of
from schemas.entry import Entry

LOOK_S = 5.0
"""How often it is seen to that the consumer of an agent is there."""


class Consumers:
    """One replica's share in it; to make what is there already changes nothing."""

    def __init__(self, bus: Bus, members: Members, lease_s: float) -> None:
        self._bus = bus
        self._members = members
        self._lease_s = lease_s
        self._made: dict[str, float] = {}

    def apply(self, entry: Entry) -> None:
        """What the log says of an agent changes nothing about its consumer."""

    def duties(self, now: datetime) -> Sequence[Duty]:
        moment = now.timestamp()
        self._made = {agent: made for agent, made in self._made.items() if 0 <= moment - made < LOOK_S}
        waiting = [agent for agent in self._members.external("tasks") if agent not in self._made]
        return [Duty(f"consumer of {agent}", partial(self._make, agent), shared=True) for agent in waiting]

    async def _make(self, agent: str) -> None:
        await work_of(self._bus, subjects.TASK_ASSIGNED, agent, self._lease_s).declare()
        self._made[agent] = self._bus.clock()

    def questions(self) -> Sequence[Question]:
        return []
