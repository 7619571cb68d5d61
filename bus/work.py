"""Work: what was assigned to one agent, shared by its instances, each piece handed to a handler until it has an outcome.

The place in the log is a durable consumer's, so that what an instance held when it died is handed to another one, or to
the same one restarted. An instance takes no more than it has room for, and says that it still works on what it has. What it is handed
again all the same, because that was not heard, or what it said in the end, it does not do a second time.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

import nats.errors

from bus.cancelling import end
from bus.connection import Bus
from bus.delivery import Ack, Outcome, Retry, Terminal, settle
from bus.errors import CerebroError
from bus.log import Delivery, Durable
from bus.subjects import Subject
from schemas.entry import Malformed

log = logging.getLogger("cerebro.bus")

IN_FLIGHT_MAX = 1_000
"""Most pieces of work that all instances of one agent hold at a time."""
SIGNS_PER_WAIT = 3
"""How often within `ack_wait_s` the server is told that a piece is still worked on."""
ROOM_LOOK_S = 1.0
"""How often a full instance looks whether its limit was raised."""
RETRY_S = 5.0
"""Pause before a piece whose handler failed is handed out again."""
FAILURES_MAX = 5
"""Deliveries after which a piece whose handler fails is a dead letter."""
ACK_WAIT_LEASES = 0.5
"""Share of a lease after which the server hands a silent instance's work to another one."""
ACK_WAIT_S_MIN = 1.0
"""Least time after which it does."""

DONE_LEN_MAX = 1_000
"""Of how many pieces an instance remembers that it is done with them."""
UNUSED_S = 7 * 86_400.0
"""How long the server keeps the consumer of an agent whose instances are all away; a new one delivers everything again."""

Handler = Callable[[Delivery], Awaitable[Outcome]]


def work_of(bus: Bus, row: Subject, agent: str, lease_s: float) -> Durable:
    """The consumer from which all instances of `agent` take their work, given how long a lease holds."""
    return Durable(
        bus,
        name=bus.settings.work_consumer(agent),
        filters=[row.subject(agent=agent)],
        batch_max=1,
        in_flight_max=IN_FLIGHT_MAX,
        ack_wait_s=ack_wait_s(lease_s),
        unused_s=UNUSED_S,
    )


def ack_wait_s(lease_s: float) -> float:
    """Silence after which the server hands a piece of work to somebody else."""
    return max(ACK_WAIT_S_MIN, lease_s * ACK_WAIT_LEASES)


class Work:
    """`run` until cancelled. `limit` is asked before each piece: most that this instance works on at a time."""

    def __init__(self, bus: Bus, row: Subject, agent: str, limit: Callable[[], int], handler: Handler, lease_s: float) -> None:
        self._bus = bus
        self._agent = agent
        self._limit = limit
        self._handler = handler
        self._sign_s = ack_wait_s(lease_s) / SIGNS_PER_WAIT
        self._freed = asyncio.Event()
        self._consumer = work_of(bus, row, agent, lease_s)
        self._under_way: set[str] = set()
        self._done: deque[str] = deque(maxlen=DONE_LEN_MAX)

    @property
    def running(self) -> int:
        """How many pieces this instance works on."""
        return len(self._under_way)

    async def run(self) -> None:
        """Work for ever. What is under way when this is cancelled goes back to the server at once."""
        async with asyncio.TaskGroup() as group:
            async for batch in self._consumer:
                for delivery in batch:
                    self.take(delivery, group)
                await self._room()

    def take(self, delivery: Delivery, group: asyncio.TaskGroup) -> None:
        """Begin with what was handed out, in a task of `group`, unless it is under way."""
        entry = delivery.entry
        if entry.event_id in self._under_way:
            log.info("%s was handed out again, and is still worked on", entry.subject)
            return
        self._under_way.add(entry.event_id)
        group.create_task(self._one(delivery), name=f"work on {entry.subject}")

    async def remove(self) -> None:
        """Let the server forget this agent's place in the log, once it has ended for good. Raises `Unavailable`."""
        await self._consumer.remove()

    async def _room(self) -> None:
        while self.running >= self._limit():
            self._freed.clear()
            try:
                async with asyncio.timeout(ROOM_LOOK_S):
                    await self._freed.wait()
            except TimeoutError:
                continue

    async def _one(self, delivery: Delivery) -> None:
        outcome: Outcome = Retry(0)
        signs = asyncio.create_task(self._show_signs(delivery), name="work goes on")
        try:
            outcome = await self._outcome(delivery)
        finally:
            self._under_way.discard(delivery.entry.event_id)
            if isinstance(outcome, Ack):
                self._done.append(delivery.entry.event_id)
            self._freed.set()
            await self._settle(delivery, outcome)
            await end(signs)

    async def _outcome(self, delivery: Delivery) -> Outcome:
        if isinstance(delivery.entry, Malformed):
            return Ack()  # memory makes it a dead letter, as every malformed entry, once
        if delivery.entry.event_id in self._done:
            return Ack()
        try:
            return await self._handler(delivery)
        except CerebroError as e:
            log.info("%s: %s; it is tried again", delivery.entry.subject, e)
            return Retry(RETRY_S)
        except Exception as e:
            log.exception("working on %s failed", delivery.entry.subject)
            return Retry(RETRY_S) if delivery.delivered < FAILURES_MAX else Terminal(f"{type(e).__name__}: {e}")

    async def _settle(self, delivery: Delivery, outcome: Outcome) -> None:
        try:
            await settle(self._bus, delivery, outcome)
        except CerebroError as e:
            log.info("the server will hand out %s again: %s", delivery.entry.subject, e)

    async def _show_signs(self, delivery: Delivery) -> None:
        while True:
            await asyncio.sleep(self._sign_s)
            try:
                await delivery.msg.in_progress()
            except (nats.errors.Error, OSError) as e:
                log.info("no sign of life for %s: %s", delivery.entry.subject, e)
