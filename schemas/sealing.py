"""Seals: signed heads of the hash chain over what was persisted."""

from typing import Annotated

from msgspec import Meta

from schemas.words import Body

Hash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256, in hexadecimal digits."""
Signature = Annotated[str, Meta(min_length=1, max_length=5_000)]
"""Base64. Ed25519 has 64 bytes (RFC 8032), ML-DSA-65 3,309 (FIPS 204)."""


class Seal(Body, frozen=True, kw_only=True):
    """`memory.seal.<stream>`: the head of the chain at one place of the log, and two signatures of both. Whoever has the public keys and
    a copy of this entry can tell whether anything up to there was changed since.
    """

    last_seq: Annotated[int, Meta(ge=1)]
    """The last place of the log that the chain holds."""
    head: Hash
    """The chain's link at that place."""
    ed25519: Signature
    ml_dsa_65: Signature
