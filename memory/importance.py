"""How important an event of a protocol is to remember, 0…1, where nobody said so.

What ends something weighs most, what a person or an agent meant to tell weighs more than what merely happened, and
receipts least. Lessons weigh their confidence, and actions say it themselves (`importance_score`).
"""

from typing import Final

from bus import subjects

DEFAULT: Final = 0.5
"""For rows that are not named here."""

IMPORTANCE: Final = {
    subjects.DECISION.name: 0.7,
    subjects.TASK_FAILED.name: 0.7,
    subjects.TASK_RESULT.name: 0.6,
    subjects.TASK_FINISHED.name: 0.6,
    subjects.PROPOSAL.name: 0.6,
    subjects.VOTE.name: 0.5,
    subjects.TASK_SUBMITTED.name: 0.5,
    subjects.TASK_INPUT.name: 0.5,
    subjects.TASK_CANCEL.name: 0.4,
    subjects.OPENED.name: 0.3,
    subjects.AFFECT.name: 0.3,
    subjects.STIMULUS.name: 0.3,
    subjects.MEMBER.name: 0.3,
    subjects.TASK_ASSIGNED.name: 0.3,
    subjects.TASK_SPLIT.name: 0.3,
    subjects.TASK_PROGRESS.name: 0.2,
    subjects.CONCEPT.name: 0.2,
    subjects.FORGOTTEN.name: 0.2,
    subjects.DEADLINE.name: 0.1,
    subjects.INTEGRATED.name: 0.1,
    subjects.LESSONS_REFUSED.name: 0.3,
    subjects.SEAL.name: 0.1,
}

ECHOES: Final = frozenset(
    row.name
    for row in (
        subjects.OPENED,
        subjects.DECISION,
        subjects.DEADLINE,
        subjects.TASK_ASSIGNED,
        subjects.TASK_SPLIT,
        subjects.TASK_FINISHED,
        subjects.MEMBER,
        subjects.INTEGRATED,
        subjects.AFFECT,
        subjects.CONCEPT,
        subjects.FORGOTTEN,
        subjects.SEAL,
    )
)
"""Events that say in words only what another event says already (an opening repeats its proposal, an assignment its task).
They are remembered and found by their type, but their words and vectors would only stand in the way of the first."""


def importance(name: str) -> float:
    """The importance of an event of the row called `name`."""
    return IMPORTANCE.get(name, DEFAULT)
