"""Subject filters as NATS has them (`*` one token, `>` the rest), judged against the table of subjects."""

import re

from bus import subjects
from bus.errors import bad_request

FILTERS_MAX = 20
"""Most filters of one event stream."""
_TOKENS = re.compile(r"\A(?:(?:[A-Za-z0-9_-]{1,63}|\*)\.)*(?:[A-Za-z0-9_-]{1,63}|\*|>)\Z")


def covers(outer: str, inner: str) -> bool:
    """Whether every subject that `inner` matches is matched by `outer`."""
    wide, narrow = outer.split("."), inner.split(".")
    for i, word in enumerate(wide):
        if word == ">":
            return len(narrow) > i
        if i >= len(narrow) or narrow[i] == ">" or word not in {"*", narrow[i]}:
            return False
    return len(wide) == len(narrow)


def meets(one: str, other: str) -> bool:
    """Whether some subject is matched by both."""
    a, b = one.split("."), other.split(".")
    for x, y in zip(a, b, strict=False):
        if ">" in {x, y}:
            return True
        if x != y and "*" not in {x, y}:
            return False
    return len(a) == len(b)


ROOTS = (subjects.PROTOCOLS, *(s for s in subjects.MESH_SUBJECTS if covers(s, subjects.EPISODE.wildcard)))
"""What may be followed: the protocols and the episodes."""


def filters_of(text: str) -> list[str]:
    """The filters in a comma-separated list, without those that another contains. Raises 400 by name."""
    found = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not 0 < len(found) <= FILTERS_MAX:
        raise bad_request(f"1 to {FILTERS_MAX} subjects are taken", "$.subjects")
    for one in found:
        _check(one)
    kept = [one for one in found if not any(other != one and covers(other, one) for other in found)]
    for i, one in enumerate(kept):
        if clash := next((other for other in kept[:i] if meets(one, other)), None):
            raise bad_request(f"{one} and {clash} overlap; the server takes only filters that do not", "$.subjects")
    return kept


def _check(one: str) -> None:
    if not _TOKENS.match(one):
        raise bad_request(f"{one!r} is no subject filter", "$.subjects")
    if not any(covers(root, one) for root in ROOTS):
        raise bad_request(f"{one} must lie within {' or '.join(ROOTS)}", "$.subjects")
    if not any(meets(row.wildcard, one) for row in subjects.TABLE if row.stream == subjects.MESH):
        raise bad_request(f"no subject of the table matches {one}", "$.subjects")
