"""Which tables are derived from the log, and how their rows are named so that a rebuilt table can be compared with the first.

THE place to say so for a new table: one line in `DERIVED` (its key, the place in the log that its rows come from), or one in
`NOT_DERIVED` with the reason. Every column is compared but for the generated ones and those in `left_out`; a surrogate id is
replaced by what it stands for (`natural`, with `joins`), because a rebuilt row gets another. A test fails for a table that
stands in neither list, and for a column whose value PostgreSQL chooses and which is compared.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

SURROGATE: Final = "chosen by PostgreSQL; what it stands for is compared where it is referred to"

EXAMINED: Final = "whether a consolidation has looked at it: it only saves the next one the same work"


class Derived(msgspec.Struct, frozen=True, kw_only=True):
    """A derived table, called `t` in its SQL."""

    name: str
    key: tuple[str, ...]
    """The columns that name a row, the same in every rebuild."""
    seq: str | None
    """SQL of the place in the log at which a row came to be. None: its rows sum up all of another table and follow it by triggers, so
    that a rebuild does not empty it, and that it can be compared only where the log still reaches back to everything."""
    where: str = "true"
    """SQL of the rows that count."""
    joins: str = ""
    """Joins that `natural` and `where` need; `seq` stands in a DELETE too and does without them."""
    natural: Mapping[str, str] = {}
    """For a column that holds a surrogate id: SQL of what it stands for."""
    left_out: Mapping[str, str] = {}
    """Columns that are not compared, each with its reason."""
    grows: bool = False
    """Whether a row carries on an earlier one of the same thing; then a scratch database has the same only where the log is whole."""
    rewind: str = ""
    """Name of the statement that takes back what entries from $1 on did to rows from before; needed where the log is not whole."""

    def comparable(self, *, whole: bool) -> bool:
        """Whether a scratch database can have the same rows, when the log reaches back to everything, or does not."""
        return whole or (self.seq is not None and not self.grows)


DERIVED: Final = (
    Derived(name="episodes", key=("episode_id",), seq="t.stream_seq", left_out={"id": SURROGATE}),
    Derived(
        name="passages",
        key=("owner", "stream_seq", "part"),
        seq="t.stream_seq",
        left_out={"id": SURROGATE},
        rewind="rewind_passages",
    ),
    Derived(name="corpora", key=("agent_id",), seq=None),
    Derived(
        name="unconsolidated",
        key=("id",),
        seq="(SELECT e.stream_seq FROM memory_system.episodes AS e WHERE e.id = t.id)",
        joins="JOIN memory_system.episodes AS source ON source.id = t.id",
        natural={"id": "source.episode_id"},
        left_out={"examined": EXAMINED, "key_terms": EXAMINED},
    ),
    Derived(
        name="concept_versions",
        key=("id", "version"),
        seq="CASE WHEN t.event_id IS NOT NULL THEN t.log_position END",  # older ones are not on the log
        where="t.event_id IS NOT NULL",
        grows=True,
        rewind="rewind_concepts",
    ),
    Derived(
        name="semantic_memory",
        key=("id",),
        seq=None,
        where="t.event_id IS NOT NULL",
        left_out={"embedding": "a copy of what the embedder made of its passage"},
    ),
    Derived(name="edges", key=("source", "stream_seq", "kind", "target"), seq="t.stream_seq"),
    Derived(name="tasks", key=("task_id",), seq="t.submitted_seq"),
    Derived(name="forgettings", key=("receipt",), seq="t.stream_seq"),
    Derived(name="forgotten_ids", key=("id_hash",), seq="t.stream_seq"),
    Derived(name="log_copies", key=("stream_seq",), seq="t.stream_seq"),
)
"""Parents before children: a rebuild empties them from the last to the first."""

NOT_DERIVED: Final = {
    "alembic_version": "says which migrations have run",
    "consumer_position": "counts what each consumer has done, and when",
    "working_memory": "never on the log: it is what somebody is doing now, and expires",
    "vectors": "made of the passages by a model: a rebuild keeps those whose text is unchanged, the embedder makes the others",
    "unembedded": "what waits for the embedder",
    "spaces": "which models the vectors are of",
    "erasures": "says which bytes are gone, of this database's files among others",
    "late_places": "places of the log that are about to be empty",
    "recalls": "counts what searches have found; what a rebuild makes anew is counted anew",
    "seal_links": "a chain over the episodes with random salts; a rebuild makes the same episodes, and the chain stands",
    "consolidation_runs": "says what each run has done, and when",
}
"""Tables that are not compared, each with its reason. A rebuild leaves them alone."""
