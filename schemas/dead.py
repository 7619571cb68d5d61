"""Dead letters: what could not be handled, why, and the message itself."""

from schemas.words import Body


class DeadLetter(Body, frozen=True, kw_only=True):
    """`dead.<stream>.<consumer>`. `data` is base64 of the body; times are RFC 3339."""

    reason: str
    subject: str
    stream_seq: int
    delivered: int
    headers: dict[str, str]
    data: str
    first_seen: str
    last_error: str = ""
