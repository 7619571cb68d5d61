"""Who waits for an event to be persisted or embedded, and is told at once when it is."""

import asyncio
from collections.abc import Iterable

from memory.database import Database
from memory.episodes import episode_states
from schemas.memory import Await, Awaited


class Waiter:
    """One `memory.await` under way, and what is known of its event so far."""

    def __init__(self) -> None:
        self.known = Awaited(persisted=False, searchable=False)
        self.changed = asyncio.Event()

    def learn(self, *, searchable: bool) -> None:
        """Its event is persisted, and maybe searchable; neither is ever undone."""
        self.known = Awaited(persisted=True, searchable=searchable or self.known.searchable)
        self.changed.set()


class Arrivals:
    """Waiters by event id. `embeds`: whether anything here is ever embedded; if not, nobody waits for it.

    The database is asked once when a wait begins (it may be long done) and then every `recheck_s` seconds, for what
    another process did; everything else is told by `persisted` and `embedded`.
    """

    def __init__(self, database: Database, *, embeds: bool, recheck_s: float) -> None:
        self._database = database
        self._embeds = embeds
        self._recheck_s = recheck_s
        self._waiters: dict[str, set[Waiter]] = {}
        self._awaited = asyncio.Event()

    @property
    def awaited(self) -> bool:
        """Whether anybody waits for anything."""
        return self._awaited.is_set()

    def persisted(self, ids: Iterable[str]) -> None:
        """These events are committed."""
        self._tell(ids, searchable=False)

    def embedded(self, ids: Iterable[str]) -> None:
        """These events have a vector now."""
        self._tell(ids, searchable=True)

    async def wait(self, asked: Await) -> Awaited:
        """Answer when it is so, at the latest after `timeout_s`, with what is so then. Raises `Unavailable`."""
        waiter = Waiter()
        self._waiters.setdefault(asked.id, set()).add(waiter)
        self._awaited.set()
        try:
            async with asyncio.timeout(asked.timeout_s):
                await self._until(asked, waiter)
        except TimeoutError:
            pass  # what is known by now is the answer
        finally:
            self._waiters[asked.id].discard(waiter)
            if not self._waiters[asked.id]:
                del self._waiters[asked.id]
            if not self._waiters:
                self._awaited.clear()
        return waiter.known

    async def unless_awaited(self, pause_s: float) -> None:
        """Let `pause_s` seconds pass, as long as nobody waits for anything."""
        await _changes(self._awaited, pause_s)

    async def _until(self, asked: Await, waiter: Waiter) -> None:
        while not self._is_enough(asked, waiter.known):
            waiter.changed.clear()
            states = await episode_states(self._database, [asked.id])
            if asked.id in states:
                waiter.learn(searchable=states[asked.id])
            while not self._is_enough(asked, waiter.known) and await _changes(waiter.changed, self._recheck_s):
                waiter.changed.clear()

    def _is_enough(self, asked: Await, known: Awaited) -> bool:
        return known.persisted and (known.searchable or asked.until == "persisted" or not self._embeds)

    def _tell(self, ids: Iterable[str], *, searchable: bool) -> None:
        for ident in ids:
            for waiter in self._waiters.get(ident, ()):
                waiter.learn(searchable=searchable)


async def _changes(event: asyncio.Event, timeout_s: float) -> bool:
    """Whether the event was set within `timeout_s` seconds."""
    try:
        async with asyncio.timeout(timeout_s):
            return await event.wait()
    except TimeoutError:
        return False
