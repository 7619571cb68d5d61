"""What a recall bench asks of: conversations, each a list of documents, and questions whose evidence among them is known."""

from collections.abc import Sequence
from datetime import datetime

import msgspec


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """One message. `ident` is unique in its corpus; `session` groups what was said together."""

    ident: str
    speaker: str
    text: str
    session: str
    moment: datetime

    @property
    def shown(self) -> str:
        """What every system is given to index."""
        return f"{self.speaker}: {self.text}"


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """`gold`: the documents that hold its evidence, at least one. `kind`: what its corpus calls it; reported apart unless `headline`."""

    text: str
    gold: frozenset[str]
    kind: str
    headline: bool = True


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """One agent's memory. `name` is a subject token."""

    name: str
    documents: Sequence[Document]
    questions: Sequence[Question]


class Corpus(msgspec.Struct, frozen=True, kw_only=True):
    """What a loader returns."""

    name: str
    conversations: Sequence[Conversation]

    @property
    def documents(self) -> list[tuple[str, Document]]:
        """Every document, with its conversation's name."""
        return [(c.name, d) for c in self.conversations for d in c.documents]

    @property
    def questions(self) -> list[tuple[str, Question]]:
        """Every question, with its conversation's name."""
        return [(c.name, q) for c in self.conversations for q in c.questions]
