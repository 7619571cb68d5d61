"""Notifications: every webhook of a running task is served from the log, by a durable consumer of its own.

The server keeps how far each webhook has been told, so that a gateway that dies is no gap, and another goes on. Gateways share the
consumers; one delivery is with one of them. Webhooks of one task do not wait for each other, and requests wait for none.
"""

import asyncio
import logging
from collections.abc import Iterable

import msgspec
from a2a.types import a2a_pb2 as pb

from bus.cancelling import end
from bus.connection import Bus
from bus.delivery import Ack, Outcome, Retry, settle
from bus.errors import CerebroError
from bus.log import Delivery, Durable, entries
from bus.subjects import MESH, TASK_SUBMITTED, aggregate
from gateway.a2a import webhooks, words
from gateway.a2a.post import Post, UndeliveredError
from gateway.a2a.story import Story
from gateway.call import JSON, Gate
from schemas.entry import Entry
from schemas.webhooks import Webhook

log = logging.getLogger("cerebro.gateway")

LOOK_S = 15.0
"""How often the bucket is looked through for webhooks that another gateway took in, or left behind."""
AGAIN_S = 2.0
"""Pause after something that is needed was away."""
PAUSES_S = (1.0, 5.0, 15.0, 60.0)
"""Pauses between tries of one notification; the last one repeats."""
UPDATES_MAX = 3
"""Most notifications of one entry of the log."""
TOKEN_HEADER = "X-A2A-Notification-Token"  # noqa: S105 - the name of a header


class Push:
    """Serves webhooks until cancelled."""

    def __init__(self, gate: Gate, bus: Bus) -> None:
        self._gate = gate
        self._bus = bus
        self._post = Post(gate.a2a, gate.settings)
        self._over: set[str] = set()
        self._serving: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Serve what there is, and what comes; a bucket that cannot be reached is tried again."""
        try:
            while True:
                self._gate.webhooks_changed.clear()
                try:
                    await self._look()
                except CerebroError as e:
                    log.info("webhooks: %s; it is tried again", e)
                try:
                    async with asyncio.timeout(LOOK_S):
                        await self._gate.webhooks_changed.wait()
                except TimeoutError:
                    continue
        finally:
            await end(*self._serving.values())
            await self._post.close()

    async def _look(self) -> None:
        there = set(await webhooks.keys(self._bus))
        self._over &= there
        await self._stop(set(self._serving) - there)
        for key in there - self._over - set(self._serving):
            hook = await webhooks.load(self._bus, key)
            if hook is None:
                continue
            if hook.over:
                self._over.add(key)
            elif len(self._serving) < self._gate.a2a.push_open_max:
                self._serving[key] = asyncio.create_task(self._serve(key, hook.task_id), name=f"webhook {key}")
        self._gate.webhooks_open = len(self._serving)

    async def _stop(self, gone: Iterable[str]) -> None:
        for key in gone:
            await end(self._serving[key])
            await self._forget_place(key)
            del self._serving[key]

    async def _serve(self, key: str, task_id: str) -> None:
        """Tell this webhook of its task until that has ended; whatever goes wrong is tried again."""
        while True:
            try:
                await self._follow(key, task_id)
                break
            except CerebroError as e:
                log.info("webhook %s: %s; it is tried again", key, e)
            except Exception:
                log.exception("serving webhook %s failed; it is tried again", key)
            await asyncio.sleep(AGAIN_S)
        self._over.add(key)
        self._serving.pop(key, None)
        self._gate.webhooks_open = len(self._serving)

    async def _follow(self, key: str, task_id: str) -> None:
        consumer = Durable(
            self._bus,
            name=_name(key),
            filters=[aggregate(TASK_SUBMITTED, task=task_id)],
            batch_max=1,
            in_flight_max=1,
            ack_wait_s=(UPDATES_MAX + 1) * self._gate.a2a.push_s_max,
        )
        async for batch in consumer:
            for delivery in batch:
                if await self._one(key, delivery):
                    return

    async def _one(self, key: str, delivery: Delivery) -> bool:
        """Work off one entry; whether it was the last."""
        hook = await webhooks.load(self._bus, key)
        if hook is None:
            return False  # deleted a moment ago: the next look ends this
        outcome: Outcome = Ack()
        ended = False
        if isinstance(delivery.entry, Entry):
            story, updates = await self._told(delivery.entry)
            if delivery.entry.seq > hook.after_seq:
                outcome = await self._notify(hook, updates, delivery.delivered)
            ended = story.ended and isinstance(outcome, Ack)
        await settle(self._bus, delivery, outcome)
        if ended:
            await webhooks.store(self._bus, msgspec.structs.replace(hook, over=True))
            await self._forget_place(key)
        return ended

    async def _told(self, entry: Entry) -> tuple[Story, list[pb.StreamResponse]]:
        """The task up to this entry, and what this one says of it: read anew, as another gateway may have had the one before."""
        story = Story()
        for earlier in await entries(self._bus, [aggregate(TASK_SUBMITTED, task=entry.tokens["task"])]):
            if isinstance(earlier, Entry) and earlier.seq < entry.seq:
                story.apply(earlier)
        return story, story.apply(entry)

    async def _notify(self, hook: Webhook, updates: list[pb.StreamResponse], tries: int) -> Outcome:
        headers = {"content-type": JSON}
        if hook.token:
            headers[TOKEN_HEADER] = hook.token
        if hook.scheme and hook.credentials:
            headers["authorization"] = f"{hook.scheme} {hook.credentials}"
        try:
            for update in updates:
                await self._post.send(hook.url, headers, msgspec.json.encode(words.as_json(update)))
        except UndeliveredError as e:
            if tries < self._gate.a2a.push_tries_max:
                return Retry(PAUSES_S[min(tries, len(PAUSES_S)) - 1])
            log.warning("webhook %s of task %s was not told after %d tries: %s", hook.id, hook.task_id, tries, e)
        return Ack()

    async def _forget_place(self, key: str) -> None:
        await self._bus.api(f"CONSUMER.DELETE.{self._bus.stream(MESH)}.{_name(key)}", {})


def _name(key: str) -> str:
    """The consumer of a webhook: its key, which may not hold a dot here."""
    return f"a2a-push-{key.replace('.', '-')}"
