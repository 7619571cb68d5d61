"""The law of the door: names, who is hosted, and what prompts, chunks and tasks say in each other's words. Pure."""

import hashlib
import re
from collections.abc import Iterable, Mapping

import msgspec

from schemas.members import Profile, Skill
from schemas.messages import as_text, files_of, message, parts_of, text_of
from schemas.synadia import HOSTED_BY, OWNER, SERVICE, VERSION, Attachment, Envelope, Registration
from schemas.tasks import AssignedTask, Finished, Progress, Result, Submission
from schemas.words import TITLE_LEN_MAX

ROLE = "synadia_agent"
"""The role of a member that speaks the protocol itself; it is not hosted."""
PROMPT_SKILL = "prompt"
"""The skill of every member that was brought in."""
KINDS_MAX = 20
"""Most skills that are taken from a registration; a profile travels once a second."""
TITLE_SHOWN_MAX = 80
"""Characters of a prompt that become the title of its task."""
TOKEN_LEN_MAX = 63
HASH_LEN = 8
"""Hexadecimal digits that tell two agents apart whose names would be the same."""
_CLEAN = re.compile(r"[a-z0-9-]{1,20}")
_SKILL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}")

# Out


def hosted_name(agent: str) -> str:
    """The member's name as the protocol writes names: no `_`."""
    return agent.replace("_", "-")


def to_host(present: Mapping[str, Profile], builtin: Iterable[str]) -> dict[str, str]:
    """The members from elsewhere that are to be hosted, by the name they have there. Of two that would have one name, the first is."""
    taken = {hosted_name(name): name for name in sorted(builtin)}
    found: dict[str, str] = {}
    for agent, profile in sorted(present.items(), key=lambda item: (hosted_name(item[0]) != item[0], item[0])):
        if agent not in taken.values() and profile.role != ROLE and hosted_name(agent) not in taken:
            taken[hosted_name(agent)] = agent
            found[hosted_name(agent)] = agent
    return found


def description(agent: str, role: str, skills: Iterable[str]) -> str:
    """How an agent is shown to who looks for one."""
    return f"{agent}, {role.replace('_', ' ')} of a Cerebro mesh; skills: {', '.join(skills) or 'none'}"


def submission(agent: str, envelope: Envelope, timeout_s: float) -> Submission:
    """The task that a prompt of `agent` becomes."""
    wanted = (envelope.metadata or {}).get("skill")
    first = next((line.strip() for line in envelope.prompt.splitlines() if line.strip()), "")
    return Submission(
        title=first[:TITLE_SHOWN_MAX] or f"Prompt of {agent}",
        required_skills=[wanted] if isinstance(wanted, str) and _SKILL.fullmatch(wanted) else [],
        input={"message": message(envelope.prompt, envelope.attachments)},
        timeout_s=timeout_s,
        agent=agent,
    )


def skill_fault(envelope: Envelope) -> str | None:
    """Why the skill that the prompt names cannot be one, or None."""
    wanted = (envelope.metadata or {}).get("skill")
    return None if wanted is None or (isinstance(wanted, str) and _SKILL.fullmatch(wanted)) else "is no name of a skill"


class Said(msgspec.Struct, frozen=True):
    """What a caller is sent: words of the answer with files, a word on how far the work is, and a question."""

    text: str = ""
    files: list[Attachment] = []
    status: str = ""
    question: str = ""


def said(progress: Progress) -> Said:
    """What a sign of life says to the caller of the prompt."""
    parts = progress.artifact.parts if progress.artifact else []
    told = progress.message or ""
    asks = progress.state == "input_required"
    return Said(text_of(parts), files_of(parts), "" if asks else told, told if asks else "")


def final(result: Result | None, end: Finished, already: str) -> Said:
    """What a result says beyond what was sent `already`: its message, or its output in words."""
    parts = parts_of(result.message) if result is not None else None
    text, files = (text_of(parts), files_of(parts)) if parts is not None else (as_text(end.output), [])
    return Said(text.removeprefix(already), files)


STATUSES = {
    "bad_input": 400,
    "not_understood": 400,
    "too_large": 400,
    "no_such_skill": 404,
    "no_such_agent": 404,
    "not_available": 404,
    "needs_language_model": 409,
    "cancelled": 409,
}
"""The protocol's code for how a task failed; any other is 500."""

# In


def member_name(agent: str, owner: str, session: str) -> str:
    """The name in the mesh of an agent that others host: its three names joined, or, where that could be another's too, with a hash."""
    names = (agent, owner, session)
    joined = "_".join(names)
    if all(_CLEAN.fullmatch(name) for name in names):
        return joined
    digest = hashlib.sha256(".".join(names).encode()).hexdigest()[:HASH_LEN]
    return f"{re.sub('[^a-z0-9_-]', '-', joined.lower())[: TOKEN_LEN_MAX - HASH_LEN - 1]}-{digest}"


def instance_name(ident: str) -> str:
    """The id of a micro service as an instance in the mesh."""
    return re.sub("[^a-z0-9_-]", "-", ident.lower())[:TOKEN_LEN_MAX]


class Guest(msgspec.Struct, frozen=True, kw_only=True):
    """An instance of an agent that others host, as it registered."""

    name: str
    ident: str
    subject: str
    description: str
    metadata: dict[str, str]
    bytes_max: int | None
    attachments_ok: bool


def prompt_subject(found: Registration) -> str | None:
    """Where an agent that speaks our version of the protocol says that it is prompted; None where it is none, or a mesh hosts it."""
    metadata = found.metadata or {}
    endpoint = next((e for e in found.endpoints if e.name == "prompt"), None)
    known = endpoint is not None and found.name == SERVICE and found.id and _speaks(metadata) and metadata.get(HOSTED_BY) != OWNER
    return endpoint.subject if endpoint is not None and known else None


def guest(found: Registration, names: Mapping[str, str]) -> Guest | None:
    """Whoever registered so under these names (the tokens of its subject), or None where these are of an agent of a mesh."""
    if names["owner"] == OWNER:
        return None
    endpoint = next(e for e in found.endpoints if e.name == "prompt")
    offers = endpoint.metadata or {}
    return Guest(
        name=member_name(names["agent"], names["owner"], names["session"]),
        ident=found.id,
        subject=endpoint.subject,
        description=found.description or "",
        metadata={"agent": names["agent"]} | {k: v for k, v in (found.metadata or {}).items() if isinstance(v, str)},
        bytes_max=_bytes(str(offers.get("max_payload", ""))),
        attachments_ok=offers.get("attachments_ok") in {"true", True},
    )


def _speaks(metadata: Mapping[str, object]) -> bool:
    """Whether it speaks our version: major and minor are compared, what follows has no meaning."""
    return str(metadata.get("protocol_version")).split(".")[:2] == VERSION.split(".")


def _bytes(text: str) -> int | None:
    """`512KB` as a number; None where it says nothing."""
    found = re.fullmatch(r"\s*(\d{1,12})\s*([KMG]?)B\s*", text, re.IGNORECASE)
    return int(found[1]) * 1024 ** " KMG".index(found[2].upper() or " ") if found else None


def profile(guest_: Guest, load: float) -> Profile:
    """What is said in presence of an agent that was brought in."""
    text = {"type": "object", "properties": {"text": {"type": "string"}}}
    kinds = [guest_.metadata["agent"], *(s.strip() for s in guest_.metadata.get("skills", "").split(","))]
    names = [n for n in dict.fromkeys(kinds) if _SKILL.fullmatch(n) and n != PROMPT_SKILL][:KINDS_MAX]
    words = guest_.description[:TITLE_LEN_MAX]
    skills = [Skill(name=n, description=words, output_schema=text) for n in (PROMPT_SKILL, *names)]
    return Profile(
        role=ROLE,
        skills=list(skills),
        confidence_domains=[guest_.metadata["agent"]],
        communication_patterns=["synadia_agent_protocol"],
        load=load,
        takes=["tasks"],
    )


def envelope(task: AssignedTask, skill: str | None) -> Envelope:
    """The prompt that a task becomes: its message where it has one, else its title, its description and its input."""
    parts = parts_of(task.input.get("message"))
    metadata = {"task": task.task_id} | ({"skill": skill} if skill not in {None, PROMPT_SKILL} else {})
    if parts is not None:
        return Envelope(prompt=text_of(parts) or task.title, attachments=files_of(parts) or None, metadata=metadata)
    given = as_text(task.input) if task.input else ""
    return Envelope(prompt="\n\n".join(filter(None, (task.title, task.description, given))), metadata=metadata)
