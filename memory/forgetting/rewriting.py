"""A concept without what was forgotten of its sources. Pure."""

from collections.abc import Collection, Sequence

import msgspec

from schemas.concepts import ConceptFormed


def without(concept: ConceptFormed, erased: Collection[str], said: Sequence[str]) -> ConceptFormed | None:
    """The concept on the sources that are left, without the lines that quote one of `said`, the texts of the erased ones.

    None where no source, or nothing to say, is left.
    """
    sources = [ident for ident in concept.source_episodes if ident not in erased]
    quotes = [line.strip() for text in said for line in text.splitlines() if line.strip()]
    lines = [line for line in concept.content.splitlines() if not any(quote in line or line.strip() in quote for quote in quotes)]
    content = "\n".join(lines).strip()
    if not sources or not content:
        return None
    kept = [ident for ident in concept.consolidated if ident not in erased]
    return msgspec.structs.replace(concept, content=content, source_episodes=sources, consolidated=kept)
