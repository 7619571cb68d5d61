"""Who is connected."""

from bus.subjects import ASK_AGENTS
from gateway.call import Answer, Call, reply
from schemas.members import AskAll


async def connected_agents(call: Call) -> Answer:
    """Every agent of the mesh, built-in and external, with its role, skills and status.

    `status` is `active`, `suspect` (heartbeats missed) or `gone`; gone agents are listed for a minute and not counted.
    """
    return reply(await call.ask(ASK_AGENTS, AskAll()))
