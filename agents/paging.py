"""Pages of what an agent has folded, newest first: the cursor is the log position of the last one shown."""

from collections.abc import Iterable
from itertools import islice
from typing import TypeVar

from bus.errors import bad_request

T = TypeVar("T")


def before_seq(cursor: str | None) -> int | None:
    """The log position a cursor names. Raises `Refused` (400) for one that is none of ours."""
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise bad_request("not a cursor of this list", "$.before")
    return int(cursor)


def page(newest_first: Iterable[tuple[int, T]], cursor: str | None, limit: int) -> tuple[list[T], str | None]:
    """At most `limit` of those whose log position is below the cursor, and the cursor of the next page."""
    limit_seq = before_seq(cursor)
    rest = ((seq, item) for seq, item in newest_first if limit_seq is None or seq < limit_seq)
    found = list(islice(rest, limit + 1))
    more = len(found) > limit
    return [item for _, item in found[:limit]], str(found[limit - 1][0]) if more else None
