"""An agent by the Python SDK: it counts words, counts down, votes, learns and feels.

python agent.py NAME    joins the mesh at CEREBRO_NATS_URL (nats://127.0.0.1:4222) as NAME until Ctrl-C
"""

import asyncio
import sys
from typing import Annotated

import msgspec
from msgspec import Meta

from cerebro_agent import Affect, Agent, Lesson, Proposal, SkillError, Stimulus, Task, Vote

RISK_MAX = 0.5
"""More risk than this is rejected."""
STEP_S = 0.5
"""Seconds between two reports of a countdown."""
PLEASANT = {"task_succeeded", "proposal_accepted", "praise", "relief"}

agent = Agent(sys.argv[1] if len(sys.argv) > 1 else "wordsmith", role="wordsmith", domains=["text"])
known: list[Lesson] = []


class Counted(msgspec.Struct):
    """How many words there are, and the longest of them."""

    words: int
    longest: str


@agent.skill()
async def count_words(text: str) -> Counted:
    """Counts the words of a text and finds the longest."""
    words = text.split()
    if not words:
        raise SkillError("nothing_to_count", "the text has no words")
    return Counted(words=len(words), longest=max(words, key=len))


@agent.skill()
async def countdown(seconds: Annotated[float, Meta(ge=0, le=3_600)], task: Task) -> float:
    """Counts seconds and reports how far it is."""
    counted = 0.0
    while counted < seconds:
        await asyncio.sleep(min(STEP_S, seconds - counted))
        counted = min(seconds, counted + STEP_S)
        await task.progress(fraction=counted / seconds)
    return counted


@agent.vote
async def judge(proposal: Proposal) -> Vote:
    risk = (proposal.attributes or {}).get("risk")
    if risk is None:
        return Vote(choice="abstain", rationale="nothing is said of its risk")
    choice = "reject" if risk > RISK_MAX and "reject" in proposal.options else next(o for o in proposal.options if o != "reject")
    return Vote(choice=choice, confidence=abs(risk - RISK_MAX) + 0.5, rationale=f"its risk is {risk:.2f}")


@agent.on_lesson
async def learn(lesson: Lesson) -> None:
    known.append(lesson)


@agent.on_stimulus
async def appraise(stimulus: Stimulus) -> Affect:
    by = stimulus.intensity if stimulus.event in PLEASANT else -stimulus.intensity if stimulus.event else 0.0
    valence = max(-1.0, min(1.0, agent.affect.valence + by / 2))
    return Affect(valence=valence, arousal=agent.affect.arousal, dominance=agent.affect.dominance, cause=stimulus.cause)


if __name__ == "__main__":
    agent.run()
