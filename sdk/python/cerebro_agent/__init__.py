"""An agent of a Cerebro mesh in a few lines: what it can do, how it votes, what it learns and what it feels, by decorators.

`Agent` is the door. `messages` holds what travels, `errors` what can go wrong; one file for each thing an agent does: `presence`,
`lessons`, `votes`, `affect`, `work`.
"""

from cerebro_agent.agent import Agent
from cerebro_agent.errors import AgentError, NameTaken, NotAdmitted, Refused, SkillError, TooLarge, Unavailable
from cerebro_agent.messages import Affect, Lesson, Proposal, Reply, Stimulus, Vote
from cerebro_agent.task import Task

__all__ = [
    "Affect",
    "Agent",
    "AgentError",
    "Lesson",
    "NameTaken",
    "NotAdmitted",
    "Proposal",
    "Refused",
    "Reply",
    "SkillError",
    "Stimulus",
    "Task",
    "TooLarge",
    "Unavailable",
    "Vote",
]
