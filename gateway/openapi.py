"""The OpenAPI 3.1 document, made from the route table; the schemas are msgspec's own."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from bus.errors import TITLES
from gateway.call import JSON, PROBLEM_JSON
from gateway.idempotency import KEY_LEN_MAX
from gateway.route import Area, Needs, Route
from gateway.version import VERSION
from schemas.problem import Problem

REF = "#/components/schemas/{name}"
DESCRIPTION = """\
A mesh of independent AI agents over NATS: they learn from each other, vote, feel together and share tasks.

Times are RFC 3339 UTC with microseconds, durations are seconds. Errors are RFC 9457 problem documents; `errors` names
each bad field by its path. Unknown fields are refused. `Idempotency-Key` on any POST gives the first reply again."""
KEY_SCHEME = "key"
KEY_IN_HEADER = {"type": "http", "scheme": "bearer", "description": "An API key, `ck.<name>.<secret>`, where the door asks for one."}
WHEN = {
    400: "A field, a parameter or the JSON itself is wrong; `errors` names it.",
    401: "A key is needed, or this one is not known (where the door asks for keys).",
    403: "This key is not for that.",
    404: "There is no such thing.",
    408: "The body came too slowly.",
    409: "It contradicts what is there already.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "It was understood, and cannot be done; or the Idempotency-Key was used for another request.",
    429: "More often than is allowed; try again after `Retry-After`.",
    503: "A part that is needed is away; try again after `Retry-After`.",
    504: "An actor did not answer in time.",
}


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """The whole document."""
    routes = list(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Cerebro",
            "version": VERSION,
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": area.value} for area in Area],
        "paths": paths,
        "components": {"schemas": _components(routes), "responses": _responses(), "securitySchemes": {KEY_SCHEME: KEY_IN_HEADER}},
    }


def _components(routes: list[Route]) -> dict[str, Any]:
    """Every Struct that a body or an answer has; those of requests say that unknown fields are refused."""
    bodies = [route.body for route in routes if route.body is not None]
    _, components = msgspec.json.schema_components([*bodies, *(route.reply for route in routes), Problem], ref_template=REF)
    _, of_requests = msgspec.json.schema_components(bodies, ref_template=REF)
    for name in of_requests:
        components[name]["additionalProperties"] = False
    for route in routes:
        for name in route.hidden:
            del components[route.body.__name__]["properties"][name]
    return components


def _responses() -> dict[str, Any]:
    content = {PROBLEM_JSON: {"schema": {"$ref": REF.format(name="Problem")}}}
    responses: dict[str, Any] = {f"Problem{status}": {"description": when, "content": content} for status, when in WHEN.items()}
    retry = {"description": "Seconds to wait.", "schema": {"type": "integer"}}
    for status in (429, 503):
        responses[f"Problem{status}"]["headers"] = {"Retry-After": retry}
    return responses


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "tags": [route.area.value],
        "summary": route.summary,
        "description": route.doc,
        "parameters": [*_parameters(route.path_type, "path"), *_parameters(route.query, "query"), *_idempotency(route)],
        "responses": {str(s): _response(route, when) for s, when in route.statuses.items()},
    }
    for status in sorted(_problems(route) - set(route.statuses)):
        told = {"description": WHEN[status], "content": {JSON: {"schema": {"type": "object"}}}}  # as another protocol has it
        operation["responses"][str(status)] = told if route.tell else {"$ref": f"#/components/responses/Problem{status}"}
    if route.needs is not Needs.NOTHING:
        operation["security"] = [{}, {KEY_SCHEME: []}]
        operation["x-needs"] = route.needs.value
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": _request(route)}
    return operation


def _response(route: Route, when: str) -> dict[str, Any]:
    media: dict[str, Any] = {"schema": _schema(route.reply) if route.raw in {None, "text/event-stream"} else {"type": "string"}}
    return {"description": when, "content": {route.raw or JSON: media}}


def _request(route: Route) -> dict[str, Any]:
    media: dict[str, Any] = {"schema": _schema(route.body)}
    if route.example:
        media["examples"] = {"example": {"value": route.example}}
    content = {JSON: media}
    if route.ndjson:
        content["application/x-ndjson"] = {"schema": {"type": "string", "description": "One JSON object a line."}}
    return content


def _schema(kind: Any) -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=REF)
    return schema


def _parameters(kind: Any, place: str) -> Iterator[dict[str, Any]]:
    if kind is None:
        return
    _, components = msgspec.json.schema_components([kind], ref_template=REF)
    shape = components[kind.__name__]
    for name, schema in shape["properties"].items():
        # A query string has no null: leaving a parameter out is the only way to say nothing.
        choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
        plain = choices[0] if len(choices) == 1 else {k: v for k, v in schema.items() if v is not None}
        if isinstance(plain.get("enum"), list):
            plain = {**plain, "enum": [value for value in plain["enum"] if value is not None]}
        yield {"name": name, "in": place, "required": place == "path" or name in shape.get("required", ()), "schema": plain}


def _idempotency(route: Route) -> Iterator[dict[str, Any]]:
    if route.method == "POST":
        schema = {"type": "string", "minLength": 1, "maxLength": KEY_LEN_MAX}
        description = "The same key with the same request gives the first reply again, with `Idempotent-Replayed: true`."
        yield {"name": "Idempotency-Key", "in": "header", "required": False, "schema": schema, "description": description}


def _problems(route: Route) -> set[int]:
    found = {400, *route.problems}
    if route.needs is not Needs.NOTHING:
        found |= {401, 403, 429}
    if route.area is not Area.OPERATIONS:
        found |= {503, 504}
    if route.path_type is not None:
        found.add(404)
    if route.body is not None:
        found |= {408, 413, 415}
    if route.method == "POST":
        found.add(422)
    assert found <= TITLES.keys()
    return found
