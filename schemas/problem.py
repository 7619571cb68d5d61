"""How an error is told: RFC 9457 problem documents, the same body on HTTP and on the bus."""

from schemas.words import Reply


class FieldError(Reply, frozen=True, kw_only=True):
    """One bad field: `path` as in `$.options[0]`, and what is wrong with it."""

    path: str
    message: str


class Problem(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """An RFC 9457 problem document. `code` is a stable machine word where a status alone is too coarse."""

    title: str
    status: int
    detail: str = ""
    type: str = "about:blank"
    code: str | None = None
    errors: list[FieldError] = []
