"""An entry of the log as rules see it: what was said, by whom, and where it stands in the order of the world."""

from datetime import datetime
from typing import Any

import msgspec


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One well-formed entry. `name` is its row in the table of subjects, `tokens` the variable parts of its subject,
    `time` the server's; `via_gateway` says that the gateway published it for a caller of its own, `sourced` that this is a copy which
    the server made for another stream, at a time of its own.
    """

    seq: int
    time: datetime
    event_id: str
    subject: str
    name: str
    tokens: dict[str, str]
    body: Any
    via_gateway: bool = False
    sourced: bool = False

    @property
    def agent(self) -> str:
        """Whose name stands in the subject; `mesh` where none does."""
        return self.tokens.get("agent", "mesh")


class Malformed(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that is no well-formed message of its subject: every fold passes it over."""

    seq: int
    time: datetime
    event_id: str
    subject: str
    reason: str
    headers: dict[str, str]
    data: bytes
