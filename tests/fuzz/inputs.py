"""Every input follows from (seed, index) alone: `made(4711, 23)` is the same bytes on every machine, so that one failing input plays again.

Nine of ten go to the bus, one of ten to the door. Ids are shared by inputs that are near each other, so that votes meet proposals.
"""

import urllib.parse
from collections.abc import Iterable
from random import Random
from typing import Any

import msgspec

from bus import subjects
from bus.subjects import Subject
from gateway.route import Area, Route
from gateway.routes import ROUTES
from tests.fuzz import headers, mutations
from tests.fuzz.bodies import AGENTS, IDS_MAX, good

DOOR_SHARE = 0.1
STORED_SHARE = 0.2
"""Of those to the bus; each of them costs a write to disk, and another one where it becomes a dead letter."""
GOOD_SHARE = 0.15
ODD_HEADERS_SHARE = 0.15
ODD_TOKENS_SHARE = 0.05
REPLAY_SHARE = 0.03
REPLAY_BACK_MAX = 500
"""A replay is one of so many before it."""
EPOCH = 5_000
"""So many inputs in a row share their ids."""
DEAR = {subjects.MEMORY_FORGET.name: 0.02, subjects.MEMORY_CONSOLIDATE.name: 0.02}
"""Questions that work for seconds, and how often one is asked beside the others. Their bodies are never left good."""
DEAR_ROUTES = {"forget": 0.1, "forget_episode": 0.1, "consolidate": 0.1}
"""Routes that lead to them, by name, likewise: a forgetting writes every table of PostgreSQL anew."""
TOKENS = ("", "*", ">", "UPPER", "a.b", "a" * 64, "a" * 3_000, "é", "\u202e", "$SYS", "_INBOX", "%2e", "..")

REQUESTS = tuple(row for row in subjects.TABLE if row.reply is not None)
STORED = tuple(row for row in subjects.TABLE if row.reply is None)
"""With the two that no stream of ours takes in: presence, and what memory tells of its commits."""
DOOR = tuple(route for route in ROUTES if route.area is not Area.OPERATIONS and route.raw is None)
"""Every route but probes, documents, and streams, which do not end."""


class BusInput(msgspec.Struct, frozen=True):
    """What is sent on the bus, and how it came to be. `how` names what was done to it; empty: nothing."""

    index: int
    row: str
    subject: bytes
    headers: bytes
    data: bytes
    how: tuple[str, ...]


class DoorInput(msgspec.Struct, frozen=True):
    """What is sent to the door."""

    index: int
    row: str
    method: str
    path: str
    headers: dict[str, str]
    data: bytes
    how: tuple[str, ...]


def made(seed: int, index: int) -> BusInput | DoorInput:
    """The input that stands at `index`."""
    chance = Random(f"{seed} {index}")
    if chance.random() < REPLAY_SHARE and index:
        earlier = chance.randrange(max(0, index - REPLAY_BACK_MAX), index)
        first = _fresh(seed, earlier, Random(f"{seed} {earlier} again"))
        return msgspec.structs.replace(first, index=index, how=(*first.how, f"replay of {earlier}"))
    return _fresh(seed, index, chance)


def _fresh(seed: int, index: int, chance: Random) -> BusInput | DoorInput:
    if chance.random() < DOOR_SHARE:
        return _to_the_door(seed, index, chance)
    row = chance.choice(STORED) if chance.random() < STORED_SHARE else _weighed(REQUESTS, chance)
    return to_the_bus(row, seed, index, chance)


def _weighed(rows: Iterable[Subject], chance: Random) -> Subject:
    rows = list(rows)
    return chance.choices(rows, [DEAR.get(row.name, 1.0) for row in rows])[0]


def to_the_bus(row: Subject, seed: int, index: int, chance: Random) -> BusInput:
    """An input for this row."""
    data, how = _body(row.body, chance, spare=row.name in DEAR)
    tokens = _tokens(seed, index, chance)
    if chance.random() < ODD_TOKENS_SHARE:
        tokens[chance.choice(list(tokens))] = chance.choice(TOKENS)
        how = (*how, "odd token")
    block = b""
    if chance.random() < ODD_HEADERS_SHARE:
        block, how = headers.odd(chance), (*how, "odd headers")
    elif chance.random() < 0.3:
        block = headers.with_id(f"fz-{seed}-{index // EPOCH}-{chance.randrange(IDS_MAX * 20)}")
    return BusInput(index, row.name, row.subject(**tokens).encode(), block, data, how)


def _tokens(seed: int, index: int, chance: Random) -> dict[str, str]:
    shared = f"fz-{seed}-{index // EPOCH}-{chance.randrange(IDS_MAX)}"
    return {
        "agent": chance.choice(AGENTS),
        "bucket": "presence",
        "instance": f"fz-{chance.randrange(3)}",
        "proposal": shared,
        "task": shared,
        "concept": shared,
        "receipt": shared,
        "stream": chance.choice(("MESH", "DEAD", "x")),
        "consumer": chance.choice(("memory", "x")),
        "kind": "episode",
        "owner": "cerebro",
        "session": "main",
    }


def _body(body: Any, chance: Random, *, example: Any = None, spare: bool = False) -> tuple[bytes, tuple[str, ...]]:
    """A body and what was done to it. Where the type says nothing, as of another protocol's words, it is made of an example."""
    value = example if example and body == dict[str, Any] else good(body, chance)
    data = msgspec.json.encode(value)
    if not spare and chance.random() < GOOD_SHARE:
        return data, ()
    return mutated(value, data, chance)


def mutated(value: Any, data: bytes, chance: Random) -> tuple[bytes, tuple[str, ...]]:
    """One mutation of the value, and at times more of the bytes."""
    first = chance.choice(mutations.MUTATIONS)
    data, how = first(value, data, chance), [first.__name__]
    while chance.random() < 0.2:
        more = chance.choice(mutations.MUTATIONS[:4])
        data = more(None, data, chance)
        how.append(more.__name__)
    return data, tuple(how)


MEDIA = (
    "application/json; charset=latin-1",
    "text/plain",
    "application/json;",
    "",
    "application/x-ndjson",
    "multipart/form-data",
    "é".encode().decode("latin-1"),
)
PATHS = ("%00", "%ff", "%2e%2e", "a%2fb", "x" * 5_000)
KEYS = ("", " ", "k", "k" * 256, "k" * 5_000, "\xff", "a b")


def _to_the_door(seed: int, index: int, chance: Random) -> DoorInput:
    (route,) = chance.choices(DOOR, [DEAR_ROUTES.get(route.name, 1.0) for route in DOOR])
    data, how = (b"", ())
    if route.body is not None:
        data, how = _body(route.body, chance, example=route.example, spare=route.name in DEAR_ROUTES)
    sent = {"content-type": "application/json"} if route.body is not None else {}
    if route.area is Area.A2A:
        sent["a2a-version"] = "1.0"
    if chance.random() < ODD_HEADERS_SHARE:
        sent["content-type"] = chance.choice(MEDIA)
        how = (*how, "odd media type")
    if route.method == "POST" and chance.random() < ODD_HEADERS_SHARE:
        sent["idempotency-key"] = chance.choice((*KEYS, f"fz-{seed}-{chance.randrange(IDS_MAX)}"))
        how = (*how, "key")
    path, changed = _address(route, chance)
    return DoorInput(index, f"{route.method} {route.path}", route.method, path, sent, data, (*how, *changed))


def _address(route: Route, chance: Random) -> tuple[str, tuple[str, ...]]:
    how: tuple[str, ...] = ()
    path = route.path
    for name, value in (good(route.path_type, chance) if route.path_type else {}).items():
        odd = chance.random() < ODD_TOKENS_SHARE
        how = (*how, "odd path") if odd else how
        path = path.replace(f"{{{name}}}", chance.choice(PATHS) if odd else urllib.parse.quote(str(value), safe=""))
    if route.query is not None and chance.random() < 0.5:
        query = {k: v for k, v in good(route.query, chance).items() if isinstance(v, str | int | float)}
        text = urllib.parse.urlencode({k: str(v).lower() if isinstance(v, bool) else v for k, v in query.items()})
        if chance.random() < 0.5:
            text, how = (
                chance.choice((f"{text}&unknown=1", f"{text}&limit=1e9", "limit=%ff", "&" * 100, f"{text}&before=x", "=")),
                (*how, "odd query"),
            )
        path = f"{path}?{text}"
    return path, how
