"""Lessons: how what the mesh has learned bears on a case. A lesson weighs by its stance, its nearness and its confidence."""

from agents.minds import options, stance
from agents.minds.case import Case, KnownLesson
from agents.minds.reasons import Reason, capped
from agents.relevance import similarity

LESSON_WEIGHT = 4.0
"""Log-odds of a plain warning or recommendation, wholly about the case and wholly certain."""
OTHER_DOMAIN_SHARE = 0.5
"""What a lesson of another domain than the proposal's counts."""
RELEVANCE_MIN = 0.15
"""Below this relevance (0…1) a lesson is about something else."""
STANCE_MIN = 0.1
"""Below this stance a lesson says neither do nor don't."""
MENTION = 0.3
"""How far a lesson speaks for an option of several that it names without a word of praise or warning."""
FORCE_MAX = 5.0
"""Most log-odds that all lessons make together."""
TOPIC_SHOWN_LEN_MAX = 60
"""Characters of a topic that a rationale quotes."""


def weigh(case: Case) -> list[Reason]:
    """Reasons from the lessons of the case."""
    return capped([reason for known in case.lessons for reason in _reasons(case, known)], FORCE_MAX)


def relevance(case: Case, known: KnownLesson) -> float:
    """How much a lesson bears on the case, 0…1: its similarity, or that of title and topic where this is greater."""
    near = max(known.similarity, similarity(case.proposal.title, known.lesson.topic))
    here, there = case.proposal.domain, known.lesson.domain
    return near * (OTHER_DOMAIN_SHARE if here and there and here != there else 1.0)


def text(known: KnownLesson) -> str:
    return f"{known.lesson.topic}. {known.lesson.content}"


def _reasons(case: Case, known: KnownLesson) -> list[Reason]:
    near = relevance(case, known)
    if near < RELEVANCE_MIN:
        return []
    topic = known.lesson.topic
    shown = topic if len(topic) <= TOPIC_SHOWN_LEN_MAX else topic[: TOPIC_SHOWN_LEN_MAX - 1] + "…"
    phrase = f"lesson {known.lesson_id} “{shown}” (similarity {near:.2f}, confidence {known.lesson.confidence:.2f})"
    weight = LESSON_WEIGHT * near * known.lesson.confidence
    return [
        Reason(strength, weight, phrase, (known.lesson_id,), option)
        for option, strength in _stances(case, known).items()
        if abs(strength) >= STANCE_MIN
    ]


def _stances(case: Case, known: KnownLesson) -> dict[str | None, float]:
    """The lesson's stance on the proposal, or, where there are several options, on each that it speaks of."""
    ballot = options.ballot(case.proposal.options)
    if ballot.favour is not None:
        proposal = f"{case.proposal.title} {case.proposal.description}"
        return {None: stance.stance_towards(text(known), proposal, similarity)}
    words = options.distinct_terms(ballot.candidates)
    return {o: stance.stance_on(text(known), words[o]) or MENTION for o in options.spoken_of(ballot, text(known))}
