"""Settings of A2A at the gateway."""

from typing import Annotated

import msgspec
from msgspec import Meta, field

from schemas.tasks import TASK_TIMEOUT_S_MAX

Modes = Annotated[list[Annotated[str, Meta(pattern=r"^[^\s/]+/[^\s/]+$")]], Meta(min_length=1, max_length=50)]


class A2ASettings(msgspec.Struct, frozen=True, kw_only=True):
    """The mesh as one A2A agent: what its card says, which skill a message is for, how far notifications go."""

    skill: Annotated[str, Meta(pattern=r"^([A-Za-z0-9][A-Za-z0-9_.:-]{0,99})?$")] = ""
    """Skill of a message that names none in `metadata.skill`. Empty: the one that fits its text best."""
    name: Annotated[str, Meta(min_length=1, max_length=200)] = "Cerebro"
    """Name on the agent card."""
    description: Annotated[str, Meta(min_length=1, max_length=2_000)] = "A mesh of independent AI agents that share work and memory"
    """Description on the agent card."""
    public_url: Annotated[str, Meta(pattern=r"^(https?://[^\s?#]+)?$")] = ""
    """Where clients reach this gateway, for the addresses on the card. Empty: where the request for the card came to."""
    input_modes: Modes = field(default_factory=lambda: ["*/*"])
    """Media types that parts of messages may have, as a JSON list; others are refused. The agents judge what they are given."""
    output_modes: Modes = field(default_factory=lambda: ["text/plain", "application/json", "application/octet-stream"])
    """Media types of what comes back, as the card says."""
    card_max_age_s: Annotated[int, Meta(ge=0, le=86_400)] = 10
    """How long clients may keep the card before they ask again; agents come and go."""
    task_timeout_s: Annotated[float, Meta(gt=0, le=TASK_TIMEOUT_S_MAX)] = 3_600.0
    """Time a task that came by A2A may take, waiting for its client's input included."""
    direct_reply_s: Annotated[float, Meta(ge=0, le=90)] = 1.0
    """How long a stream waits for a direct reply before it begins with the task."""

    push_hosts: Annotated[list[Annotated[str, Meta(min_length=1, max_length=253)]], Meta(max_length=1_000)] = []
    """Hosts that notifications may go to, as a JSON list; `.example.org` stands for all below it. Empty: any."""
    push_private: bool = False
    """Whether notifications may go to addresses that are not public. Loopback is allowed without it where the gateway listens there."""
    push_s_max: Annotated[float, Meta(gt=0, le=60)] = 10.0
    """Longest time one delivery may take, resolving the name included."""
    push_tries_max: Annotated[int, Meta(ge=1, le=20)] = 4
    """Tries of one notification, with growing pauses; then it is given up and the next one is sent."""
    push_per_task_max: Annotated[int, Meta(ge=1, le=100)] = 10
    """Most webhooks of one task."""
    push_open_max: Annotated[int, Meta(ge=1, le=10_000)] = 500
    """Most webhooks of running tasks that one gateway serves; more are refused."""
    push_at_once_max: Annotated[int, Meta(ge=1, le=1_000)] = 32
    """Most deliveries at the same time."""
