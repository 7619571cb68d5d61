"""Sentences of a text, each as it stands there."""

import re
from typing import Final

from schemas.terms import TEXT_LEN_MAX

SENTENCES_MAX: Final = 40
"""Most sentences of one text that are looked at."""
SENTENCE_LEN_MAX: Final = 300
"""A longer sentence is cut at a space, in characters; what follows is a sentence of its own."""

BOUNDARY: Final = re.compile(r"\s*\n+\s*|(?:(?<=[.!?])|(?<=[.!?][\"')\]]))\s+(?=[\"'(\[]?[A-Z0-9À-Þ¿¡`])")
MARK: Final = re.compile(r"^(?:[-*•]|\d{1,2}[.)])\s+")


def sentences(text: str) -> list[str]:
    """The sentences and list items of `text`, in their order, without list marks."""
    found: list[str] = []
    for part in BOUNDARY.split(text[:TEXT_LEN_MAX]):
        found.extend(_cut(MARK.sub("", part.strip())))
        if len(found) >= SENTENCES_MAX:
            break
    return found[:SENTENCES_MAX]


def _cut(sentence: str) -> list[str]:
    pieces = []
    while len(sentence) > SENTENCE_LEN_MAX:
        at = sentence.rfind(" ", 0, SENTENCE_LEN_MAX)
        at = at if at > 0 else SENTENCE_LEN_MAX
        pieces.append(sentence[:at])
        sentence = sentence[at:].lstrip()
    return [*pieces, sentence] if sentence else pieces
