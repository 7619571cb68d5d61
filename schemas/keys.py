"""API keys: what is kept of one, which is everything but the secret."""

from typing import Annotated, Literal

from msgspec import Meta

from schemas.words import Body, Tokens

Scope = Literal["read", "write", "operate"]


class ApiKey(Body, frozen=True, kw_only=True):
    """One key, kept in bucket `keys` under its name. `agents`: under whose names it may write; None: any."""

    secret_hash: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of the secret, which has 256 random bits: it cannot be guessed, and needs no slow hash."""
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=3)]
    created_at: str
    agents: Annotated[Tokens, Meta(min_length=1)] | None = None
