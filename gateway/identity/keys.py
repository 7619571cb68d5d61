"""What an API key looks like: `ck.<name>.<secret>`. Pure but for the random bits of a new one."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Final

from bus.subjects import is_token
from schemas.keys import ApiKey, Scope

BUCKET: Final = "keys"
"""The bucket that keeps them, by name."""
PREFIX: Final = "ck"
SECRET_BYTES: Final = 32
TOKEN_LEN_MAX: Final = 200
"""Longest key that is looked at, in characters."""


def made(name: str, scopes: Sequence[Scope], agents: Sequence[str] | None, now: str) -> tuple[str, ApiKey]:
    """A new key: the text that its owner gets, once, and what is kept of it."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    kept = ApiKey(secret_hash=_hash(secret), scopes=list(scopes), agents=list(agents) if agents else None, created_at=now)
    return f"{PREFIX}.{name}.{secret}", kept


def parsed(text: str) -> tuple[str, str] | None:
    """Name and secret of what may be a key, or None."""
    parts = text.split(".")
    if len(text) > TOKEN_LEN_MAX or len(parts) != 3 or parts[0] != PREFIX or not is_token(parts[1]) or not parts[2]:
        return None
    return parts[1], parts[2]


def fits(secret: str, kept: ApiKey) -> bool:
    """Whether the secret is that of the key; takes as long for any."""
    return hmac.compare_digest(_hash(secret), kept.secret_hash)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
