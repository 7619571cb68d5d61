"""Skills of the specification that cannot be performed yet: each says so in its error, and why."""

from functools import partial
from typing import Any

import msgspec

from agents.skills.skill import Skill, SkillContext, SkillError

LANGUAGE_MODEL = {
    "code_generation": "Write program code from a description.",
    "architecture_design": "Design the parts of a system and how they work together.",
}
"""These need a language model, which this agent's mind is not."""


class Anything(msgspec.Struct, frozen=True):
    """No field is looked at."""


async def _refuse(name: str, _: SkillContext, __: Any) -> Anything:
    raise SkillError("needs_language_model", f"{name} needs a language model, and there is none here")


ABSENT = [
    Skill(name=name, description=text, input=Anything, output=Anything, run=partial(_refuse, name), needs_language_model=True)
    for name, text in LANGUAGE_MODEL.items()
]
