"""Long texts in pieces that an embedding model can read: cut between paragraphs, else lines, else sentences, else words."""

import re
from typing import Final

CUTS: Final = (re.compile(r"\n\s*\n"), re.compile(r"\n"), re.compile(r"(?<=[.!?])\s+"), re.compile(r"\s+"))
"""Where a text may be cut, the better places first."""


def chunks(text: str, len_max: int) -> list[str]:
    """`text` in pieces of at most `len_max` characters, which do not overlap; one piece where it is no longer than that.

    Pieces are as long as they can be, so that a heading stays with what follows. Nothing but white space is left out.
    """
    if len(text) <= len_max:
        return [text]
    return [text[start:end] for start, end in _joined(_spans(text, 0, len(text), len_max, 0), len_max)]


def _spans(text: str, start: int, end: int, len_max: int, level: int) -> list[tuple[int, int]]:
    """Where the parts of `text[start:end]` stand, each no longer than `len_max`, cut as well as can be."""
    if end - start <= len_max:
        return [(start, end)] if text[start:end].strip() else []
    if level == len(CUTS):
        return [(i, min(i + len_max, end)) for i in range(start, end, len_max)]
    spans, begin = [], start
    for cut in CUTS[level].finditer(text, start, end):
        spans += _spans(text, begin, cut.start(), len_max, level + 1)
        begin = cut.end()
    return spans + _spans(text, begin, end, len_max, level + 1)


def _joined(spans: list[tuple[int, int]], len_max: int) -> list[tuple[int, int]]:
    """Spans put together with the next ones as long as they fit."""
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and end - joined[-1][0] <= len_max:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined
