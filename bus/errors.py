"""What can go wrong on the bus.

CerebroError
├── Unavailable      a part that is needed is away; try again later (503)
├── TooManyRequests  more often than is allowed; try again later (429)
├── TimedOut         an actor did not answer in time (504)
├── Conflict         a compare-and-set was lost: somebody wrote first
├── TooLarge         the body is larger than the server takes (413)
├── Forbidden        this identity may not publish there (403)
├── Misconfigured    the settings do not fit what is there; starting again does not help
│   └── NotAdmitted  the NATS server does not know this identity (any more)
└── Refused          the request was understood and refused, with a problem document
"""

from typing import ClassVar

from schemas.problem import FieldError, Problem

RETRY_AFTER_S = 2.0
"""What a caller is told to wait while a part is away."""

TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


class CerebroError(Exception):
    """Something went wrong; `problem()` is what the caller is told."""

    status: ClassVar[int] = 500

    def problem(self) -> Problem:
        return Problem(title=TITLES[self.status], status=self.status, detail=str(self))


class Unavailable(CerebroError):
    """A part that is needed is away; nothing is known to be lost, try again later."""

    status = 503
    retry_after_s = RETRY_AFTER_S


class TooManyRequests(CerebroError):
    """More often than is allowed; nothing was done."""

    status = 429
    retry_after_s = RETRY_AFTER_S


class TimedOut(CerebroError):
    """The actor did not answer in time; what was asked may still happen."""

    status = 504


class Conflict(CerebroError):
    """Somebody wrote first; read back and adopt what stands there."""

    status = 409


class TooLarge(CerebroError):
    """The body is larger than the server takes."""

    status = 413


class Forbidden(CerebroError):
    """This identity may not publish there; nothing was published."""

    status = 403


class Misconfigured(CerebroError):
    """The settings do not fit what is there; starting again does not help, changing them does."""


class NotAdmitted(Misconfigured):
    """The NATS server does not admit this identity: its key is missing, unknown, revoked, or another since it was rotated."""


class Refused(CerebroError):
    """The request was understood and refused."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail or problem.title)
        self._problem = problem

    def problem(self) -> Problem:
        return self._problem


def refusal(status: int, detail: str, *, path: str | None = None, code: str | None = None) -> Refused:
    """A `Refused` with this HTTP status; `path` names the bad field."""
    errors = [FieldError(path=path, message=detail)] if path else []
    return Refused(Problem(title=TITLES.get(status, "Error"), status=status, detail=detail, code=code, errors=errors))


def not_found(detail: str) -> Refused:
    return refusal(404, detail)


def bad_request(detail: str, path: str | None = None) -> Refused:
    return refusal(400, detail, path=path)


def conflict(detail: str) -> Refused:
    return refusal(409, detail)
