"""Replies that the gateway keeps by `Idempotency-Key`, in the bucket `idempotency`."""

from typing import Literal

from schemas.words import Body


class KeptReply(Body, frozen=True, kw_only=True):
    """What the bucket holds of one key. `owner` is the run that is at it; `since` is in seconds since 1970."""

    fingerprint: str
    state: Literal["pending", "done", "open"]
    owner: str
    since: float
    status: int = 0
    media: str = ""
    headers: dict[str, str] = {}
    content: str = ""
