"""A built-in agent with the skills of the examples: builtin_agent.py NAME, settings as every actor's."""

import asyncio
import os
import signal
import sys

import msgspec

from agents.skills import SKILLS
from agents.skills.skill import Skill, SkillContext, SkillError
from cerebro.actors import actor
from cerebro.settings import read

STEP_S = 0.5


class Text(msgspec.Struct):
    text: str


class Counted(msgspec.Struct):
    words: int
    longest: str


class Seconds(msgspec.Struct):
    seconds: float


async def count_words(_: SkillContext, given: Text) -> Counted:
    words = given.text.split()
    if not words:
        raise SkillError("nothing_to_count", "the text has no words")
    return Counted(words=len(words), longest=max(words, key=len))


async def countdown(_: SkillContext, given: Seconds) -> float:
    await asyncio.sleep(given.seconds)
    return given.seconds


for skill in (
    Skill(name="count_words", description="Counts words.", input=Text, output=Counted, run=count_words),
    Skill(name="countdown", description="Counts seconds.", input=Seconds, output=float, run=countdown),
):
    SKILLS[skill.name] = skill


async def main() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await actor(sys.argv[1], read(os.environ), lambda: None, stop)


asyncio.run(main())
