"""What a route is: its address, what it takes, what it answers, and the handler that does it."""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from bus.errors import CerebroError
    from gateway.call import Answer, Call
    from schemas.problem import Problem


class Area(StrEnum):
    """The chapters of the API's documentation."""

    MESH = "neural mesh"
    MEMORY = "memory"
    A2A = "agent to agent"
    OPERATIONS = "operations"


class Needs(StrEnum):
    """What a key must be for, where the door asks for keys."""

    NOTHING = "nothing"
    READ = "read"
    WRITE = "write"
    OPERATE = "operate"


NOBODY = ""
"""`acts_as` of a route that writes in nobody's name."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the route table. From it the router, the checks, `/openapi.json` and the docs are made.

    `body`, `query` and `path_type` are Structs; `statuses` says what each success means, `problems` which errors
    there are beside those every route has. `hidden` fields of the body are words between agents, unknown at this door.
    `raw` is the media type of an answer that is not JSON. `undecoded`: another protocol says what body and query mean, so that
    they go to the handler as they came; `tell` is how it tells errors. `also` are further paths, which the documents do not name.
    `needs` is what a key must be for, `acts_as` the field of the body that says in whose name the
    caller writes; a key that is for some names only may not write where there is none.
    """

    method: str
    path: str
    area: Area
    summary: str
    needs: Needs
    handler: "Callable[[Call], Awaitable[Answer]]"
    reply: Any
    statuses: dict[int, str]
    body: Any = None
    query: Any = None
    path_type: Any = None
    problems: tuple[int, ...] = ()
    hidden: tuple[str, ...] = ()
    acts_as: str | None = None
    ndjson: bool = False
    batch: bool = False
    raw: str | None = None
    undecoded: bool = False
    tell: "Callable[[CerebroError | Problem], Answer] | None" = None
    also: tuple[str, ...] = ()
    example: dict[str, Any] | None = None
    reply_example: dict[str, Any] | None = None

    @property
    def doc(self) -> str:
        """The handler's docstring: what the route does beyond its summary."""
        return "\n".join(line.strip() for line in (self.handler.__doc__ or "").strip().splitlines())

    @property
    def name(self) -> str:
        return self.handler.__name__
