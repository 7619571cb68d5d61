"""The selection: from what is asked for to everything that must go with it."""

from collections.abc import Sequence
from typing import Any, Final

from bus import subjects
from bus.errors import conflict
from memory.consolidation.run import remade
from memory.consolidation.summary import Extractive
from memory.database import Database, statement
from memory.episodes import get_episodes
from memory.forgetting.hashes import selector_hash
from memory.forgetting.kinds import ALONE, CONSENSUS, COPIES, ROOTS, SPANS, TASKS
from memory.forgetting.letters import Buried, Letters
from memory.forgetting.plan import REMAINS_MAX, Event, Plan
from memory.forgetting.rewriting import without_quotes
from memory.indexed_text import content
from schemas.concepts import ConceptFormed
from schemas.forgetting import ForgetRequest

EVENTS: Final = statement("select_to_forget")
AGGREGATES: Final = statement("select_aggregates")
OPEN: Final = statement("open_aggregates")
COPIES_OF: Final = statement("copies_of")
RESTING: Final = statement("concepts_resting_on")
TELLINGS: Final = statement("entries_of_concepts")
CITING: Final = statement("citing")
CONCEPTS_MAX: Final = 900
"""Most concepts that one forgetting tells anew: they must fit into one atomic batch with what tells of it."""
NAMED_MAX: Final = 20
"""Most open proposals and tasks that a refusal names."""


class Selection:
    """`plan` reads only."""

    def __init__(self, database: Database, letters: Letters, events_max: int) -> None:
        self._letters = letters
        self._database = database
        self._events_max = events_max

    async def plan(self, asked: ForgetRequest) -> Plan:
        """What goes. Raises a 409 where it belongs to the mesh or to what is not ended yet; `Unavailable`."""
        found = await self._events(asked)
        complete = len(found) <= self._events_max
        events = await self._with_aggregates(found[: self._events_max])
        await self._refuse_open(events)
        while True:
            erased, rewritten = await self._concepts(asked, events)
            if len(rewritten) <= CONCEPTS_MAX or len(events) <= 1:
                break
            events, complete = events[: len(events) // 2], False
        dead = await self._letters.asked_for(asked)
        return await self._whole(asked, events, erased, rewritten, dead, complete=complete)

    async def _whole(
        self,
        asked: ForgetRequest,
        events: Sequence[Event],
        erased: Sequence[str],
        rewritten: Sequence[tuple[str, ConceptFormed]],
        dead: Sequence[Buried],
        *,
        complete: bool,
    ) -> Plan:
        concerned = [*erased, *(ident for ident, _ in rewritten)]
        tellings = await self._rows(TELLINGS, subjects.CONCEPT.name, [subjects.CONCEPT.subject(concept=ident) for ident in concerned])
        ids = [event.id for event in (*events, *tellings)]
        copies = [record["stream_seq"] for record in await self._database.rows(COPIES_OF, ids)]
        gone = {*ids, *erased, *(buried.event_id for buried in dead)}
        dead = [*{buried.place: buried for buried in (*dead, *await self._letters.under(gone))}.values()]
        return Plan(
            selector=selector_hash(asked),
            events=events,
            tellings=tellings,
            concepts=erased,
            rewritten=rewritten,
            places=[*copies, *(buried.stream_seq for buried in dead)],
            letters=[buried.event_id for buried in dead],
            dead_letters=len(dead),
            complete=complete,
            remains=await self._remains(events, gone),
        )

    async def _events(self, asked: ForgetRequest) -> list[Event]:
        found = await self._rows(EVENTS, asked.id, asked.agent_id, asked.session_id, asked.tag, self._events_max + 1)
        if asked.id is not None:
            for event in found:
                if event.name not in ALONE | ROOTS:
                    raise conflict(f"{event.name or event.subject} is the mesh's own record and is kept; forget what it is about")
        return [event for event in found if event.name in ALONE | ROOTS]

    async def _with_aggregates(self, events: Sequence[Event]) -> list[Event]:
        """With a proposal or the submission of a task goes everything that was said about it."""
        things = sorted({event.thing for event in events if event.name in ROOTS})
        if not things:
            return list(events)
        known = {event.id: event for event in (*events, *await self._rows(AGGREGATES, [*CONSENSUS, *TASKS], things))}
        return sorted(known.values(), key=lambda event: event.seq)

    async def _refuse_open(self, events: Sequence[Event]) -> None:
        named = []
        for names, begins, ends, noun in SPANS:
            things = sorted({event.thing for event in events if event.name in names})
            named += [f"{noun} {record['aggregate']}" for record in await self._database.rows(OPEN, things, begins, ends)]
        if named:
            more = f" and {len(named) - NAMED_MAX} more" if len(named) > NAMED_MAX else ""
            raise conflict(f"not ended yet: {', '.join(named[:NAMED_MAX])}{more}; nothing was forgotten, wait for their end or cancel them")

    async def _concepts(self, asked: ForgetRequest, events: Sequence[Event]) -> tuple[list[str], list[tuple[str, ConceptFormed]]]:
        """The ids of concepts to be erased, and those to be told anew with what they say then."""
        ids = {event.id for event in events}
        records = await self._database.rows(RESTING, list(ids), asked.id)
        erased, rewritten = [], []
        for record in records:
            left = None if record["id"] == asked.id else await self._left(record["id"], set(record["sources"] or ()), ids)
            if left is None:
                erased.append(record["id"])
            else:
                rewritten.append((record["id"], left))
        return erased, rewritten

    async def _left(self, concept: str, sources: set[str], gone: set[str]) -> ConceptFormed | None:
        """What is told of a concept without what is erased; None where it rested on that alone."""
        if sources <= gone:
            return None
        left = await remade(self._database, concept, gone, Extractive())
        return without_quotes(left, await self._said(sources & gone)) if left is not None and left.origin == "told" else left

    async def _said(self, ids: set[str]) -> list[str]:
        """The texts of these events."""
        return [content(view.action_details) for view in await get_episodes(self._database, sorted(ids))]

    async def _remains(self, events: Sequence[Event], gone: set[str]) -> list[str]:
        """What quotes or cites the events and is kept: decisions and ends about the same things, and whatever names one of them."""
        things = sorted({event.thing for event in events if event.name in {*CONSENSUS, *TASKS}})
        about = await self._rows(AGGREGATES, sorted(COPIES), things) if things else []
        quoting = [event.id for event in about if event.id not in gone]
        records = await self._database.rows(CITING, sorted(gone), subjects.INTEGRATED.name, REMAINS_MAX)
        return [*dict.fromkeys([*quoting, *(record["episode_id"] for record in records)])]

    async def _rows(self, asked: Any, *values: Any) -> list[Event]:
        records = await self._database.rows(asked, *values)
        return [Event(r["episode_id"], r["kind"], r["subject"], r["stream_seq"]) for r in records]
