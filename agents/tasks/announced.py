"""A result must be what its agent announced: checked against the skill's output schema, as the log last told it."""

from typing import Any

from agents.json_schema import SchemaError, faults
from schemas.members import Profile
from schemas.tasks import Submission, TaskError

FAULTS_TOLD_MAX = 3
"""Most faults of one output that are told."""
BAD_OUTPUT = "bad_output"
"""The code of a task whose result is not what was announced."""


def bad_output(profile: Profile | None, task: Submission, skill: str | None, output: Any) -> TaskError | None:
    """Why this output of `skill` cannot be taken, or None.

    Nothing is announced, or several skills are required, whose outputs nobody announces together: anything is taken. What cannot be decided
    without matching a pattern, or in many steps, is taken too: patterns of strangers are not matched in an agent's loop.
    """
    if profile is None or len(set(task.required_skills)) > 1:
        return None
    schema = next((s.output_schema for s in profile.skill_list() if s.name == skill), {})
    try:
        found = faults(schema, output, _never_matched, known_only=False)
    except SchemaError:
        return None
    if not found:
        return None
    told = "; ".join(f"{fault.path or 'the whole'}: {fault.message}" for fault in found[:FAULTS_TOLD_MAX])
    return TaskError(code=BAD_OUTPUT, message=f"the output of {skill} is not what was announced: {told}")


def _never_matched(pattern: str, _: str) -> bool:
    raise SchemaError(f"{pattern} is not matched here")
