"""The law of emotion: appraisal, decay, labels, and what the mesh makes of all affects together. Time is an argument.

Sources: A. Ortony, G. L. Clore, A. Collins, *The Cognitive Structure of Emotions* (OCC), 1988, for which events move an agent
and in which direction; A. Mehrabian, "Pleasure-arousal-dominance", *Current Psychology* 14, 1996, for the space and its eight
octants; P. Gebhard, "ALMA", AAMAS 2005, table 2, for where the OCC emotions lie in it.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import combinations

import msgspec

from schemas.consensus import ABSTAIN, REJECT, Decision
from schemas.emotion import Affect, AffectView, Alignment, Collective, Stimulus, StimulusEvent
from schemas.entry import Entry
from schemas.tasks import Finished
from schemas.words import rfc3339

DRIFT_MIN = 0.05
"""How far (Euclid) decay must have carried a state since it was last published, to be published again."""
DRIFT_PAUSE_S = 5.0
"""Least seconds between a publication and one because of drift."""
APPRAISAL_AGE_S_MAX = 600.0
"""What happened longer ago than this is not appraised any more: two half-lives, most of it would have faded."""
LOAD_OVERLOAD = 0.9
"""Above this load (0…1) an agent feels overload, once."""
LOAD_RELIEVED = 0.7
"""Below this load it may feel overload again."""
OUTCOME_INTENSITY = 0.5
"""How strongly an agent takes the end of its own task or proposal."""
VOTE_LOST_INTENSITY = 0.2
"""How strongly it takes a decision against its vote: it had its say."""
WEIGHT_MIN, WEIGHT_MAX = 0.5, 1.5
"""How much less and how much more than the table says an event may move a coordinate."""
CAUSE_TITLE_LEN_MAX = 80
"""Characters of a title that a cause quotes."""

Point = tuple[float, float, float]
"""Valence, arousal, dominance."""

EVEN: Point = (1.0, 1.0, 1.0)
"""The weights of an ordinary event: what the table says."""
DELTAS: Mapping[StimulusEvent, Point] = {
    # desirability of consequences for oneself, confirmed: satisfaction, with some pride in one's own doing
    "task_succeeded": (0.40, 0.10, 0.35),
    # the same, disappointed: distress and shame, and alert, as something is to be done
    "task_failed": (-0.35, 0.20, -0.35),
    # prospect confirmed, others agree: satisfaction
    "proposal_accepted": (0.30, 0.05, 0.25),
    # prospect disconfirmed: disappointment (ALMA −.3 .1 −.4), softened, as being outvoted is no failure of one's own
    "proposal_rejected": (-0.30, 0.10, -0.25),
    # undesirable and unexpected: distress with surprise
    "error": (-0.25, 0.25, -0.20),
    # prospect of failing all that is asked: fear with loss of control
    "overload": (-0.20, 0.50, -0.40),
    # praiseworthiness of one's own action, as others see it: pride (ALMA .4 .3 .3)
    "praise": (0.40, 0.30, 0.30),
    # blameworthiness: shame (ALMA −.3 .1 −.6)
    "blame": (-0.30, 0.10, -0.60),
    # undesirable prospect: fear (ALMA −.64 .60 −.43)
    "threat": (-0.64, 0.60, -0.43),
    # undesirable prospect disconfirmed: relief (ALMA .2 −.3 .4)
    "relief": (0.20, -0.30, 0.40),
}
"""How far each event moves an affect at intensity 1: valence, arousal, dominance."""
HALF_LIVES_S: Point = (300.0, 120.0, 300.0)
"""Seconds after which half the way back to the temperament is done; arousal is the first to calm down."""
NEUTRAL_RADIUS = 0.15
"""An affect nearer to the origin than this has the label `neutral`."""
DIGITS = 4
"""Decimals of a published number."""
DISTANCE_MAX = 2 * math.sqrt(3)
"""The diagonal of the PAD cube."""

CONCURRENCY_FACTOR_MIN = 0.25
"""The share of its normal concurrency that even a mesh in utter distress takes."""
CONFIDENCE_CALM = 0.5
"""The confidence an approval needs in an unstressed mesh."""
CONFIDENCE_STRESSED = 0.9
"""The confidence an approval needs in utter distress."""
INCOHERENT_SHARE = 0.5
"""How much of its stress a mesh acts on whose members feel as differently as can be; all of it where they feel alike."""

OCTANTS: Mapping[tuple[bool, bool, bool], str] = {
    (True, True, True): "exuberant",
    (True, True, False): "dependent",
    (True, False, True): "relaxed",
    (True, False, False): "docile",
    (False, False, False): "bored",
    (False, False, True): "disdainful",
    (False, True, False): "anxious",
    (False, True, True): "hostile",
}
"""Mehrabian's eight temperaments by the signs of valence, arousal and dominance (True: not negative)."""


def point(affect: Affect | Collective) -> Point:
    """Where an affect lies."""
    return affect.valence, affect.arousal, affect.dominance


def label(valence: float, arousal: float, dominance: float) -> str:
    """The octant a point lies in, or `neutral` near the origin (Mehrabian 1996)."""
    if math.hypot(valence, arousal, dominance) < NEUTRAL_RADIUS:
        return "neutral"
    return OCTANTS[valence >= 0, arousal >= 0, dominance >= 0]


def named(at: Point, cause: str) -> Affect:
    """The affect at a point, clamped to −1 … 1 and rounded, with its label."""
    v, a, d = (round(max(-1.0, min(1.0, x)), DIGITS) + 0.0 for x in at)
    return Affect(valence=v, arousal=a, dominance=d, label=label(v, a, d), cause=cause)


def labelled(affect: Affect) -> Affect:
    """An affect as others said it, its label derived where they gave none."""
    return affect if affect.label else msgspec.structs.replace(affect, label=label(*point(affect)))


def appraise(state: Affect, stimulus: Stimulus, weights: Point = EVEN) -> Affect:
    """What a stimulus makes of a state (OCC).

    The event moves it by its delta times the intensity, each coordinate by its weight more or less, within bounds; then each
    coordinate given is pulled towards its value, by `intensity` of the way: 1 goes there, 0 stays.
    """
    deltas = DELTAS[stimulus.event] if stimulus.event else (0.0, 0.0, 0.0)
    moved = [delta * max(WEIGHT_MIN, min(WEIGHT_MAX, weight)) for delta, weight in zip(deltas, weights, strict=True)]
    pulls = (stimulus.valence, stimulus.arousal, stimulus.dominance)
    strength = stimulus.intensity
    at = [max(-1.0, min(1.0, x + strength * delta)) for x, delta in zip(point(state), moved, strict=True)]
    v, a, d = (x if pull is None else x + strength * (pull - x) for x, pull in zip(at, pulls, strict=True))
    return named((v, a, d), stimulus.cause)


def decay(state: Affect, temperament: Point, elapsed_s: float) -> Affect:
    """The state `elapsed_s` seconds later, with nothing happening: exponentially nearer to the temperament, by half each
    half-life of its coordinate. Two decays in a row are one over their sum. Cause and, at 0 s, label stay.
    """
    if elapsed_s <= 0:
        return state
    coordinates = zip(point(state), temperament, HALF_LIVES_S, strict=True)
    v, a, d = (home + (x - home) * 0.5 ** (elapsed_s / half_life_s) for x, home, half_life_s in coordinates)
    return Affect(valence=v, arousal=a, dominance=d, label=label(v, a, d), cause=state.cause)


def collective(states: Sequence[Affect]) -> Collective:
    """The mean of all states; the origin where there are none."""
    axes = list(zip(*map(point, states), strict=True)) or [(0.0,)] * 3
    v, a, d = (round(math.fsum(axis) / len(axis), DIGITS) + 0.0 for axis in axes)
    return Collective(valence=v, arousal=a, dominance=d, label=label(v, a, d))


def coherence(states: Sequence[Affect]) -> float:
    """How alike the states are: 1 − mean pairwise distance / (2·√3); 1 for one state, and for none."""
    distances = [math.dist(point(x), point(y)) for x, y in combinations(states, 2)]
    mean = math.fsum(distances) / len(distances) if distances else 0.0
    return max(0.0, round(1 - mean / DISTANCE_MAX, DIGITS))


def stress(felt: Collective, cohering: float) -> float:
    """How much stress a mesh acts on, 0 … 1.

    Displeasure makes it, and arousal up to doubles it (distress lies at negative valence and high arousal; Russell 1980):
    `max(0, −valence) · (1 + max(0, arousal)) / 2`, of which a mesh that feels as one acts on all, an incoherent one on half.
    """
    felt_stress = max(0.0, -felt.valence) * (1 + max(0.0, felt.arousal)) / 2
    return felt_stress * (INCOHERENT_SHARE + (1 - INCOHERENT_SHARE) * cohering)


def alignment(felt: Collective, cohering: float) -> Alignment:
    """What the mesh does about its stress s: `task_concurrency_factor = 1 − 0.75·s`, `approval_confidence_min = 0.5 + 0.4·s`."""
    s = max(0.0, min(1.0, stress(felt, cohering)))
    return Alignment(
        task_concurrency_factor=round(1 - (1 - CONCURRENCY_FACTOR_MIN) * s, DIGITS),
        approval_confidence_min=round(CONFIDENCE_CALM + (CONFIDENCE_STRESSED - CONFIDENCE_CALM) * s, DIGITS),
    )


def distance(x: Affect, y: Affect) -> float:
    """How far two affects lie apart (Euclid), 0 … 2·√3."""
    return math.dist(point(x), point(y))


class Felt(msgspec.Struct, frozen=True):
    """An agent's state as it stands in the log: at `seq`, since `time`, under `event_id`."""

    affect: Affect
    seq: int
    time: datetime
    event_id: str

    def view(self) -> AffectView:
        """As it is shown; `updated_at` is the time of its entry."""
        a = self.affect
        return AffectView(
            valence=a.valence,
            arousal=a.arousal,
            dominance=a.dominance,
            label=a.label,
            cause=a.cause,
            updated_at=rfc3339(self.time),
        )


def apply(before: Felt | None, entry: Entry) -> Felt:
    """Fold an agent's own word on how it feels: the last one holds."""
    if before is not None and entry.seq <= before.seq:
        return before
    return Felt(labelled(entry.body), entry.seq, entry.time, entry.event_id)


def now_felt(felt: Felt, temperament: Point, now: datetime) -> Affect:
    """How an agent feels at `now`, if nothing happened since it last said so."""
    return decay(felt.affect, temperament, (now - felt.time).total_seconds())


def drifted(felt: Felt, temperament: Point, now: datetime) -> bool:
    """Whether decay alone is worth a publication."""
    rested = (now - felt.time).total_seconds() >= DRIFT_PAUSE_S
    return rested and distance(now_felt(felt, temperament, now), felt.affect) > DRIFT_MIN


def stimulus_in(agent: str, own_proposals: Mapping[str, str], entry: Entry) -> Stimulus | None:
    """How `agent` must appraise this entry of the log, or None where it does not concern it.

    `own_proposals` are the proposals it made that were open before this entry, with their titles.
    """
    match entry.body:
        case Stimulus() as asked if entry.agent == agent:
            return asked
        case Finished(agent=doer) as end if doer == agent:
            return _task_ended(end, entry.tokens["task"])
        case Decision() as decision:
            return _decided(decision, agent, own_proposals, entry.tokens["proposal"])
    return None


def _task_ended(end: Finished, task: str) -> Stimulus | None:
    """Cancelled work is nobody's success or failure; work that ran out of time is a failure."""
    if end.status == "cancelled":
        return None
    event: StimulusEvent = "task_succeeded" if end.status == "succeeded" else "task_failed"
    return Stimulus(event=event, intensity=OUTCOME_INTENSITY, cause=f"task {task} {end.status}")


def _decided(decision: Decision, agent: str, own_proposals: Mapping[str, str], proposal: str) -> Stimulus | None:
    if proposal in own_proposals:
        event: StimulusEvent = "proposal_accepted" if decision.status == "accepted" else "proposal_rejected"
        cause = f"own proposal {proposal} “{own_proposals[proposal][:CAUSE_TITLE_LEN_MAX]}” {decision.status}"
        return Stimulus(event=event, intensity=OUTCOME_INTENSITY, cause=cause)
    lost = any(v.agent == agent and v.counted and vote_lost(v.choice, decision) for v in decision.votes)
    cause = f"vote lost: proposal {proposal} was {decision.status}"
    return Stimulus(event="proposal_rejected", intensity=VOTE_LOST_INTENSITY, cause=cause) if lost else None


def vote_lost(choice: str, decision: Decision) -> bool:
    """Whether a decision went against this vote. Nobody loses by abstaining, or when time runs out."""
    if choice == ABSTAIN or decision.status == "expired":
        return False
    return choice != (decision.choice if decision.status == "accepted" else REJECT)
