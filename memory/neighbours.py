"""Neighbours: the episodes before and after one in time, of the same agent and session."""

from collections.abc import Sequence
from typing import Final

from memory.arms import Filters
from memory.database import Database, statement
from memory.fusion import Found, Neighbour

NEIGHBOURS: Final = statement("neighbours")


async def neighbours(database: Database, sources: Sequence[Found], filters: Filters, reach: int) -> list[Neighbour]:
    """What stands at most `reach` places beside the sources and passes the filters. Raises `Unavailable`."""
    known = {source.id: source for source in sources if source.kind != "concept"}
    if not known or reach == 0:
        return []
    records = await database.rows(NEIGHBOURS, list(known), reach, *filters)
    return [
        Neighbour(known[r["source"]], Found(r["kind"], r["owner"]), r["distance"], r["terms"])
        for r in records
        if known[r["source"]].kind == r["source_kind"]
    ]
