"""The agent card (specification 1.0, section 8): the mesh as one agent, with the skills of all that are there now."""

import hashlib
import re
from email.utils import formatdate

import msgspec
from a2a.types import a2a_pb2 as pb

from bus.subjects import ASK_AGENTS
from gateway.a2a import words
from gateway.call import Answer, Call
from gateway.version import VERSION
from schemas.members import AgentsView, AgentView, AskAll

PROTOCOL = "1.0"
RPC_PATH = "/a2a/jsonrpc"
HTTP_PATH = "/a2a"
_HOST = re.compile(r"\A[A-Za-z0-9.-]{1,253}(:\d{1,5})?\Z|\A\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?\Z")


async def agent_card(call: Call) -> Answer:
    """The agent card of A2A: what the mesh can do, and at which addresses it is asked.

    Skills bear the name of the agent that has them. With `If-None-Match` and the tag of the card as it is, 304.
    """
    body = msgspec.json.encode(words.as_json(_card(call, await call.ask(ASK_AGENTS, AskAll()))))
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {
        "etag": tag,
        "cache-control": f"max-age={call.a2a.card_max_age_s}",
        "vary": "Host",
        "last-modified": formatdate(call.gate.card_since(tag), usegmt=True),
    }
    known = {t.strip().removeprefix("W/") for t in call.headers.get("if-none-match", "").split(",")}
    if tag in known or "*" in known:
        return Answer(status=304, headers=headers)
    return Answer(content=body, headers=headers)


def _card(call: Call, members: AgentsView) -> pb.AgentCard:
    url = _url(call)
    bearer = pb.HTTPAuthSecurityScheme(scheme="Bearer", description="a key of this mesh")
    schemes = {"key": pb.SecurityScheme(http_auth_security_scheme=bearer)} if call.gate.guard.asks else {}
    return pb.AgentCard(
        name=call.a2a.name,
        description=call.a2a.description,
        version=VERSION,
        supported_interfaces=[
            pb.AgentInterface(url=url + RPC_PATH, protocol_binding="JSONRPC", protocol_version=PROTOCOL),
            pb.AgentInterface(url=url + HTTP_PATH, protocol_binding="HTTP+JSON", protocol_version=PROTOCOL),
        ],
        capabilities=pb.AgentCapabilities(streaming=True, push_notifications=True, extended_agent_card=False),
        security_schemes=schemes,
        security_requirements=[pb.SecurityRequirement(schemes={name: pb.StringList()}) for name in schemes],
        default_input_modes=call.a2a.input_modes,
        default_output_modes=call.a2a.output_modes,
        skills=[
            _skill(name, agent, skill)
            for name, agent in sorted(members.agents.items())
            if agent.status != "gone" and "tasks" in agent.takes
            for skill in agent.skills
        ],
    )


def _skill(name: str, agent: AgentView, skill: str) -> pb.AgentSkill:
    words_of = skill.replace("_", " ").replace("-", " ")
    role = agent.role.replace("_", " ")
    return pb.AgentSkill(
        id=f"{name}/{skill}",
        name=skill,
        description=f"{words_of[:1].upper()}{words_of[1:]}, by {name} ({role})",
        tags=list(dict.fromkeys([name, agent.role, *agent.specialization])),
    )


def _url(call: Call) -> str:
    """Where this gateway is reached: what the settings say, else where this request came to."""
    if call.a2a.public_url:
        return call.a2a.public_url.rstrip("/")
    host = call.headers.get("host", "")
    if not _HOST.match(host):
        own = call.settings.http_host
        host = f"[{own}]:{call.settings.http_port}" if ":" in own else f"{own}:{call.settings.http_port}"
    return f"http://{host}"
