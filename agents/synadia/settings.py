"""Settings of the door to the Synadia Agent Protocol. Every built-in agent has the same."""

from typing import Annotated

import msgspec
from msgspec import Meta

PROMPT_BYTES_LIMIT = 512 * 1024
"""A prompt travels within a submission and an assignment, and each must fit one message of the log."""

Seconds = Annotated[float, Meta(gt=0, le=3_600)]
Count = Annotated[int, Meta(ge=1, le=1_000)]


class BridgeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The Synadia Agent Protocol for NATS: who is let out and in by it, and within which bounds."""

    prompts: bool = True
    """Whether the agents of the mesh are found and prompted by clients of the protocol."""
    members: bool = True
    """Whether agents that others host by the protocol become members of the mesh."""
    heartbeat_s: Annotated[int, Meta(ge=1, le=5)] = 5
    """How often an agent of the mesh says that it lives."""
    keep_alive_s: Annotated[float, Meta(gt=0, le=30)] = 20.0
    """How often a caller hears that its prompt is still worked on."""
    prompt_bytes_max: Annotated[int, Meta(ge=1_024, le=PROMPT_BYTES_LIMIT)] = 256 * 1024
    """Largest prompt, attachments included: 256 KiB."""
    prompts_max: Count = 16
    """Most prompts of one agent at a time, at one place where it is hosted; one more is refused (429)."""
    prompt_timeout_s: Seconds = 300.0
    """Longest time from a prompt to its answer."""
    answer_timeout_s: Seconds = 300.0
    """Longest wait for the answer to a question that an agent asks in between."""
    stall_s: Seconds = 60.0
    """Silence of an agent that was brought in after which its prompt has failed."""
    members_max: Count = 50
    """Most agents that are brought in; later ones wait until one leaves."""
    member_prompts_max: Count = 1
    """Most prompts at a time for one agent that was brought in; its other tasks wait. Hosts of the protocol serve one unless told
    otherwise, and say nothing of those in their queue.
    """
