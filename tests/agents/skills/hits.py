"""What memory and learning would bring back."""

from typing import Any

from agents.learning.actor import RelevantLesson
from schemas.learning import Lesson
from schemas.memory import EpisodeView, Ranks, SearchHit


def hit(ident: str, text: str, *, kind: str = "episode", **details: Any) -> SearchHit:
    return SearchHit(
        id=ident,
        kind=kind,
        agent_id="nexus",
        timestamp="2026-11-22T10:00:00.000000Z",
        action_type="note",
        text=text,
        action_details={"text": text, **details},
        tags=[],
        importance_score=0.5,
        source_episodes=[ident],
        score=0.5,
        ranks=Ranks(text=1, vector=None),
    )


def episode(ident: str, text: str = "", **fields: Any) -> EpisodeView:
    known: dict[str, Any] = {
        "episode_id": ident,
        "kind": "episode",
        "agent_id": "nexus",
        "timestamp": "2026-11-22T10:00:00.000000Z",
        "action_type": "note",
        "action_details": {"text": text},
        "context_state": None,
        "importance_score": 0.5,
        "tags": [],
        "consolidated": False,
        "cross_reference": None,
        "project_dna_id": None,
        "handoff_packet": None,
        "session_id": None,
        "subject": "",
        "stream_seq": 1,
        "recorded_at": "2026-11-22T10:00:00.000000Z",
    }
    return EpisodeView(**{**known, **fields})


def lesson(ident: str, topic: str, content: str, similarity: float = 0.6) -> RelevantLesson:
    return RelevantLesson(ident, "aria", Lesson(topic=topic, content=content, domain="technical"), similarity)
