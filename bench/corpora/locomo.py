"""LoCoMo (Maharana et al., ACL 2024; CC BY-NC 4.0: for evaluation only, and no part of it stands in this repository).

One document for each turn, a picture's caption in its text. Gold are the turns that `evidence` names (`D<session>:<turn>`, leading
zeros stripped, unknown ones dropped); a question without one is left out. Category 5 (adversarial) is no part of the headline.
"""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from bench.corpora.corpus import Conversation, Corpus, Document, Question

SESSION = re.compile(r"session_(\d+)")
TURN = re.compile(r"D(\d+):(\d+)")
MOMENT = "%I:%M %p on %d %B, %Y"
ADVERSARIAL = 5


def load(path: Path, conversations_max: int | None = None) -> Corpus:
    """The conversations of a LoCoMo file."""
    samples = msgspec.json.decode(path.read_bytes())
    return Corpus(name=f"LoCoMo ({path.name})", conversations=[_conversation(s) for s in samples[:conversations_max]])


def _conversation(sample: dict[str, Any]) -> Conversation:
    name = sample["sample_id"].lower()
    sessions = {int(m[1]): turns for key, turns in sample["conversation"].items() if (m := SESSION.fullmatch(key))}
    documents = [d for number in sorted(sessions) for d in _session(name, number, sessions[number], sample["conversation"])]
    known = {d.ident for d in documents}
    questions = [_question(name, qa, known) for qa in sample["qa"]]
    return Conversation(name=name, documents=documents, questions=[q for q in questions if q.gold])


def _session(name: str, number: int, turns: list[dict[str, Any]], conversation: dict[str, Any]) -> list[Document]:
    began = datetime.strptime(conversation[f"session_{number}_date_time"], MOMENT).replace(tzinfo=UTC)
    return [
        Document(
            ident=f"{name}/{_turns(turn['dia_id'])[0]}",
            speaker=turn["speaker"],
            text=f"{turn['text']} [image: {turn['blip_caption']}]" if turn.get("blip_caption") else turn["text"],
            session=f"{name}-{number}",
            moment=began + timedelta(seconds=place),
        )
        for place, turn in enumerate(turns)
    ]


def _question(name: str, qa: dict[str, Any], known: set[str]) -> Question:
    named = {f"{name}/{turn}" for evidence in qa["evidence"] for turn in _turns(evidence)}
    return Question(
        text=qa["question"], gold=frozenset(named & known), kind=f"category {qa['category']}", headline=qa["category"] != ADVERSARIAL
    )


def _turns(text: str) -> list[str]:
    """The turns that a text names; some name two."""
    return [f"D{int(session)}:{int(turn)}" for session, turn in TURN.findall(text)]
