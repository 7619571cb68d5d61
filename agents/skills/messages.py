"""A message in plain words as work: which of an agent's skills it is for, and what it says as that skill's input. Pure.

A message that is a JSON object is the input itself. Words are heard by the skills that have `speech`, the agent's default one first.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from agents.relevance import similarity
from agents.skills.skill import Skill, SkillError
from schemas.messages import data_of, text_of

NOT_UNDERSTOOD = "not_understood"
"""The code of a failure where nothing can be made of a message."""
SKILL_FIT_MIN = 0.05
"""Least similarity at which words are taken to ask for a skill that writes with a language model."""


def understand(skills: Sequence[Skill], default: str | None, parts: list[dict[str, Any]]) -> tuple[Skill, Any]:
    """The skill that this message is for, and its input, not checked yet where it came as JSON.

    Raises `SkillError` `not_understood`, which says what could be understood.
    """
    ordered = sorted(skills, key=lambda s: s.name != default)
    data, text = data_of(parts), text_of(parts)
    if data is not None and (fitting := _fitting(ordered, data)):
        return fitting, data
    near = sorted(ordered, key=lambda s: -_similarity(text, s))  # one that writes would hear anything: it is asked if nothing is nearer
    for skill in [s for s in ordered if not s.needs_language_model] + [s for s in near[:1] if s.needs_language_model]:
        if skill.needs_language_model and _similarity(text, skill) < SKILL_FIT_MIN:
            continue
        if skill.speech is not None and (given := skill.speech.hear(text)) is not None:
            return skill, given
    raise SkillError(NOT_UNDERSTOOD, f"this can be understood: {_offers(ordered)}")


def _similarity(text: str, skill: Skill) -> float:
    return similarity(text, f"{skill.name.replace('_', ' ')} {skill.description}")


def _fitting(skills: Sequence[Skill], data: dict[str, Any]) -> Skill | None:
    """The first skill that knows each of these fields and takes them."""
    for skill in skills:
        try:
            msgspec.convert(data, skill.input)
        except msgspec.ValidationError:
            continue
        if set(data) <= set(skill.input.__struct_fields__):
            return skill
    return None


def _offers(skills: Sequence[Skill]) -> str:
    spoken = [f"{s.speech.wants} ({s.name})" for s in skills if s.speech is not None and not s.needs_language_model]
    written = [s.name for s in skills if s.speech is None and not s.needs_language_model]
    return "; ".join([*spoken, f"the input of {', '.join(written)} as a JSON object"] if written else spoken)


def heard_by(skill: Skill, parts: list[dict[str, Any]]) -> Any:
    """The message as the input of this very skill. Raises `SkillError` `not_understood` where it is none."""
    if (data := data_of(parts)) is not None:
        return data
    given = skill.speech.hear(text_of(parts)) if skill.speech is not None else None
    if given is None:
        wants = f"{skill.speech.wants}, or " if skill.speech is not None else ""
        raise SkillError(NOT_UNDERSTOOD, f"{skill.name} wants {wants}its input as a JSON object")
    return given
