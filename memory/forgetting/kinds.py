"""Which events may be forgotten alone, which only together with all that came of them, and which belong to the mesh. Pure."""

from typing import Final

from bus import subjects

ALONE: Final = frozenset(
    row.name
    for row in (
        subjects.EPISODE,
        subjects.LESSON,
        subjects.VOTE,
        subjects.AFFECT,
        subjects.STIMULUS,
        subjects.TASK_ASSIGNED,
        subjects.TASK_PROGRESS,
        subjects.TASK_INPUT,
        subjects.TASK_RESULT,
        subjects.TASK_FAILED,
        subjects.TASK_CANCEL,
    )
)
"""What an agent said. Receipts of lessons and changes of membership say nothing but that, and stay."""
ROOTS: Final = frozenset({subjects.PROPOSAL.name, subjects.TASK_SUBMITTED.name})
"""What others answer to, and quote: forgotten with everything about that proposal or task."""
COPIES: Final = frozenset({subjects.DECISION.name, subjects.TASK_FINISHED.name})
"""What the mesh writes down of a vote or a result; it stays, and is named among what remains."""
CONSENSUS: Final = tuple(row.name for row in subjects.TABLE if row.stream and row.name.startswith("consensus."))
TASKS: Final = tuple(row.name for row in subjects.TABLE if row.stream and row.name.startswith("task."))
SPANS: Final = (
    (CONSENSUS, subjects.OPENED.name, subjects.DECISION.name, "proposal"),
    (TASKS, subjects.TASK_SUBMITTED.name, subjects.TASK_FINISHED.name, "task"),
)
"""Events about one thing: what begins it, what ends it, and what it is called."""
