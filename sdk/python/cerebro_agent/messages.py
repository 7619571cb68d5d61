"""What travels: the bodies of the messages that an agent reads and writes. Fields that are not known are ignored."""

from typing import Any, Literal

import msgspec


class Skill(msgspec.Struct, frozen=True, kw_only=True):
    """A skill as it is announced; the schemas are JSON Schema."""

    name: str
    description: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent says of itself each second. `load`: 0 idle … 1 full."""

    role: str
    skills: list[Skill]
    confidence_domains: list[str]
    load: float
    takes: list[str]
    communication_patterns: list[str] = []
    neural_mesh_version: str = "1.0.0"


class Lesson(msgspec.Struct, frozen=True, kw_only=True):
    """Something that `agent` learned, for all to keep. `confidence` 0…1; `published_at` is RFC 3339."""

    lesson_id: str
    agent: str
    topic: str
    content: str
    domain: str | None = None
    confidence: float = 0.8
    tags: list[str] = []
    source_episodes: list[str] = []
    published_at: str = ""
    stream_seq: int = 0


class CountedVote(msgspec.Struct, frozen=True, kw_only=True):
    """A vote that was given."""

    agent: str
    choice: str


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A proposal that is open. `attributes` may hold `benefit`, `cost`, `risk`, `urgency` (0…1), `reversible`; `deadline` is RFC 3339."""

    proposal_id: str = ""
    title: str
    proposer: str
    deadline: str
    description: str = ""
    domain: str | None = None
    options: list[str]
    attributes: dict[str, Any] | None = None
    evidence: list[str] = []
    electorate: list[str]
    required_approvers: list[str] = []
    threshold: str = "2/3"
    votes: list[CountedVote] = []


class Vote(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A choice among the options, or `abstain`. `confidence` 0…1; `evidence` are ids of memories that it cites."""

    choice: str
    confidence: float = 1.0
    rationale: str = ""
    evidence: list[str] = []


class Affect(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent feels: valence, arousal, dominance, each −1…1. Without a label the mesh derives one."""

    valence: float
    arousal: float
    dominance: float
    label: str = ""
    cause: str = ""


class Stimulus(msgspec.Struct, frozen=True, kw_only=True):
    """What this agent is asked to appraise: an event, a pull towards a point, or both; `intensity` 0…1."""

    cause: str
    event: str | None = None
    valence: float | None = None
    arousal: float | None = None
    dominance: float | None = None
    intensity: float = 0.5


class AssignedTask(msgspec.Struct, frozen=True, kw_only=True):
    """The task as its assignment carries it."""

    task_id: str
    title: str
    description: str = ""
    required_skills: list[str] = []
    input: dict[str, Any] = {}
    priority: int = 5
    timeout_s: float = 60.0


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """A lease of `lease_s` with the fencing token `fence`."""

    fence: int
    lease_s: float
    task: AssignedTask
    skill: str | None = None


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a task's outcome that comes before its result."""

    artifact_id: str
    parts: list[dict[str, Any]]
    append: bool = False
    last: bool = False


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A sign of life of one instance that extends the lease."""

    fence: int
    instance: str
    state: Literal["running", "input_required"] = "running"
    fraction: float | None = None
    message: str | None = None
    artifact: Artifact | None = None


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What a skill may return to say something beside its output; `parts` are those of a message."""

    output: Any = None
    parts: list[dict[str, Any]] = []


class TaskError(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    message: str
    retryable: bool = False


class TaskEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the log about a task."""

    seq: int
    entry: str
    body: Any = None


class TaskView(msgspec.Struct, frozen=True, kw_only=True):
    """How a task stands."""

    fence: int
    assigned_to: str | None
    finished_at: str | None
    history: list[TaskEntry] = []
