"""Entities: what a text names. Capitalised names, ids, quoted terms, kinds of errors, paths. Cues, not understanding."""

import re
from collections.abc import Iterator
from typing import Final

from schemas.terms import STOP_WORDS, TEXT_LEN_MAX, fold

ENTITIES_MAX: Final = 64
"""Most entities of one text; the first ones."""
ENTITY_LEN_MAX: Final = 80
"""Longer runs of letters are data, not names."""

QUOTED: Final = re.compile(r"`([^`\n]{2,80})`|\"([^\"\n]{2,60})\"|“([^”\n]{2,60})”")
ERROR: Final = re.compile(r"\b(?:[A-Z][A-Za-z]+)?(?:Error|Exception|Fault|Timeout|Failure)\b")
IDENTIFIER: Final = re.compile(
    r"(?<![\w/.-])(?:"
    r"[A-Za-z]+(?:[_-][A-Za-z0-9]+)*[_-]?\d(?:[\w.-]*\w)?"  # db-2, v1.2, E1234, host_03
    r"|[A-Za-z]\w*(?:_\w+)+"  # pool_size
    r"|[a-z]\w*(?:\.[a-z_]\w*)+(?:\(\))?"  # module.function, memory.search
    r"|[a-z]+[A-Z]\w+|[A-Z][a-z0-9]+[A-Z]\w*"  # camelCase, JetStream
    r"|[A-Z]{2,}\d*"  # API, HTTP2
    r"|#\d+"  # an issue
    r")(?![\w-])"
)
PATH: Final = re.compile(r"(?<!\w)/?(?:[\w.-]+/)+[\w.-]+")
NAME: Final = re.compile(r"(?<![\w'’])[A-ZÀ-Þ][a-zß-ÿ]+(?:[ -][A-ZÀ-Þ][a-zß-ÿ]+)*(?!\w)")
SENTENCE_END: Final = re.compile(r"(?:^|[.!?:\n]\s*|[-*•]\s)$")


def entities(text: str) -> tuple[str, ...]:
    """What `text` names, folded, in the order of first mention, each once."""
    text = text[:TEXT_LEN_MAX]
    found = (e for e in _found(text) if len(e) <= ENTITY_LEN_MAX)
    return tuple(dict.fromkeys(fold(e) for e in found))[:ENTITIES_MAX]


def _found(text: str) -> Iterator[str]:
    for match in QUOTED.finditer(text):
        yield next(group for group in match.groups() if group)
    for pattern in (ERROR, IDENTIFIER, PATH):
        yield from (match[0] for match in pattern.finditer(text))
    yield from (name for match in NAME.finditer(text) if (name := _name(text, match)))


def _name(text: str, match: re.Match[str]) -> str | None:
    """A capitalised name; a single word that begins a sentence may be any word, so it is none."""
    words = match[0].split(" ")
    while words and fold(words[0]) in STOP_WORDS:
        words.pop(0)
    begins = bool(SENTENCE_END.search(text[max(0, match.start() - 4) : match.start()]))
    if not words or (len(words) == 1 and begins):
        return None
    return " ".join(words)
