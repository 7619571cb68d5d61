"""The forgetter: answers `memory.forget`. It tells the log what is forgotten, and waits until that is so everywhere."""

import asyncio
from typing import Final

from bus import subjects
from bus.connection import BATCH_LEN_MAX, Bus, Outgoing
from bus.errors import Unavailable, bad_request, conflict, not_found
from bus.ids import uuid7
from bus.log import last_seq
from memory.database import Database, statement
from memory.episode_row import storable
from memory.forgetting.eraser import Eraser
from memory.forgetting.hashes import id_hash, selector_hash
from memory.forgetting.letters import Letters
from memory.forgetting.plan import Plan
from memory.forgetting.selection import Selection
from memory.positions import persisted_seq
from memory.working import WorkingMemory
from schemas.forgetting import ForgetReceipt, ForgetRequest

FIND: Final = statement("find_forgetting")
COUNT: Final = statement("count_working")
BEHIND_S: Final = 10.0
"""Longest wait until everything is persisted that stood on the log when something was to be forgotten."""
LOOK_S: Final = 0.05


class Forgetter:
    """One forgetting is told at a time; their bytes are erased together."""

    def __init__(self, bus: Bus, database: Database, working: WorkingMemory, letters: Letters, eraser: Eraser, events_max: int) -> None:
        self._bus = bus
        self._database = database
        self._working = working
        self._eraser = eraser
        self._selection = Selection(database, letters, events_max)
        self._turn = asyncio.Lock()

    async def forget(self, asked: ForgetRequest) -> ForgetReceipt:
        """Erase it everywhere, and say what that was. Asked again, the receipt of the first time.

        Raises a 400 where not exactly one thing is asked for, a 404 where nothing of it is known or was, a 409 where it belongs
        to something that goes on, `Unavailable`: then it may have been told, and asking again goes on with it.
        """
        if sum(getattr(asked, name) is not None for name in asked.__struct_fields__) != 1:
            raise bad_request("exactly one of agent_id, session_id and tag says what is forgotten", "$")
        asked = ForgetRequest(**{name: storable(getattr(asked, name)) for name in asked.__struct_fields__})
        async with self._turn:
            receipt = await self._told(asked)
        return await self._eraser.receipt(receipt)

    async def _told(self, asked: ForgetRequest) -> str:
        await self._persisted_so_far()
        plan = await self._selection.plan(asked)
        (working,) = await self._database.rows(COUNT, asked.agent_id, asked.session_id, asked.tag)
        if plan.empty and not working["items"]:
            return await self._told_before(asked)
        return await self._tell(plan, await self._working.forget(asked))

    async def _tell(self, plan: Plan, working_items: int) -> str:
        """All of it in one atomic batch, so that no concept is erased which is to be told anew and is not."""
        receipt = uuid7()
        told = [Outgoing(row=subjects.FORGOTTEN, body=piece, tokens={"receipt": receipt}) for piece in plan.told(working_items)]
        anew = [Outgoing(row=subjects.CONCEPT, body=concept, tokens={"concept": ident}) for ident, concept in plan.rewritten]
        if len(told) + len(anew) > BATCH_LEN_MAX:
            raise conflict("that is more than can be forgotten at once: forget by session or tag first")
        await self._bus.publish_batch([*told, *anew])
        return receipt

    async def _told_before(self, asked: ForgetRequest) -> str:
        ident = id_hash(asked.id) if asked.id is not None else None
        found = await self._database.row(FIND, selector_hash(asked), ident)
        if found is None:
            raise not_found("nothing of it is known")
        return str(found["receipt"])

    async def _persisted_so_far(self) -> None:
        """Wait until what stands on the log now is in the database, where it is looked for."""
        last = await last_seq(self._bus, subjects.EVERYTHING)
        try:
            async with asyncio.timeout(BEHIND_S):
                while True:
                    async with self._database.connection() as connection:
                        if await persisted_seq(self._database, connection) >= last:
                            return
                    await asyncio.sleep(LOOK_S)
        except TimeoutError as e:
            raise Unavailable("memory is behind the log; ask again when it has caught up") from e
