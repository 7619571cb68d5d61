"""Members: profiles in the presence bucket, changes of membership in the log, and the list of connected agents."""

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from schemas.words import Body, Reply, Text, Title, Token

SKILLS_MAX = 200
"""Most skills one agent may announce."""

Takes = Literal["lessons", "votes", "tasks"]
SkillName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$")]


class Skill(Body, frozen=True, kw_only=True):
    """What an agent can do: `name` is what tasks require; the schemas are JSON Schema of its input and output."""

    name: SkillName
    description: Text = ""
    input_schema: dict[str, Any] = field(default_factory=dict)
    output_schema: dict[str, Any] = field(default_factory=dict)


class Profile(Body, frozen=True, kw_only=True):
    """What an agent says of itself each second in bucket `presence`, key `<agent>.<instance>`. `load`: 0 idle … 1 full."""

    role: Title = "external"
    skills: Annotated[list[Skill | SkillName], Meta(max_length=SKILLS_MAX)] = []
    confidence_domains: Annotated[list[str], Meta(max_length=SKILLS_MAX)] = []
    communication_patterns: Annotated[list[str], Meta(max_length=SKILLS_MAX)] = []
    neural_mesh_version: str = "1.0.0"
    load: Annotated[float, Meta(ge=0)] = 0.0
    takes: list[Takes] = field(default_factory=lambda: ["lessons", "votes", "tasks"])

    def skill_list(self) -> list[Skill]:
        """Every skill in its long form (a bare name is a skill without description)."""
        return [Skill(name=s) if isinstance(s, str) else s for s in self.skills]

    def skill_names(self) -> list[str]:
        return [s if isinstance(s, str) else s.name for s in self.skills]


class MembershipChange(Body, frozen=True, kw_only=True):
    """`mesh.member.<agent>`: logged once for each instance that came, said goodbye, or fell silent."""

    status: Literal["joined", "left", "lost"]
    instance: Token
    profile: Profile | None = None


MemberStatus = Literal["active", "suspect", "gone"]


class AgentView(Reply, frozen=True, kw_only=True):
    """One agent as `GET /neural-mesh/connected-agents` shows it."""

    role: str
    status: MemberStatus
    specialization: list[str]
    skills: list[str]
    communication_patterns: list[str]
    last_seen: str
    instances: int
    neural_mesh_version: str
    takes: list[str]
    load: float


class AgentsView(Reply, frozen=True, kw_only=True):
    """All agents; gone ones are listed for a while and not counted."""

    total_connected: int
    mesh_topology: Literal["triangular_consensus", "mesh_consensus"]
    agents: dict[str, AgentView]


ASK_WAIT_S_MAX = 60.0
"""Longest time, in seconds, that a question about one thing may wait for its end."""


class Ask(Body, frozen=True, kw_only=True):
    """A question for one thing by id. `wait_s`: answer when it has ended (integrated, decided, finished), at the latest after that."""

    id: Annotated[str, Meta(min_length=1, max_length=255)]
    wait_s: Annotated[float, Meta(ge=0, le=ASK_WAIT_S_MAX)] = 0.0


class AskAll(Body, frozen=True, kw_only=True):
    """A question without arguments."""
