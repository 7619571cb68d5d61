"""Ids and selectors as hashes, so that what is forgotten can be known again without being kept."""

import hashlib

from schemas.forgetting import ForgetRequest


def id_hash(ident: str) -> bytes:
    """SHA-256 of an id."""
    return hashlib.sha256(ident.encode()).digest()


def selector_hash(asked: ForgetRequest) -> str:
    """SHA-256, in hexadecimal digits, of what is asked for; the same words give the same hash."""
    words = "\x1f".join(f"{name}={value}" for name in asked.__struct_fields__ if (value := getattr(asked, name)) is not None)
    return hashlib.sha256(words.encode()).hexdigest()
