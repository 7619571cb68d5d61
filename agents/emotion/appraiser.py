"""Appraisal by a language model: how much an event matters to this agent, on OCC's dimensions; the table and the bounds stay the law.

What an event does to valence, arousal and dominance stands in `rules.DELTAS`. The model says only how desirable it is, how unexpected, and
how much it is the agent's own doing, each from half to one and a half of what the table takes for granted. So no text can turn a feeling
round: the sign is the table's, and `rules.appraise` bounds the rest. Where the model is not heard, the table stands as it is.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from agents.emotion.rules import EVEN, WEIGHT_MAX, WEIGHT_MIN, Point, point
from agents.llm import prompt
from agents.llm.door import NoAnswer, Question
from agents.llm.faculty import Faculty
from agents.llm.prompt import Datum
from schemas.emotion import Affect, Stimulus

APPRAISING = (
    "An event happened to your agent. Say how much it matters: desirability (how strongly it touches what the agent wants), surprise (how"
    " unexpected it is), agency (how much it is, or shows, the agent's own doing and control). Each from 0.5 to 1.5; 1 is an ordinary event"
    " of its kind."
)

Weight = Annotated[float, Meta(ge=WEIGHT_MIN, le=WEIGHT_MAX)]


class Appraised(msgspec.Struct, frozen=True):
    """How much the event matters beside an ordinary one of its kind."""

    desirability: Weight
    surprise: Weight
    agency: Weight


class ModelAppraiser:
    """Weighs events for one agent."""

    def __init__(self, faculty: Faculty) -> None:
        self._faculty = faculty

    async def weights(self, felt: Affect, stimulus: Stimulus) -> Point:
        """The weights of valence, arousal and dominance; the table's where the model is not heard."""
        v, a, d = point(felt)
        state = {"valence": v, "arousal": a, "dominance": d}
        event = Datum(kind="event", text=stimulus.cause, fields={"event": stimulus.event, "intensity": stimulus.intensity})
        question = Question(
            purpose="appraise",
            instructions=f"{self._faculty.persona} {APPRAISING} {prompt.RULES}",
            prompt=prompt.whole(f"The agent feels {msgspec.json.encode(state).decode()}. What happened:", [event]),
            answer=Appraised,
            timeout_s=self._faculty.settings.appraisal_timeout_s,
        )
        try:
            said: Appraised = await self._faculty.model.ask(question)
        except NoAnswer:
            return EVEN
        return said.desirability, said.surprise, said.agency
