"""What an answer means: how it is counted, and what is wrong with it. Pure."""

import re

import msgspec

from bus import subjects
from gateway.route import Area, Route
from gateway.routes import ROUTES
from schemas.problem import Problem
from tests.fuzz.wire import Reply

ROUTE_OF = {f"{route.method} {route.path}": route for route in ROUTES}
ROW_OF = {row.name: row for row in subjects.TABLE}
SHOWN_MAX = 300
"""Most characters of an answer that are shown."""
TOO_MANY = re.compile(r"at once|[:;] ask again")
"""Is said by the door and by services when they work on as much as they may, and by what waits for the backlog or another run: an
honest 503."""

LEFT = re.compile(r"the agent stops")
"""An honest 500, as that protocol has no other: an invented agent was given up while a prompt for it was under way."""
UNHEARD = re.compile(r"fz-\d has not said within")
"""An honest 504: the agent that was to appraise is one that the fuzzer invented, and says nothing."""


class Verdict(msgspec.Struct, frozen=True):
    """`outcome` is counted; `fault` says what is wrong, None where nothing is."""

    outcome: str
    fault: str | None = None


def of_question(row: str, reply: Reply | None) -> Verdict:
    """Of an answer on the bus to a question; None: there was none."""
    if reply is None:
        return Verdict("silence", "nobody answered in time")
    if reply.nobody:
        return Verdict("nobody there")
    code = reply.header(b"Nats-Service-Error-Code")
    shown = reply.data[:SHOWN_MAX].decode("utf-8", "replace")
    if code is None:
        return _decoded("answered", reply.data, ROW_OF[row].reply) if reply.data else Verdict("answered with nothing more")
    if not code.isdigit() or not 400 <= int(code) < 500:
        honest = _honest(code, shown)
        return Verdict(honest) if honest else Verdict(code, f"answered with {code}: {shown}")
    return Verdict(code) if ROW_OF[row].foreign else _decoded(code, reply.data, Problem)  # a foreign protocol has its own error frames


def of_publish(reply: Reply | None) -> Verdict:
    """Of the server's acknowledgement of what was to be stored."""
    if reply is None:
        return Verdict("not acknowledged")
    if reply.nobody:
        return Verdict("no stream takes it")
    try:
        answer = msgspec.json.decode(reply.data)
    except msgspec.DecodeError:
        return Verdict("no acknowledgement")
    if "error" in answer:
        return Verdict(f"refused by the server: {answer['error'].get('err_code')}")
    return Verdict("duplicate" if answer.get("duplicate") else "stored")


def of_door(row: str, status: int, media: str, body: bytes, retry_after: str | None) -> Verdict:
    """Of an answer of the door."""
    shown = body[:SHOWN_MAX].decode("utf-8", "replace")
    route = ROUTE_OF[row]
    honest = _honest(str(status), shown)
    if honest and (retry_after or status == 504):
        return Verdict(honest)
    if status >= 500:
        return Verdict(str(status), f"status {status} ({'Retry-After ' + retry_after if retry_after else 'no Retry-After'}): {shown}")
    if route.area is Area.A2A:
        return Verdict(str(status))  # another protocol's words: its conformance kit judges their form
    if status >= 400:
        if media != "application/problem+json":
            return Verdict(str(status), f"status {status} with {media or 'no media type'}: {shown}")
        return _decoded(str(status), body, Problem)
    return _success(route, status, body)


def _honest(code: str, shown: str) -> str | None:
    """What a 503 or 504 is counted as, where there is nothing wrong with it."""
    if code == "503" and TOO_MANY.search(shown):
        return "overload"
    if code == "500" and LEFT.search(shown):
        return "500 as the agent leaves"
    return "504 for an invented agent" if code == "504" and UNHEARD.search(shown) else None


def _success(route: Route, status: int, body: bytes) -> Verdict:
    if status not in route.statuses:
        return Verdict(str(status), f"status {status} is not one of the route's")
    return _decoded(str(status), body, route.reply)


def _decoded(outcome: str, data: bytes, kind: object) -> Verdict:
    try:
        msgspec.json.decode(data, type=kind)  # type: ignore[call-overload]
    except (msgspec.MsgspecError, UnicodeDecodeError) as e:
        return Verdict(outcome, f"the answer is not as it is declared: {e}: {data[:SHOWN_MAX]!r}")
    return Verdict(outcome)
