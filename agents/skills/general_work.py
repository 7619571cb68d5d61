"""Work of any kind: a task that asks for no skill, done by a language model as well as words can do it.

No skill that is announced: an agent with a language model takes what would otherwise fail for want of one. The answer is text with the ids
it rests on; those that were not before the model are left out. Nothing is executed, sent or changed.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from agents.llm.prompt import Datum
from agents.skills.model_work import background, work
from agents.skills.skill import Skill, SkillContext, Speech


class AnyTask(msgspec.Struct, frozen=True, kw_only=True):
    """The task as it was submitted."""

    title: str
    description: str = ""
    input: dict[str, Any] = {}


class Written(msgspec.Struct, frozen=True):
    """What the model writes. `open_points` are what it could not do or does not know."""

    answer: Annotated[str, Meta(min_length=1, max_length=40_000)]
    evidence: Annotated[list[Annotated[str, Meta(max_length=255)]], Meta(max_length=100)] = []
    open_points: Annotated[list[Annotated[str, Meta(max_length=1_000)]], Meta(max_length=20)] = []


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """The answer, the ids it rests on, and what is left open."""

    answer: str
    evidence: list[str]
    open_points: list[str]


WRITING = (
    "Do the task as well as it can be done in words. You can change nothing and run nothing; say under open_points what the task needs"
    " beyond that, and what you do not know."
)


async def _run(context: SkillContext, task: AnyTask) -> Done:
    asked = f"{task.title}\n{task.description}".strip()
    data = [Datum(kind="task", text=asked, whole=True)]
    data += [Datum(kind="input", text=msgspec.json.encode(task.input).decode(), whole=True)] if task.input else []
    said, recalled = await work(context, GENERAL_WORK.name, WRITING, data, await background(context, asked), Written)
    return Done(answer=said.answer, evidence=[i for i in said.evidence if i in recalled], open_points=said.open_points)


def _say(done: Done) -> str:
    return "\n".join([done.answer, *(f"Open: {point}" for point in done.open_points)])


GENERAL_WORK = Skill(
    name="general_work",
    description="Do a task that asks for no skill, in words.",
    input=AnyTask,
    output=Done,
    run=_run,
    needs_language_model=True,
    speech=Speech(wants="any words", hear=lambda text: AnyTask(title=text), say=_say),
)
