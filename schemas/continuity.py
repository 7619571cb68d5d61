"""Continuity: what an agent needs to go on where it stopped."""

from typing import Any

from schemas.memory import EpisodeView, WorkingView
from schemas.words import Body, Reply, Token


class ContinuityRequest(Body, frozen=True, kw_only=True):
    """`memory.continuity`, `GET /memory/continuity/{agent_id}`."""

    agent_id: Token


class OpenTask(Reply, frozen=True, kw_only=True):
    """A task that this agent was assigned and that has not ended, with the last handoff packet about it."""

    task_id: str
    title: str
    fence: int
    assigned_at: str
    input: dict[str, Any]
    handoff_packet: dict[str, Any] | None


class Handoff(Reply, frozen=True, kw_only=True):
    """A handoff packet and the episode that carries it."""

    episode_id: str
    project_dna_id: str | None
    handoff_packet: dict[str, Any]
    timestamp: str


class AffectThen(Reply, frozen=True, kw_only=True):
    """The last affect that the agent published."""

    valence: float
    arousal: float
    dominance: float
    label: str
    cause: str
    updated_at: str


class Continuity(Reply, frozen=True, kw_only=True):
    """Open tasks, oldest first; the last handoff packet and the latest one of each project; recent important episodes; working memory."""

    agent_id: str
    open_tasks: list[OpenTask]
    last_handoff: Handoff | None
    projects: list[Handoff]
    recent_important: list[EpisodeView]
    working_memory: list[WorkingView]
    affect: AffectThen | None
