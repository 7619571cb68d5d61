"""Settings of the bus. Every actor has the same."""

from typing import Annotated

import msgspec
from msgspec import Meta

PINGS_UNANSWERED_MAX = 2
"""How many questions whether it is there an end of a connection may leave unanswered."""


class BusSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach NATS and how long the log is kept."""

    nats_url: str = "nats://127.0.0.1:4222"
    """Address of the server, or several separated by commas."""
    nats_nkey: str = ""
    """File with the seed of this process' nkey: who it is on the bus. Empty: anonymous, which `cerebro up`'s server refuses."""
    nats_ca: str = ""
    """File with the certificates (PEM) that the server's must be signed by. Empty: those of the system, where the address is `tls://`."""
    nats_cert: str = ""
    """File with this client's certificate (PEM) and those up to the root's, where the server asks for one."""
    nats_cert_key: str = ""
    """File with the private key (PEM) of `nats_cert`."""
    ping_s: Annotated[float, Meta(ge=0.5, le=120)] = 5.0
    """How often both ends of a connection ask whether the other is there. One that does not answer twice is taken for lost: after three
    times this at the latest, even where nobody said that it was gone.
    """
    prefix: Annotated[str, Meta(pattern=r"^[a-z0-9-]{0,32}$")] = ""
    """Put before every subject, stream and bucket, so that several meshes share a server. Empty: none."""
    publish_timeout_s: Annotated[float, Meta(gt=0, le=60)] = 5.0
    """Longest wait for a publish acknowledgement, retries included."""
    group_len_min: Annotated[int, Meta(ge=2, le=1_000)] = 16
    """From so many messages published at the same time on, they share one write to disk; fewer are quicker each for itself, because the
    server makes and removes files for each batch.
    """
    group_len_max: Annotated[int, Meta(ge=1, le=1_000)] = 200
    """Most messages that share one write to disk; below `group_len_min` (1): each always its own."""
    group_bytes_max: Annotated[int, Meta(ge=1_024)] = 4 * 1024 * 1024
    """Most bytes of bodies that share one write; a larger one goes alone. 4 MiB."""
    group_gather_s_max: Annotated[float, Meta(ge=0, le=1)] = 0.005
    """Longest time that many wait for more of them before they are written; never a few that go each for itself."""
    log_age_s_max: Annotated[float, Meta(ge=60)] = 30 * 86_400.0
    """How long an entry stays in the log. Lessons are kept for good in their own stream."""
    log_bytes_max: Annotated[int, Meta(ge=1_048_576)] = 2 * 1024**3
    """Largest size of the log, which the server sets aside at once; the oldest entries go first. 2 GiB."""
    duplicate_window_s: Annotated[float, Meta(ge=0.1, le=86_400)] = 120.0
    """How long the server remembers event ids and drops a second publish of one."""
    idempotency_s: Annotated[float, Meta(ge=1)] = 86_400.0
    """How long the gateway's replies to an `Idempotency-Key` are kept."""

    # names on the server

    def wire(self, subject: str) -> str:
        """`subject` as it stands on the server."""
        return f"{self.prefix}.{subject}" if self.prefix else subject

    def stream(self, name: str) -> str:
        """A stream's, bucket's or queue's name as it stands on the server."""
        return f"{self.prefix}_{name}" if self.prefix else name

    def inbox(self, name: str) -> str:
        """Where the identity `name` hears answers; only it may listen there."""
        return f"_INBOX.{self.stream(name)}"

    def open_inbox(self, name: str) -> str:
        """Where a part of ours hears the answers of external agents, who may not publish into its `inbox`."""
        return f"_ASK.{self.stream(name)}" if name != "*" else "_ASK.*"

    @staticmethod
    def work_consumer(agent: str) -> str:
        """The durable consumer of what is assigned to `agent`."""
        return f"work-{agent}"
