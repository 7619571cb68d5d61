"""Who is who: one JSON file per agent. A further agent is a further file in the folder of the settings, not code."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from agents.minds import MINDS
from agents.skills import SKILLS
from schemas.members import Profile, Skill
from schemas.words import Signed, Title, Token


class AgentProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An agent as its file says: `mind` names how it judges, `temperament` is where its affect comes to rest (PAD), and
    `default_skill` is the one that a message in plain words is for first.
    """

    name: Token
    role: Title
    primary_functions: list[str]
    confidence_domains: list[str]
    communication_patterns: list[str]
    mind: str
    neural_mesh_version: str = "1.0.0"
    temperament: tuple[Signed, Signed, Signed] = (0.0, 0.0, 0.0)
    default_skill: str | None = None

    def announced(self, load: float) -> Profile:
        """What it says of itself in the presence bucket."""
        return Profile(
            role=self.role,
            skills=[_announced(name) for name in self.primary_functions],
            confidence_domains=self.confidence_domains,
            communication_patterns=self.communication_patterns,
            neural_mesh_version=self.neural_mesh_version,
            load=load,
        )


class ProfileError(ValueError):
    """A profile that cannot be used: the message names the file and what is wrong with it."""


def load(folder: str) -> dict[str, AgentProfile]:
    """Every profile by name: the three that come with the project, then those of `folder`. Raises `ProfileError`, also where two
    have one name, or there is no such folder.
    """
    texts = {p.name: p.read_bytes() for p in files(__package__).iterdir() if p.name.endswith(".json")}
    if folder:
        if not Path(folder).is_dir():
            raise ProfileError(f"{folder}: no folder with profiles is there")
        texts |= {str(p): p.read_bytes() for p in sorted(Path(folder).glob("*.json"))}
    found: dict[str, AgentProfile] = {}
    for file, text in texts.items():
        profile = _read(file, text)
        if profile.name in found:
            raise ProfileError(f"{file}: there is an agent {profile.name} already")
        found[profile.name] = profile
    return found


def _read(name: str, text: bytes) -> AgentProfile:
    try:
        profile = msgspec.json.decode(text, type=AgentProfile)
    except msgspec.MsgspecError as e:
        raise ProfileError(f"{name}: {e}") from e
    if unknown := [skill for skill in profile.primary_functions if skill not in SKILLS]:
        raise ProfileError(f"{name}: unknown skills {', '.join(unknown)}")
    if profile.default_skill not in {None, *profile.primary_functions}:
        raise ProfileError(f"{name}: default_skill {profile.default_skill} is none of its primary_functions")
    if profile.mind not in MINDS:
        raise ProfileError(f"{name}: unknown mind {profile.mind}; there are {', '.join(MINDS)}")
    return profile


def _announced(name: str) -> Skill:
    skill = SKILLS[name]
    return Skill(name=name, description=skill.description, input_schema=_schema(skill.input), output_schema=_schema(skill.output))


def _schema(body: Any) -> dict[str, Any]:
    """JSON Schema of a skill's input or output."""
    schema: dict[str, Any] = msgspec.json.schema(body)
    return schema
