"""Settings of the gateway. Every limit has its unit in its name; the defaults suit one machine."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Seconds = Annotated[float, Meta(gt=0, le=3_600)]
Rate = Annotated[str, Meta(pattern=r"^$|^[1-9][0-9]{0,8}/(second|minute|hour|day)$")]
Origin = Annotated[str, Meta(pattern=r"^https?://[^/\s]+$")]
Count = Annotated[int, Meta(ge=1, le=100_000)]


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """The HTTP door: where it listens, what it takes in, and how long it waits."""

    http_host: str = "127.0.0.1"
    """Address to listen on."""
    http_port: Annotated[int, Meta(ge=0, le=65_535)] = 8001
    """Port to listen on; 0: a free one."""

    keys: Literal["auto", "on", "off"] = "auto"
    """Whether a request needs an API key (`cerebro key add`). auto: where the gateway listens on anything but loopback."""
    key_cache_s: Seconds = 1.0
    """A revoked key is refused after this time at the latest, and its event streams end within twice this time."""
    rate_of_key: Rate = "6000/minute"
    """How often one key may ask (429); empty: as often as it likes. Rates hold where keys are asked for."""
    rate_of_address: Rate = "12000/minute"
    """How often one address, or one IPv6 network of 64 bits, may ask."""
    rate_of_bad_keys: Rate = "30/minute"
    """How often one address may come with no key or a wrong one; then it is refused whatever it brings."""
    rates_redis_url: str = ""
    """Redis that counts for all gateways together; while it is away, or without one, each counts for itself."""
    cors_origins: list[Origin] = []
    """Origins whose pages may call this API from a browser, as `https://console.example.org`; a JSON array."""

    body_bytes_max: Annotated[int, Meta(ge=1_024)] = 1024 * 1024
    """Largest body of a request: 1 MiB."""
    batch_bytes_max: Annotated[int, Meta(ge=1_024)] = 8 * 1024 * 1024
    """Largest body of `POST /memory/actions`: 8 MiB."""
    head_bytes_max: Annotated[int, Meta(ge=1_024)] = 64 * 1024
    """Largest request line and headers together."""
    head_s_max: Seconds = 10.0
    """A request line and headers must have come within this time."""
    body_s_max: Seconds = 30.0
    """A body must have come within this time (408)."""
    keep_alive_s: Annotated[int, Meta(ge=1, le=600)] = 15
    """An idle connection is closed after this time."""

    connections_max: Count = 2_000
    """Most open connections; more are answered 503 and closed."""
    requests_max: Count = 512
    """Most requests worked on at once; more are answered 503 with Retry-After. Event streams are counted apart."""
    streams_max: Count = 64
    """Most event streams (`GET /events`) at once."""
    stream_stall_s: Seconds = 60.0
    """An event stream whose reader takes nothing for this long is ended; it resumes with Last-Event-ID."""
    stream_keep_alive_s: Seconds = 15.0
    """A comment is sent on a quiet event stream this often."""

    ask_s: Seconds = 5.0
    """Longest wait for an actor's answer to a plain question (504)."""
    search_s: Seconds = 15.0
    """Longest wait for the answer to a search."""
    consolidate_s: Seconds = 60.0
    """Longest wait for the report of a consolidation, which goes on without its caller."""
    forget_s: Seconds = 60.0
    """Longest wait for the receipt of a forgetting."""
    memory_wait_s: Seconds = 10.0
    """Longest wait of `?wait=persisted` or `?wait=searchable`; then 202."""
    assign_wait_s: Seconds = 2.0
    """Longest wait for a task's assignment where the caller does not wait for its end."""
    end_wait_s: Seconds = 300.0
    """Longest wait for a proposal's or a task's end within one request; then 202 with Location."""
    end_grace_s: Seconds = 10.0
    """How long after its own deadline a proposal or task may still be told as ended."""
    away_patience_s: Seconds = 3.0
    """How long a waiting request bears that no agent answers before it says 503 (a restarted agent is back by then)."""
    health_check_s: Seconds = 2.0
    """Longest time one check of `GET /health` may take."""

    pending_s_max: Seconds = 90.0
    """A request with an Idempotency-Key that is unanswered after this time counts as crashed and is run again."""
    stop_s_max: Annotated[int, Meta(ge=1, le=60)] = 4
    """Longest time for open requests to end when the gateway stops."""
