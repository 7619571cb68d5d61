"""Tasks as the log tells them: as they stand, when something has become of them, or as it happens."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress

from a2a.types import a2a_pb2 as pb

from bus.errors import Refused
from bus.log import FORGOTTEN_SOON_S, entries, follow
from bus.subjects import TASK_SUBMITTED, aggregate
from gateway.a2a.faults import task_not_found
from gateway.a2a.story import Story
from gateway.api.tasks import TaskPath
from gateway.call import Call
from gateway.decoding import convert
from gateway.following import batches
from schemas.entry import Entry

READ_MAX = 100
"""Most tasks that are read from the log at once."""


async def read(call: Call, task_id: str) -> Story:
    """The task as the log has it now. Raises `Fault` where there is none."""
    try:
        convert({"task_id": task_id}, TaskPath)
    except Refused as e:  # what cannot be an id names nothing that is there
        raise task_not_found(task_id) from e
    story = Story()
    for entry in await entries(call.bus, [aggregate(TASK_SUBMITTED, task=task_id)]):
        if isinstance(entry, Entry):
            story.apply(entry)
    if not story.known:
        raise task_not_found(task_id)
    return story


async def stories(call: Call, task_ids: list[str]) -> dict[str, Story]:
    """These tasks as the log has them now; those that it does not hold (any more) are left out."""
    told = {ident: Story() for ident in task_ids}
    for at in range(0, len(task_ids), READ_MAX):
        wanted = [aggregate(TASK_SUBMITTED, task=ident) for ident in task_ids[at : at + READ_MAX]]
        for entry in await entries(call.bus, wanted):
            if isinstance(entry, Entry):
                told[entry.tokens["task"]].apply(entry)
    return {ident: story for ident, story in told.items() if story.known}


async def until(call: Call, task_id: str, met: Callable[[Story], bool], wait_s: float) -> Story:
    """The task once `met` holds, or as it is after `wait_s` or when the gateway stops."""
    story = Story()
    log = batches(call.gate, follow(call.bus, [aggregate(TASK_SUBMITTED, task=task_id)], forgotten_s=FORGOTTEN_SOON_S))
    with suppress(TimeoutError):
        async with asyncio.timeout(wait_s), aclosing(log):
            async for batch in log:
                for entry in batch or ():
                    if isinstance(entry, Entry):
                        story.apply(entry)
                if met(story):
                    break
    return story if story.known else await read(call, task_id)


async def updates(
    call: Call, task_id: str, after_seq: int, history_len_max: int | None, over: Callable[[Story], bool]
) -> AsyncGenerator[pb.StreamResponse | None, None]:
    """The task as it was at `after_seq`, then every update, until `over`; None where nothing happens for a while."""
    story = Story()
    begun = False
    log = batches(call.gate, follow(call.bus, [aggregate(TASK_SUBMITTED, task=task_id)], forgotten_s=FORGOTTEN_SOON_S))
    async with aclosing(log):
        async for batch in log:
            if batch is None:
                yield None
            for entry in batch or ():
                if isinstance(entry, Entry):
                    if entry.seq > after_seq and not begun:
                        begun = True
                        yield pb.StreamResponse(task=story.shown(history_len_max))
                    told = story.apply(entry)
                    for update in told if begun else ():
                        yield update
            if not begun and story.seq >= after_seq:
                begun = True
                yield pb.StreamResponse(task=story.shown(history_len_max))
            if begun and over(story):
                return
