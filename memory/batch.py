"""A batch on its way from the log into PostgreSQL, and how it is cut into transactions. Pure: no clock, no server."""

from collections.abc import Sequence
from typing import Final, Self

import msgspec

from bus import subjects
from bus.delivery import Outcome, Terminal
from bus.log import Delivery
from memory.episode_row import EpisodeRow, episode_row
from schemas.entry import Entry, Malformed

UNWRITABLE: Final = (msgspec.MsgspecError, RecursionError, ValueError)
"""What a well-formed but absurd body can raise when it is written again."""

Settled = dict[int, Outcome]
"""How each entry ended, by its place in the log."""


class Batch(msgspec.Struct):
    """Deliveries and the rows made of them, in the order of the log. Whoever commits it adds to `settled` how each entry ended, and
    to `fresh` the rows that were new.
    """

    deliveries: list[Delivery]
    rows: list[EpisodeRow]
    settled: Settled
    fresh: list[EpisodeRow]

    @classmethod
    def of(cls, deliveries: Sequence[Delivery]) -> Self:
        """What was delivered together."""
        rows, settled = rows_of([delivery.entry for delivery in deliveries])
        return cls(list(deliveries), rows, settled, [])

    @classmethod
    def joined(cls, batches: Sequence["Batch"]) -> Self:
        """What was delivered one after the other, to be committed together. What was delivered again may stand before the others, or
        in several.
        """
        rows = {row.stream_seq: row for batch in batches for row in batch.rows}
        settled = {seq: outcome for batch in batches for seq, outcome in batch.settled.items()}
        return cls([d for batch in batches for d in batch.deliveries], [rows[seq] for seq in sorted(rows)], settled, [])

    @property
    def last(self) -> int:
        """The latest place in the log."""
        return max(delivery.entry.seq for delivery in self.deliveries)


def rows_of(entries: Sequence[Entry | Malformed]) -> tuple[list[EpisodeRow], Settled]:
    """The rows to be persisted, in the order of the log and each once, and how the entries that have none end."""
    rows: list[EpisodeRow] = []
    settled: Settled = {}
    by_place = {entry.seq: entry for entry in entries}
    for _, entry in sorted(by_place.items()):
        if isinstance(entry, Malformed):
            settled[entry.seq] = Terminal(entry.reason)
        elif entry.name != subjects.TIMER.name:
            try:
                rows.append(episode_row(entry))
            except UNWRITABLE as e:
                settled[entry.seq] = Terminal(f"its body cannot be written again: {type(e).__name__}: {e}")
    return rows, settled


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
