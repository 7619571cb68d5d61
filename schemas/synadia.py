"""The Synadia Agent Protocol for NATS, version 0.3: what a prompt carries, the chunks that come back, and an agent's sign of life."""

from typing import Annotated, Any

from msgspec import Meta

from schemas.words import TEXT_LEN_MAX, Body, Reply

VERSION = "0.3"
"""The version of the protocol that is spoken."""
SERVICE = "agents"
"""The name of the micro service under which every agent of the protocol is registered."""
OWNER = "cerebro"
"""The owner of every agent that a mesh hosts."""
SESSION = "main"
"""The session of an agent of a mesh without a prefix; with one it is the prefix."""
HOSTED_BY = "hosted_by"
"""Key of a registration's metadata; `cerebro` where a mesh hosts the agent."""
ATTACHMENTS_MAX = 100
"""Most attachments of one prompt."""

InstanceId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,100}$")]
"""The id of a micro service; it becomes a token of the subjects on which it is asked, so nothing else is let in."""


class Attachment(Body, frozen=True, kw_only=True):
    """A file within a message; `content` is standard base64 with padding."""

    filename: Annotated[str, Meta(min_length=1, max_length=255)]
    content: str


class Envelope(Body, frozen=True, kw_only=True):
    """`agents.prompt.<agent>.<owner>.<session>`: a prompt. It may be plain text too. `metadata.skill` names the skill that is wanted."""

    prompt: Annotated[str, Meta(min_length=1, max_length=TEXT_LEN_MAX)]
    attachments: Annotated[list[Attachment], Meta(max_length=ATTACHMENTS_MAX)] | None = None
    metadata: dict[str, Any] | None = None


class Chunk(Reply, frozen=True, kw_only=True):
    """One piece of what comes back: `response` (text, or text and attachments), `status`, `query`; the last message is empty."""

    type: str
    data: Any = None


class Response(Body, frozen=True, kw_only=True):
    """The `data` of a `response` that is more than a text."""

    text: str
    attachments: list[Attachment] | None = None


class Query(Body, frozen=True, kw_only=True):
    """The `data` of a `query`: a question to the caller, and where its answer is expected."""

    id: str
    reply_subject: str
    prompt: str


class Heartbeat(Body, frozen=True, kw_only=True, omit_defaults=True):
    """`agents.hb.<agent>.<owner>.<session>`, and the answer of its `status`: this instance lives, and will say so again."""

    agent: str
    owner: str
    session: str | None = None
    instance_id: InstanceId
    ts: str
    interval_s: Annotated[float, Meta(gt=0)]


class StatusRequest(Body, frozen=True, kw_only=True):
    """`agents.status.<agent>.<owner>.<session>`: what stands in it is not looked at."""


class Endpoint(Body, frozen=True, kw_only=True):
    """An endpoint of a micro service, as it tells of itself."""

    name: str
    subject: str
    metadata: dict[str, Any] | None = None


class Registration(Body, frozen=True, kw_only=True):
    """A micro service, as `$SRV.INFO` tells of it."""

    name: str
    id: InstanceId
    description: str | None = None
    metadata: dict[str, Any] | None = None
    endpoints: list[Endpoint] = []


class FailureBody(Reply, frozen=True, kw_only=True):
    """The body of an error frame: a stable code and a sentence."""

    error: str
    message: str = ""
