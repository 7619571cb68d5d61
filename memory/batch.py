"""A batch on its way from the log into PostgreSQL, and how it is cut into transactions. Pure: no clock, no server."""

from collections.abc import Sequence
from typing import Final, Self

import msgspec

from memory.episode_row import EpisodeRow, episode_row
from schemas.entry import Entry, Malformed

UNWRITABLE: Final = (msgspec.MsgspecError, RecursionError, ValueError)
"""What a well-formed but absurd body can raise when it is written again."""


class Refusal(msgspec.Struct, frozen=True):
    """An entry that becomes no row, and why."""

    entry: Entry | Malformed
    reason: str


class Batch(msgspec.Struct, frozen=True):
    """Entries that were read one after the other: the rows made of them, those of which none can be made, and the last place in the log."""

    rows: list[EpisodeRow]
    refused: list[Refusal]
    last: int

    @classmethod
    def of(cls, entries: Sequence[Entry | Malformed]) -> Self:
        """What was read together, in the order of the log."""
        rows, refused = rows_of(entries)
        return cls(rows, refused, entries[-1].seq)

    @classmethod
    def joined(cls, batches: Sequence["Batch"]) -> Self:
        """What was read one after the other, to be committed together."""
        rows = [row for batch in batches for row in batch.rows]
        return cls(rows, [refusal for batch in batches for refusal in batch.refused], batches[-1].last)


def rows_of(entries: Sequence[Entry | Malformed]) -> tuple[list[EpisodeRow], list[Refusal]]:
    """The rows to be persisted, and the entries that can have none."""
    rows: list[EpisodeRow] = []
    refused: list[Refusal] = []
    for entry in entries:
        if isinstance(entry, Malformed):
            refused.append(Refusal(entry, entry.reason))
            continue
        try:
            rows.append(episode_row(entry))
        except UNWRITABLE as e:
            refused.append(Refusal(entry, f"its body cannot be written again: {type(e).__name__}: {e}"))
    return rows, refused


def in_portions(rows: Sequence[EpisodeRow], len_max: int, bytes_max: int) -> list[list[EpisodeRow]]:
    """`rows` in order, cut so that each portion has at most `len_max` rows and `bytes_max` bytes (a larger row goes alone)."""
    portions: list[list[EpisodeRow]] = []
    size = 0
    for row in rows:
        if portions and len(portions[-1]) < len_max and size + row.size_bytes <= bytes_max:
            portions[-1].append(row)
            size += row.size_bytes
        else:
            portions.append([row])
            size = row.size_bytes
    return portions
