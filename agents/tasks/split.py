"""A task whose required skills no one agent has: how it is split into parts, one for each skill. Pure.

The parts are worked on at the same time, but for one whose skill announces that it needs more than the input holds: that one waits
for all parts before it, in the order in which the skills are required, and finds their outputs in `input.dependencies`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from agents.tasks.matching import having
from schemas.members import Profile
from schemas.tasks import Submission, Subtask
from schemas.words import TITLE_LEN_MAX


def scattered(task: Submission, listed: Mapping[str, Profile]) -> bool:
    """Whether each required skill is there, and no one agent has them all; agents count that are gone for a moment only."""
    agents = [set(names) for names in having(task, listed).values()]
    return bool(agents) and all(agents) and not set.intersection(*agents)


def parts(task: Submission, listed: Mapping[str, Profile]) -> list[Subtask]:
    """One part for each required skill, called after it; together they are the task."""
    made: list[Subtask] = []
    for skill in dict.fromkeys(task.required_skills):
        given = input_of(task, skill)
        waits = lacking(skill, given, list(listed.values()))
        made.append(
            Subtask(
                id=skill,
                title=f"{task.title}: {skill}"[:TITLE_LEN_MAX],
                description=task.description,
                required_skills=[skill],
                input=given,
                domain=task.domain,
                depends_on=[part.id for part in made] if waits else [],
            )
        )
    return made


def input_of(task: Submission, skill: str) -> dict[str, Any]:
    """The input of one skill: what stands under its name, and all that stands under no skill's name."""
    others = {name for name in task.required_skills if isinstance(task.input.get(name), dict)}
    shared = {key: value for key, value in task.input.items() if key not in others}
    return {**shared, **task.input[skill]} if skill in others else shared


def lacking(skill: str, given: Mapping[str, Any], profiles: Sequence[Profile]) -> list[str]:
    """The fields that everyone who has this skill says it needs and that are not given."""
    schemas = [s.input_schema for p in profiles for s in p.skill_list() if s.name == skill]
    missing = [[field for field in _required(schema) if field not in given] for schema in schemas]
    return min(missing, key=len, default=[])


def _required(schema: Mapping[str, Any]) -> list[str]:
    """The fields a JSON Schema demands; a reference to a definition of its own is followed once."""
    reference = schema.get("$ref")
    if isinstance(reference, str):
        found = schema.get("$defs", {})
        schema = found.get(reference.rpartition("/")[2], {}) if isinstance(found, dict) else {}
    required = schema.get("required", []) if isinstance(schema, dict) else []
    return [field for field in required if isinstance(field, str)] if isinstance(required, list) else []


def reason(task: Submission, listed: Mapping[str, Profile]) -> str:
    """Why it is split, in a sentence that names who has what."""
    shares = "; ".join(f"{skill}: {', '.join(agents)}" for skill, agents in having(task, listed).items())
    return f"no one agent has all required skills ({shares}), so each is a part of its own"
