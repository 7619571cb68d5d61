"""The summary of a concept: a port, so that a language model may write better ones. The sources stay whoever writes."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from memory.consolidation.extract import extract
from memory.consolidation.source import Source


class Summariser(Protocol):
    """What tells in a few sentences what sources say. `told`: the words in which somebody told the concept, if somebody did."""

    async def summarise(self, sources: Sequence[Source], told: str | None) -> str: ...


class Extractive:
    """The default: needs no language model, and says nothing that the sources do not."""

    async def summarise(self, sources: Sequence[Source], told: str | None) -> str:
        """The told text, if any, and the extract below it."""
        found = await asyncio.to_thread(extract, sources, told or "")
        return "\n".join(part for part in (told, found) if part)
