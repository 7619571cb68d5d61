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

LATER = {
    "final_approval": "Give or refuse the last approval.",
}
"""These are not part of this release."""


class Anything(msgspec.Struct, frozen=True):
    """No field is looked at."""


async def _refuse(code: str, message: str, _: SkillContext, __: Any) -> Anything:
    raise SkillError(code, message)


def _absent(name: str, description: str, code: str, reason: str) -> Skill:
    run = partial(_refuse, code, f"{name} {reason}")
    language_model = code == "needs_language_model"
    return Skill(name=name, description=description, input=Anything, output=Anything, run=run, needs_language_model=language_model)


ABSENT = [
    *(
        _absent(name, text, "needs_language_model", "needs a language model, and there is none here")
        for name, text in LANGUAGE_MODEL.items()
    ),
    *(_absent(name, text, "not_available", "is not part of this release") for name, text in LATER.items()),
]
