"""Errors as A2A has them: one fault, told as JSON-RPC 2.0 or as HTTP+JSON (specification 1.0, sections 5.4, 9.5 and 11.6)."""

from collections.abc import Sequence
from typing import Any

import msgspec
from a2a.utils import errors
from a2a.utils.error_handlers import A2A_DOMAIN, BAD_REQUEST_TYPE, ERROR_INFO_TYPE
from a2a.utils.errors import A2A_ERROR_MAPPING, A2A_ERROR_REASONS, JSON_RPC_ERROR_CODE_MAP, A2AError

from bus.errors import TITLES, CerebroError
from gateway.call import Answer, what_next
from schemas.problem import FieldError, Problem

HTTP_STATUS = {
    errors.TaskNotCancelableError: 409,
    errors.ContentTypeNotSupportedError: 415,
    errors.InvalidAgentResponseError: 502,
    errors.JSONParseError: 400,
}
"""Where section 5.4 of specification 1.0.0 has another status than the table of the SDK."""
BY_STATUS: dict[int, type[A2AError]] = {
    400: errors.InvalidParamsError,
    401: errors.InvalidRequestError,
    403: errors.InvalidRequestError,
    404: errors.TaskNotFoundError,
    408: errors.InvalidRequestError,
    409: errors.InvalidRequestError,
    413: errors.InvalidRequestError,
    415: errors.ContentTypeNotSupportedError,
    422: errors.InvalidParamsError,
    429: errors.InvalidRequestError,
}
"""What a problem of ours is in the words of A2A; any other is an internal error."""
AT_THE_DOOR = frozenset({401, 403, 429})
"""Who asks is not known, not allowed, or asks too often: HTTP's own affair in both bindings (section 7.4)."""
CANONICAL = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    429: "RESOURCE_EXHAUSTED",
    413: "INVALID_ARGUMENT",
    408: "DEADLINE_EXCEEDED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""The canonical word (AIP-193) of statuses that A2A has no error for."""


class Fault(CerebroError):
    """What A2A calls an error: `kind` is the SDK's class of it, `fields` the parameters that are wrong, `about` facts for the client."""

    def __init__(self, kind: type[A2AError], message: str, fields: Sequence[FieldError] = (), **about: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.fields = fields
        self.about = about

    def problem(self) -> Problem:
        status = HTTP_STATUS.get(self.kind) or A2A_ERROR_MAPPING[self.kind].http_code
        return Problem(title=TITLES.get(status, "Error"), status=status, detail=str(self), errors=list(self.fields))


def task_not_found(task_id: str) -> Fault:
    return Fault(errors.TaskNotFoundError, f"there is no task {task_id[:200]}", taskId=task_id[:200])


def invalid(message: str, field: str) -> Fault:
    """A parameter that does not fit; `field` in the words of the protocol."""
    return Fault(errors.InvalidParamsError, f"{field}: {message}", [FieldError(path=field, message=message)])


def _fault(error: CerebroError | Problem) -> tuple[Fault, Problem]:
    """The error as a fault, and as the problem that it is to us."""
    document = error if isinstance(error, Problem) else error.problem()
    if isinstance(error, Fault):
        return error, document
    kind = BY_STATUS.get(document.status, errors.InternalError)
    return Fault(kind, document.detail or document.title, document.errors), document


def _details(fault: Fault) -> list[dict[str, Any]]:
    """`google.rpc.ErrorInfo`, and `BadRequest` where parameters are wrong."""
    reason = A2A_ERROR_REASONS.get(fault.kind, "INVALID_REQUEST")
    details: list[dict[str, Any]] = [{"@type": ERROR_INFO_TYPE, "reason": reason, "domain": A2A_DOMAIN, "metadata": fault.about}]
    if fault.fields:
        violations = [{"field": f.path.removeprefix("$."), "description": f.message} for f in fault.fields]
        details.append({"@type": BAD_REQUEST_TYPE, "fieldViolations": violations})
    return details


def http(error: CerebroError | Problem, headers: dict[str, str] | None = None) -> Answer:
    """The answer of the HTTP+JSON binding."""
    body = http_body(error)
    status = body["error"]["code"]
    return Answer(status=status, content=msgspec.json.encode(body), headers={**what_next(error, status), **(headers or {})})


def http_body(error: CerebroError | Problem) -> dict[str, Any]:
    """An error of the HTTP+JSON binding (AIP-193); within a stream it is one event."""
    fault, document = _fault(error)
    word = CANONICAL.get(document.status) or A2A_ERROR_MAPPING.get(fault.kind, A2A_ERROR_MAPPING[errors.InvalidRequestError]).grpc_status
    return {"error": {"code": document.status, "status": word, "message": str(fault), "details": _details(fault)}}


def rpc(error: CerebroError | Problem, headers: dict[str, str] | None = None) -> Answer:
    """The answer of the JSON-RPC binding to a request whose id is not known: 200, but for who may not ask at all."""
    _, document = _fault(error)
    status = document.status if document.status in AT_THE_DOOR else 200
    body = msgspec.json.encode(rpc_body(error, None))
    return Answer(status=status, content=body, headers={**what_next(error, status), **(headers or {})})


def rpc_body(error: CerebroError | Problem, ident: str | int | None) -> dict[str, Any]:
    """An error of the JSON-RPC binding: always within the envelope, whatever went wrong."""
    fault, _ = _fault(error)
    code = JSON_RPC_ERROR_CODE_MAP[fault.kind]
    return {"jsonrpc": "2.0", "id": ident, "error": {"code": code, "message": str(fault), "data": _details(fault)}}
