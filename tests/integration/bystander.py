"""A plain client that says what the server forbade it: publishes and subscribes a lot at once, then looks."""

import json
import re
from collections.abc import Iterable
from typing import Any

import nats
from nats.aio.client import Client

VIOLATION = re.compile(r'permissions violation for (\w+) to "(.*?)"')


class Bystander:
    """One connection. `nats-py` hands on violations in lower case, so subjects are compared so."""

    def __init__(self) -> None:
        self.nc = Client()
        self._refused: set[str] = set()

    async def connect(self, **credentials: object) -> "Bystander":
        await self.nc.connect(error_cb=self._heard, **credentials)  # type: ignore[arg-type]
        return self

    async def _heard(self, error: Exception) -> None:
        if found := VIOLATION.search(str(error).lower()):
            self._refused.add(found[2])

    async def may_publish(self, subjects: Iterable[str], data: bytes = b"-", headers: dict[str, str] | None = None) -> set[str]:
        """Publish on each; those that the server let through."""
        asked = list(subjects)
        self._refused.clear()
        for subject in asked:
            await self.nc.publish(subject, data, headers=headers)
        await self.answered()
        return {subject for subject in asked if subject.lower() not in self._refused}

    async def may_hear(self, filters: Iterable[str]) -> set[str]:
        """Subscribe to each for a moment; those that the server let through."""
        asked = list(filters)
        self._refused.clear()
        held = [await self.nc.subscribe(one) for one in asked]
        await self.answered()
        for sub in held:
            await sub.unsubscribe()
        return {one for one in asked if one.lower() not in self._refused}

    async def own_consumer(self, name: str) -> tuple[str, dict[str, Any]]:
        """Make the consumer of the work of `name`, which it is; the subject and the body that did."""
        config = {"name": f"work-{name}", "durable_name": f"work-{name}", "filter_subject": f"mesh.task.*.assigned.{name}"}
        request = {"stream_name": "MESH", "config": config | {"ack_policy": "explicit"}}
        subject = f"$JS.API.CONSUMER.CREATE.MESH.work-{name}.mesh.task.*.assigned.{name}"
        answer = json.loads((await self.nc.request(subject, json.dumps(request).encode())).data)
        assert "error" not in answer, answer
        return subject, request

    async def answered(self) -> None:
        """Wait until the server has judged all of it. Twice, because nats-py's ping overtakes what it has not written yet."""
        await self.nc.flush()
        await self.nc.flush()

    async def close(self) -> None:
        await self.nc.close()


async def connected(**credentials: object) -> Bystander:
    return await Bystander().connect(**credentials)


async def is_refused(**options: object) -> bool:
    """Whether the server admits no connection made so."""
    said: list[str] = []

    async def heard(error: Exception) -> None:
        said.append(str(error).lower())

    try:
        nc = await nats.connect(max_reconnect_attempts=1, reconnect_time_wait=0, error_cb=heard, **options)  # type: ignore[arg-type]
    except nats.errors.NoServersError:
        return any("authorization violation" in text for text in said)
    await nc.close()
    return False
