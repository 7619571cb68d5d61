"""What a run of the benches is asked to measure, read once from the environment.

The variables are taken out of the environment as they are read: the processes that a bench starts are the real `cerebro`,
which refuses a CEREBRO_ variable that is none of its settings.
"""

import os
from collections.abc import MutableMapping
from pathlib import Path

import msgspec

SIZES = (10_000, 100_000)
"""Episodes that are searched, unless CEREBRO_BENCH_SIZES says otherwise."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Field `x` is CEREBRO_BENCH_X."""

    locomo: Path | None = None
    """A file of the LoCoMo format."""
    beam: Path | None = None
    """A folder of BEAM chats, one folder for each (`chats/100K` of its repository)."""
    conversations: int | None = None
    """Take the first so many conversations of a corpus only: a quick look, and no figure to quote."""
    python: Path | None = None
    """The interpreter of an environment made from bench/requirements.txt; without it the rows of bm25s and mem0 are left out."""
    sizes: tuple[int, ...] = SIZES
    """Comma-separated."""
    rows: int = 4_000
    """Rows that are ingested in one round."""


def read(environ: MutableMapping[str, str] = os.environ) -> Asked:
    """Take what is asked out of `environ`. Raises msgspec.ValidationError for a value that does not fit."""
    values: dict[str, object] = {}
    for field in Asked.__struct_fields__:
        text = environ.pop(f"CEREBRO_BENCH_{field.upper()}", None)
        if text is not None:
            values[field] = tuple(text.split(",")) if field == "sizes" else text
    return msgspec.convert(values, Asked, strict=False, dec_hook=lambda kind, value: kind(value))
