"""Who cites what is forgotten: votes, decisions, results, lessons and episodes that name one of its ids and are kept."""

import re
from collections.abc import AsyncIterator, Container
from typing import Final

from memory.database import Database, statement
from memory.episodes import decoded
from memory.forgetting.kinds import CONSENSUS, TASKS
from memory.forgetting.plan import REMAINS_MAX
from memory.indexed_text import strings

CITING: Final = statement("sources_of_events")
PAGE_LEN: Final = 1_000
UUID_IN_TEXT: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


async def citing(database: Database, erased: Container[str]) -> list[str]:
    """Event ids of what names any of `erased`, as a value or (a UUID) within a text, and is none of it; the oldest first."""
    found: list[str] = []
    async for ident, named in _naming(database):
        if ident not in erased and any(name in erased for name in named):
            found.append(ident)
            if len(found) == REMAINS_MAX:
                break
    return found


async def _naming(database: Database) -> AsyncIterator[tuple[str, set[str]]]:
    after = 0
    while records := await database.rows(CITING, [*CONSENSUS, *TASKS], after, PAGE_LEN):
        for record in records:
            texts = strings(decoded(record["details"]))
            yield record["episode_id"], {*texts, *UUID_IN_TEXT.findall(record["details"]), record["cross_reference"] or ""}
        after = records[-1]["id"]
