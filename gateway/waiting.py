"""Waiting for what the mesh makes of a message: questions in slices, so that an agent that dies meanwhile costs one slice."""

import asyncio
from collections.abc import Callable
from typing import Any

from bus.errors import Refused, TimedOut, Unavailable
from bus.subjects import Subject
from gateway.call import Call
from schemas.members import Ask

SLICE_S = 1.0
"""Longest time one question waits at an agent."""
PAUSE_S = 0.05
"""Pause before the same is asked again after an answer that was not the end."""
SLICE_GRACE_S = 1.0
"""How much longer than its slice an answer may take."""


async def until(
    call: Call, row: Subject, ident: str, done: Callable[[Any], bool], wait_s: float, *, slice_s: float = SLICE_S, early_ends: bool = False
) -> Any:
    """Ask `row` for `ident` until `done` holds for the answer or `wait_s` is over; the last answer, or None without one.

    `early_ends`: an answer before its slice was over means that there is nothing left to wait for.
    An agent that does not know the id yet (404) has not read that far, and is asked again. One that is silent may have died just then:
    another is asked once more when the time is over. Raises `Unavailable` when nobody has answered for `away_patience_s`.
    """
    loop = asyncio.get_running_loop()
    end, heard, view = loop.time() + wait_s, loop.time(), None
    last_try = False
    while True:
        asked = loop.time()
        slice_now_s = max(0.0, min(slice_s, end - asked))
        try:
            view = await call.bus.ask(row, Ask(id=ident, wait_s=slice_now_s), timeout_s=slice_now_s + SLICE_GRACE_S)
            heard = loop.time()
            if done(view) or (early_ends and heard - asked < slice_now_s - PAUSE_S):
                return view
        except Refused as e:
            if e.problem().status != 404:
                raise
            heard = loop.time()
            last_try = True
        except (Unavailable, TimedOut):
            if loop.time() - heard > call.settings.away_patience_s:
                raise
        if loop.time() >= end or call.gate.closing.is_set():
            if view is not None or last_try or call.gate.closing.is_set():
                return view
            last_try = True
        await asyncio.sleep(PAUSE_S)
