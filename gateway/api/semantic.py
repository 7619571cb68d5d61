"""Semantic memory: concepts with the episodes they rest on."""

from urllib.parse import quote

import msgspec

from bus.subjects import MEMORY_SEMANTIC_GET, MEMORY_SEMANTIC_LIST, MEMORY_SEMANTIC_PUT
from gateway.call import Answer, Call, reply
from schemas.memory import ById
from schemas.words import EventId


class ConceptPath(msgspec.Struct, frozen=True):
    concept_id: EventId


async def put_concept(call: Call) -> Answer:
    """Keep a concept."""
    concept = await call.ask(MEMORY_SEMANTIC_PUT, call.body)
    return reply(concept, 201, {"location": f"/memory/semantic/{quote(concept.concept_id, safe='')}"})


async def concepts(call: Call) -> Answer:
    """Concepts: those that answer `query` best first, or all, newest first."""
    return reply(await call.ask(MEMORY_SEMANTIC_LIST, call.query))


async def concept(call: Call) -> Answer:
    """One concept with its source episodes."""
    return reply(await call.ask(MEMORY_SEMANTIC_GET, ById(id=call.path.concept_id)))
