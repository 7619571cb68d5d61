"""A concept that somebody told, without the words of what was forgotten of its sources. Pure."""

from collections.abc import Sequence

import msgspec

from schemas.concepts import ConceptFormed


def without_quotes(concept: ConceptFormed, said: Sequence[str]) -> ConceptFormed | None:
    """The concept without the lines that quote one of `said`, or stand in it; None where nothing is left to say."""
    quotes = [line.strip() for text in said for line in text.splitlines() if line.strip()]
    lines = [line for line in concept.content.splitlines() if not any(quote in line or line.strip() in quote for quote in quotes)]
    content = "\n".join(lines).strip()
    return msgspec.structs.replace(concept, content=content) if content else None
