"""Neighbours: the episodes before and after one in time, of the same agent and session."""

from collections.abc import Mapping
from typing import Final

from memory.arms import Filters
from memory.database import Database, statement
from memory.fusion import Found, Neighbour

NEIGHBOURS: Final = statement("neighbours")


async def neighbours(database: Database, sources: Mapping[int, Found], filters: Filters, reach: int) -> list[Neighbour]:
    """What stands at most `reach` places beside these (by one passage of each) and passes the filters. Raises `Unavailable`."""
    if not sources or reach == 0:
        return []
    records = await database.rows(NEIGHBOURS, list(sources), reach, *filters)
    return [Neighbour(sources[source], Found(kind, owner), distance, terms) for source, kind, owner, distance, terms in records]
