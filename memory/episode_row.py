"""From an entry of the log to the row that remembers it. Pure: the same entry gives the same row, on every rebuild."""

import hashlib
import re
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from bus import subjects
from memory.importance import ECHOES, importance
from memory.indexed_text import content, labels
from schemas.entry import Entry
from schemas.learning import Lesson
from schemas.memory import Action

LESSON_TYPE: Final = "lesson"
URGENT: Final = 0
"""Embedded first: what somebody said on purpose."""
IN_TURN: Final = 1
"""Embedded when there is time: what the protocols wrote."""
RECEIPT: Final = "recalled"
"""The field of votes and results that holds the ids of what was recalled."""
NUL_ESCAPE: Final = b"\\u0000"
ESCAPE: Final = re.compile(rb"\\(?:u0000|.)")
"""Each escape of a JSON text from the left, so that `\\\\u0000`, an escaped backslash and five characters, is left alone."""
ABSENT: Final = "\ufffd"
"""PostgreSQL cannot store NUL; the replacement character stands in its place."""


class EpisodeRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `episodes`; JSON columns and tags are JSON text already. `entry` is what it was made of, `labels` and
    `urgency` are for its passages; these three are no columns.
    """

    entry: Entry
    episode_id: str
    kind: Literal["episode", "lesson"]
    agent_id: str
    timestamp: datetime
    action_type: str
    action_details: str
    context_state: str | None
    importance_score: float
    tags: str
    cross_reference: str | None
    project_dna_id: str | None
    handoff_packet: str | None
    session_id: str | None
    subject: str
    stream_seq: int
    recorded_at: datetime
    content_hash: bytes
    content: str
    labels: str
    urgency: int | None
    """When it gets its vector; None: never."""

    @property
    def size_bytes(self) -> int:
        """About how much of it travels to PostgreSQL; the text counts at most four bytes a character."""
        return len(self.action_details) + len(self.content) + len(self.context_state or "") + len(self.handoff_packet or "")


def episode_row(entry: Entry) -> EpisodeRow:
    """The row of a well-formed entry. Raises RecursionError where its body is nested too deeply to be written again."""
    body = msgspec.to_builtins(entry.body)
    cleaned = storable(body)
    action = _remembered(entry, cleaned) if cleaned is not body or not isinstance(entry.body, Action) else entry.body
    return _row(entry, action, cleaned)


def _remembered(entry: Entry, body: dict[str, Any]) -> Action:
    """The entry as an action: an action is one, a lesson becomes one, and so does what any other protocol wrote."""
    if isinstance(entry.body, Action):
        return msgspec.convert(body, Action)
    if isinstance(entry.body, Lesson):
        return Action(action_type=LESSON_TYPE, action_details=body, importance_score=entry.body.confidence, tags=body["tags"])
    return Action(action_type=entry.name, action_details=with_tokens(body, entry.tokens), importance_score=importance(entry.name))


def _row(entry: Entry, action: Action, body: dict[str, Any]) -> EpisodeRow:
    is_lesson = isinstance(entry.body, Lesson)
    shown = f"{body['topic']}\n{body['content']}" if is_lesson else content(_worded(entry, action.action_details))
    return EpisodeRow(
        entry=entry,
        episode_id=plain(entry.event_id),
        kind="lesson" if is_lesson else "episode",
        agent_id=entry.agent,
        timestamp=action.timestamp or entry.time,
        action_type=action.action_type,
        action_details=_json(action.action_details),
        context_state=_json_or_none(action.context_state),
        importance_score=action.importance_score,
        tags=_json(action.tags),
        cross_reference=action.cross_reference,
        project_dna_id=action.project_dna_id,
        handoff_packet=_json_or_none(action.handoff_packet),
        session_id=action.session_id,
        subject=entry.subject,
        stream_seq=entry.seq,
        recorded_at=entry.time,
        content_hash=content_hash(entry.subject, body),
        content="" if entry.name in ECHOES else shown,
        labels=labels(action.action_type, action.tags),
        urgency=_urgency(entry),
    )


def _worded(entry: Entry, details: dict[str, Any]) -> dict[str, Any]:
    """What of the details is words. Receipts are ids, dozens of them, and would drown what a vote says."""
    return details if isinstance(entry.body, Action) else {name: said for name, said in details.items() if name != RECEIPT}


def _urgency(entry: Entry) -> int | None:
    if entry.name in ECHOES:
        return None
    return URGENT if entry.name in {subjects.EPISODE.name, subjects.LESSON.name} else IN_TURN


def content_hash(subject: str, body: Any) -> bytes:
    """SHA-256 of what was said and where, the same for the same content however its JSON was written."""
    return hashlib.sha256(msgspec.json.encode([subject, body], order="deterministic")).digest()


def with_tokens(body: dict[str, Any], tokens: dict[str, str]) -> dict[str, Any]:
    """The body with the variable tokens of its subject beside it (the agent has a column of its own).

    Where the body uses a token's name itself, the token is called `<name>_id`: an assignment holds its `task` whole.
    """
    named = {name if name not in body else f"{name}_id": token for name, token in tokens.items() if name != "agent"}
    return {**body, **named}


def plain(text: str) -> str:
    return text.replace("\0", ABSENT)


def storable(value: Any) -> Any:
    """`value` without NUL characters in its strings and keys; the value itself where there are none, which is nearly always."""
    data = msgspec.json.encode(value)
    if NUL_ESCAPE not in data:
        return value
    return msgspec.json.decode(ESCAPE.sub(lambda m: ABSENT.encode() if m[0] == NUL_ESCAPE else m[0], data))


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _json_or_none(value: Any) -> str | None:
    return None if value is None else _json(value)
