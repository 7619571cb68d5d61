"""The table of tools: each is a route of REST under a name for language models, and its schemas are that route's own."""

import functools
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from bus.errors import CerebroError, TooLarge, Unavailable, not_found
from gateway import decoding
from gateway.api import actions, consensus, learning, members, recall, tasks
from gateway.call import Answer, Call, Gate, Ids, problem
from gateway.decoding import refuse
from gateway.identity.guard import Caller
from gateway.route import Needs, Route
from gateway.routes import ROUTES
from schemas.problem import FieldError

REF = "#/$defs/{name}"
_BY_HANDLER = {route.handler: route for route in ROUTES}


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """One row. What the tool takes is the route's body, else its query, else its path; `query` is what is always asked with a body.
    The field in which the caller would say in whose name it writes is filled in, and no argument.
    """

    name: str
    handler: Any
    query: Any = None

    @property
    def route(self) -> Route:
        return _BY_HANDLER[self.handler]

    @property
    def takes(self) -> Any:
        return self.route.body or self.route.query or self.route.path_type

    @property
    def description(self) -> str:
        return f"{self.route.summary}.\n\n{self.route.doc}".strip()

    @property
    def speaker(self) -> str | None:
        """The field that bears the name under which this door speaks."""
        return self.route.acts_as or None

    @property
    def hidden(self) -> tuple[str, ...]:
        """Fields that are no arguments."""
        return (*self.route.hidden, *([self.speaker] if self.speaker else []))


TOOLS = {
    tool.name: tool
    for tool in (
        Tool(name="memory_search", handler=recall.search),
        Tool(name="memory_recent", handler=recall.recent),
        Tool(name="memory_store", handler=actions.remember, query=actions.WaitQuery(wait="persisted")),
        Tool(name="memory_get", handler=recall.episode),
        Tool(name="consensus_propose", handler=consensus.propose),
        Tool(name="consensus_get", handler=consensus.proposal),
        Tool(name="consensus_list", handler=consensus.proposals),
        Tool(name="lesson_broadcast", handler=learning.broadcast_lesson),
        Tool(name="lesson_get", handler=learning.lesson),
        Tool(name="lesson_list", handler=learning.lessons),
        Tool(name="task_distribute", handler=tasks.distribute),
        Tool(name="task_get", handler=tasks.task),
        Tool(name="task_list", handler=tasks.tasks),
        Tool(name="task_cancel", handler=tasks.cancel),
        Tool(name="agents_list", handler=members.connected_agents),
    )
}


@functools.cache
def input_schema(name: str) -> dict[str, Any]:
    """JSON Schema of a tool's arguments; unknown ones are refused."""
    tool = TOOLS[name]
    if tool.takes is None:
        return {"type": "object", "properties": {}, "additionalProperties": False}
    root = object_schema(tool.takes)
    for shape in (root, *root.get("$defs", {}).values()):
        if shape.get("type") == "object" and "properties" in shape:
            shape["additionalProperties"] = False
    root["properties"] = {field: shape for field, shape in root["properties"].items() if field not in tool.hidden}
    root["required"] = [field for field in root.get("required", ()) if field not in tool.hidden]
    return root


@functools.cache
def output_schema(name: str) -> dict[str, Any]:
    """JSON Schema of what a tool answers."""
    return object_schema(TOOLS[name].route.reply)


def object_schema(kind: Any) -> dict[str, Any]:
    """The schema of a Struct with `type: object` at its root, as the protocol wants it; what it refers to stands in `$defs`."""
    (reference,), components = msgspec.json.schema_components([kind], ref_template=REF)
    root = dict(components.pop(reference["$ref"].rpartition("/")[2]))
    return {**root, "$defs": components} if components else root


Admit = Callable[[Needs], Awaitable[Caller]]
"""Says who asks, or raises that they may not."""


async def use(gate: Gate, name: str, arguments: dict[str, Any], admit: Admit) -> Answer:
    """What the tool answers; every fault is an answer too, with its problem document. Bounded and guarded like REST."""
    try:
        tool = TOOLS.get(name)
        if tool is None:
            raise not_found(f"there is no tool {name}")
        caller = await admit(tool.route.needs)
        if gate.requests >= gate.settings.requests_max:
            raise Unavailable(f"{gate.requests} requests are being worked on; no more are taken at once")
        gate.requests += 1
        try:
            return await _call(gate, tool, arguments, caller)
        finally:
            gate.requests -= 1
    except CerebroError as e:
        return problem(e)


async def _call(gate: Gate, tool: Tool, arguments: dict[str, Any], caller: Caller) -> Answer:
    route, taken = tool.route, _decoded(gate, tool, arguments)
    body = taken if route.body else None
    query = tool.query if route.body else taken if route.query else None
    path = taken if not route.body and not route.query else None
    caller.may_write(route, body)
    answer: Answer = await tool.handler(Call(gate, body, query, path, Ids(), {}))
    return answer


def _decoded(gate: Gate, tool: Tool, arguments: dict[str, Any]) -> Any:
    """The arguments as the route's Struct. Raises `Refused` (400) with the path of each fault."""
    if tool.takes is None:
        if arguments:
            refuse([FieldError(path=f"$.{field}", message="unknown field") for field in arguments])
        return None
    if tool.speaker in arguments:
        refuse([FieldError(path=f"$.{tool.speaker}", message=f"is {gate.speaker}, and no argument")])
    spoken: dict[str, Any] = {tool.speaker: gate.speaker} if tool.speaker else {}
    raw = msgspec.json.encode({**arguments, **spoken})
    if len(raw) > gate.settings.body_bytes_max:
        raise TooLarge(f"the arguments have {len(raw)} bytes, at most {gate.settings.body_bytes_max} are taken")
    return decoding.decode_body(raw, tool.takes, hidden=tool.route.hidden)
