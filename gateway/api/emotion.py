"""Emotional synchronisation: how the mesh feels, and stimuli to its agents."""

from bus.subjects import ASK_AFFECT, ASK_STIMULUS
from gateway.call import Answer, Call, reply
from schemas.members import AskAll


async def affect(call: Call) -> Answer:
    """The affect of each agent and of all together (PAD model, each −1…1), its coherence, and what follows from it."""
    return reply(await call.ask(ASK_AFFECT, AskAll()))


async def stimulate(call: Call) -> Answer:
    """Give an agent something to appraise: an event, a pull towards a point, or both. Answers with the state that resulted."""
    return reply(await call.ask(ASK_STIMULUS, call.body), 202)
