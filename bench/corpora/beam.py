"""BEAM (Tavakoli et al., "Beyond a Million Tokens", ICLR 2026): long chats with an assistant; no part of it stands in this repository.

One document for each message, its role the speaker. Gold are the messages that `source_chat_ids` names; a question without one
(those that ask for what was never said) is left out. Where a chat was cut to its length, the cut one is the benchmark's.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from bench.corpora.corpus import Conversation, Corpus, Document, Question

MARK = re.compile(r"\s*->->.*$", re.DOTALL)
"""The generator's own note at the end of a user's message."""
DATE = "%B-%d-%Y"
EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
"""Where a chat says no date."""


def load(folder: Path, conversations_max: int | None = None) -> Corpus:
    """The chats of a folder that holds one folder for each, by their numbers."""
    chats = sorted((f for f in folder.iterdir() if (f / "chat.json").exists()), key=lambda f: int(f.name))
    return Corpus(name=f"BEAM ({folder.name})", conversations=[_chat(f) for f in chats[:conversations_max]])


def _chat(folder: Path) -> Conversation:
    name = f"beam-{folder.name}"
    cut, whole = folder / "chat_trunecated.json", folder / "chat.json"
    batches = msgspec.json.decode((cut if cut.exists() else whole).read_bytes())
    documents = list(_documents(name, batches))
    known = {d.ident for d in documents}
    asked = msgspec.json.decode((folder / "probing_questions" / "probing_questions.json").read_bytes())
    questions = [_question(name, kind, question, known) for kind, some in asked.items() for question in some]
    return Conversation(name=name, documents=documents, questions=[q for q in questions if q.gold])


def _documents(name: str, batches: list[dict[str, Any]]) -> Iterator[Document]:
    """In order; a batch is what was said around one date, its messages a minute apart."""
    for number, batch in enumerate(batches):
        began = _date(batch.get("time_anchor")) or EPOCH + timedelta(days=number)
        messages = [message for turn in batch["turns"] for message in turn]
        for place, message in enumerate(messages):
            yield Document(
                ident=f"{name}/{message['id']}",
                speaker=message["role"],
                text=MARK.sub("", message["content"]),
                session=f"{name}-{number}",
                moment=began + timedelta(minutes=place),
            )


def _question(name: str, kind: str, question: dict[str, Any], known: set[str]) -> Question:
    named = {f"{name}/{ident}" for ident in _idents(question.get("source_chat_ids"))}
    return Question(text=question["question"], gold=frozenset(named & known), kind=kind.replace("_", " "))


def _idents(sources: Any) -> list[int]:
    """The ids in a list, or in lists under names."""
    match sources:
        case int(ident):
            return [ident]
        case list(several):
            return [ident for some in several for ident in _idents(some)]
        case dict(named):
            return _idents(list(named.values()))
    return []


def _date(text: str | None) -> datetime | None:
    try:
        return datetime.strptime(text or "", DATE).replace(tzinfo=UTC)
    except ValueError:
        return None
