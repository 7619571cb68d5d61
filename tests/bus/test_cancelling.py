"""A cancellation that was lost on its way is heeded all the same."""

import asyncio

from bus.cancelling import heed


async def test_a_lost_cancellation_ends_the_task_where_it_is_heeded() -> None:
    went_on = False

    async def loses_it() -> None:
        nonlocal went_on
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            went_on = True
        heed()
        await asyncio.Event().wait()

    task = asyncio.create_task(loses_it())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert went_on
    assert task.cancelled()


async def test_nothing_ends_where_nobody_cancelled() -> None:
    heed()
