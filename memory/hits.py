"""What a search shows of what it found."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import asyncpg

from memory.concepts import CONCEPT_AGENT, AsOf, concepts_at
from memory.database import Database, statement
from memory.episodes import decoded
from memory.fusion import Fused
from schemas.memory import Ranks, SearchHit
from schemas.words import rfc3339

EPISODES: Final = statement("episode_hits")

CONCEPT_TYPE: Final = "concept"
LESSON_KIND: Final = "lesson"


async def shown(database: Database, fused: Sequence[Fused], as_of: AsOf) -> list[SearchHit]:
    """The hits in full, in their order, concepts as they were then; what has been forgotten meanwhile is left out.

    Raises `Unavailable`.
    """
    episodes = [f.found.id for f in fused if f.found.kind != CONCEPT_TYPE]
    concepts = [f.found.id for f in fused if f.found.kind == CONCEPT_TYPE]
    remembered, learned = await asyncio.gather(_episodes(database, episodes), concepts_at(database, concepts, as_of))
    fields = {(False, r["episode_id"]): _episode(r) for r in remembered} | {(True, r["id"]): _concept(r) for r in learned}
    keyed = [(f, fields.get((f.found.kind == CONCEPT_TYPE, f.found.id))) for f in fused]
    return [_hit(f, known) for f, known in keyed if known is not None]


async def _episodes(database: Database, ids: Sequence[str]) -> list[asyncpg.Record]:
    return await database.rows(EPISODES, ids) if ids else []


def _hit(fused: Fused, fields: dict[str, Any]) -> SearchHit:
    ranks = Ranks(text=fused.text, vector=fused.vector)
    return SearchHit(id=fused.found.id, kind=fused.found.kind, score=fused.score, ranks=ranks, why=fused.why, **fields)


def _episode(r: asyncpg.Record) -> dict[str, Any]:
    details = decoded(r["action_details"])
    sources = details.get("source_episodes") if r["kind"] == LESSON_KIND else [r["episode_id"]]
    return {
        "agent_id": r["agent_id"],
        "timestamp": rfc3339(r["timestamp"]),
        "action_type": r["action_type"],
        "text": r["content"],
        "action_details": details,
        "tags": r["tags"],
        "importance_score": r["importance_score"],
        "source_episodes": sources or [],
    }


def _concept(r: asyncpg.Record) -> dict[str, Any]:
    details = {name: r[name] for name in ("concept", "content", "knowledge_type", "source_episodes")}
    return {
        "agent_id": CONCEPT_AGENT,
        "timestamp": rfc3339(r["updated_at"]),
        "action_type": CONCEPT_TYPE,
        "text": f"{r['concept']}: {r['content']}",
        "action_details": details,
        "tags": [],
        "importance_score": r["confidence_score"],
        "source_episodes": r["source_episodes"],
    }
