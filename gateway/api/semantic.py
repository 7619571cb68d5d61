"""Semantic memory: concepts with the episodes they rest on."""

from typing import Annotated
from urllib.parse import quote

import msgspec
from msgspec import Meta

from bus.subjects import MEMORY_SEMANTIC_GET, MEMORY_SEMANTIC_LIST, MEMORY_SEMANTIC_PUT
from gateway.call import Answer, Call, reply
from schemas.concepts import ConceptById
from schemas.words import EventId, Time, refuse_far_times


class ConceptPath(msgspec.Struct, frozen=True):
    concept_id: EventId


class ConceptQuery(msgspec.Struct, frozen=True, kw_only=True):
    """`as_of`: as it was then, at a time or a log position."""

    as_of: Time | Annotated[int, Meta(ge=0)] | None = None

    def __post_init__(self) -> None:
        refuse_far_times(as_of=self.as_of)


async def put_concept(call: Call) -> Answer:
    """Keep a concept."""
    concept = await call.ask(MEMORY_SEMANTIC_PUT, call.body)
    return reply(concept, 201, {"location": f"/memory/semantic/{quote(concept.concept_id, safe='')}"})


async def concepts(call: Call) -> Answer:
    """Concepts: those that answer `query` best first, or all, newest first."""
    return reply(await call.ask(MEMORY_SEMANTIC_LIST, call.query))


async def concept(call: Call) -> Answer:
    """One concept with its source episodes, and both sides where they contradict each other; as it is, or as it was (`as_of`)."""
    return reply(await call.ask(MEMORY_SEMANTIC_GET, ConceptById(id=call.path.concept_id, as_of=call.query.as_of)))
