"""Emotional synchronisation: affect in the PAD model (valence, arousal, dominance, each −1…1) and what moves it."""

from typing import Literal

from schemas.words import Body, Reply, Signed, Text, Token, Unit

StimulusEvent = Literal[
    "task_succeeded",
    "task_failed",
    "proposal_accepted",
    "proposal_rejected",
    "error",
    "overload",
    "praise",
    "blame",
    "threat",
    "relief",
]


class Affect(Body, frozen=True, kw_only=True):
    """`mesh.emotion.<agent>`: an agent's state. Where `label` is empty it is derived from the three numbers."""

    valence: Signed
    arousal: Signed
    dominance: Signed
    label: str = ""
    cause: Text = ""


class Stimulus(Body, frozen=True, kw_only=True):
    """`mesh.emotion.<agent>.stimulus`: what an agent was asked to appraise: an event, a pull towards a point, or both."""

    cause: Text
    event: StimulusEvent | None = None
    valence: Signed | None = None
    arousal: Signed | None = None
    dominance: Signed | None = None
    intensity: Unit = 0.5

    def __post_init__(self) -> None:
        if self.event is None and self.valence is None and self.arousal is None and self.dominance is None:
            raise ValueError("a stimulus needs an event or at least one of valence, arousal, dominance")


class StimulusRequest(Stimulus, frozen=True, kw_only=True):
    """`ask.stimulus`, `POST /neural-mesh/emotional-sync`."""

    agent: Token


class AffectView(Reply, frozen=True, kw_only=True):
    """An agent's affect as last published."""

    valence: float
    arousal: float
    dominance: float
    label: str
    cause: str
    updated_at: str


class Collective(Reply, frozen=True, kw_only=True):
    """The mean affect of all members."""

    valence: float
    arousal: float
    dominance: float
    label: str


class Alignment(Reply, frozen=True, kw_only=True):
    """How the mesh acts on its affect: the share of its normal concurrency it takes, and the confidence an approval needs."""

    task_concurrency_factor: float
    approval_confidence_min: float


class MeshAffect(Reply, frozen=True, kw_only=True):
    """`GET /neural-mesh/emotional-sync`."""

    agents: dict[str, AffectView]
    collective: Collective
    coherence: float
    alignment: Alignment
