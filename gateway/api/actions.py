"""Actions that become episodes: one, or up to 1,000 as one atomic batch on the log."""

import asyncio
from collections.abc import Sequence
from typing import Literal, cast

import msgspec

from bus.connection import Outgoing, Stored
from bus.errors import CerebroError, Refused, TimedOut, Unavailable, conflict
from bus.subjects import EPISODE, MEMORY_AWAIT, MEMORY_GET
from gateway.call import Answer, Call, reply
from gateway.decoding import refuse
from schemas.entry import Entry
from schemas.forgetting import FORGOTTEN_CODE
from schemas.memory import ACTIONS_MAX, Action, ActionRequest, Await, Awaited, ById, EpisodeView, StoredReceipt, StoredReceipts
from schemas.problem import FieldError
from schemas.words import rfc3339

AWAIT_SLICE_S = 1.0
"""Longest time one question waits at the memory actor."""
KNOWN_S_MAX = 2.0
"""Longest wait for memory's word on whether an id is known; the log knows recent ones by itself."""
LOOKUPS_MAX = 16
"""Most such questions at once."""
Wait = Literal["persisted", "searchable"]


class WaitQuery(msgspec.Struct, frozen=True, kw_only=True):
    """`wait`: answer when the episode is committed and found by text (`persisted`), or by vector too (`searchable`)."""

    wait: Wait | None = None


async def remember(call: Call) -> Answer:
    """Store something an agent did or saw as an episode.

    202 when it is on the log; with `?wait=persisted` 201 once it is committed in PostgreSQL and found by text, with
    `?wait=searchable` also by vector. An `episode_id` known with the same content answers as the first time, with
    other content 409.
    """
    receipts = await _store(call, [call.body])
    receipts = await _await_all(call, receipts, call.query.wait)
    return reply(receipts[0], _status(receipts, call.query.wait))


async def remember_all(call: Call) -> Answer:
    """Store up to 1,000 actions (8 MiB), as a JSON array or NDJSON: all of them, side by side on the log, or none."""
    actions: list[ActionRequest] = call.body
    if not 0 < len(actions) <= ACTIONS_MAX:
        refuse([FieldError(path="$", message=f"has {len(actions)} items; 1 to {ACTIONS_MAX} are taken")])
    receipts = await _store(call, actions)
    receipts = await _await_all(call, receipts, call.query.wait)
    return reply(StoredReceipts(items=receipts), _status(receipts, call.query.wait))


async def _store(call: Call, actions: Sequence[ActionRequest]) -> list[StoredReceipt]:
    root = "$" if call.body is actions[0] else "$[{i}]"
    paths = [f"{root.format(i=i)}.episode_id" for i in range(len(actions))]
    _check_ids(actions, paths)
    idents = [a.episode_id or call.ids.new() for a in actions]
    known = await _known(call, actions, paths)
    new = [i for i in range(len(actions)) if i not in known]
    if new:
        stored = await _publish(call, [(idents[i], actions[i]) for i in new])
        await _compare(call, [(paths[i], actions[i], s) for i, s in zip(new, stored, strict=True) if s.duplicate])
        known.update({i: s.seq for i, s in zip(new, stored, strict=True)})
    return [StoredReceipt(episode_id=ident, stored=True, stream_seq=known[i], persisted=False) for i, ident in enumerate(idents)]


def _check_ids(actions: Sequence[ActionRequest], paths: Sequence[str]) -> None:
    """An id travels in a header of NATS, and stands once in a request."""
    seen: set[str] = set()
    faults = []
    for action, path in zip(actions, paths, strict=True):
        ident = action.episode_id
        if ident is None:
            continue
        if not (ident.isascii() and ident.isprintable() and ident.strip() == ident):
            faults.append(FieldError(path=path, message="must be printable ASCII without spaces at its ends"))
        elif ident in seen:
            faults.append(FieldError(path=path, message="stands twice in this request"))
        seen.add(ident)
    if faults:
        refuse(faults[:20])


async def _publish(call: Call, items: Sequence[tuple[str, ActionRequest]]) -> list[Stored]:
    return await call.bus.publish_batch(
        [Outgoing(row=EPISODE, body=_action(a), tokens={"agent": a.agent_id}, msg_id=ident, headers=call.via) for ident, a in items]
    )


def _action(request: ActionRequest) -> Action:
    return Action(**{f: getattr(request, f) for f in Action.__struct_fields__})


async def _known(call: Call, actions: Sequence[ActionRequest], paths: Sequence[str]) -> dict[int, int]:
    """Position in the request → place on the log, of each supplied id that memory knows.

    Raises 409 for other content, and for an id that was forgotten; where one look fails, what that raised.
    """
    supplied = [i for i, a in enumerate(actions) if a.episode_id is not None]
    if not supplied:
        return {}
    lookups = asyncio.Semaphore(LOOKUPS_MAX)
    known: dict[int, int] = {}
    faults: list[FieldError] = []
    failed: list[CerebroError] = []

    async def look(i: int) -> None:
        """Ask for one id, when its turn has come."""
        try:
            async with lookups:
                view = await _get(call, cast("str", actions[i].episode_id))
            if view is None:
                return
            known[i] = view.stream_seq
            if not await _same(call, actions[i], view):
                faults.append(FieldError(path=paths[i], message="is known with other content"))
        except _ForgottenError:
            faults.append(FieldError(path=paths[i], message="was forgotten, and is not remembered again"))
        except CerebroError as e:
            failed.append(e)

    async with asyncio.TaskGroup() as group:
        for i in supplied:
            group.create_task(look(i), name=f"is episode {i} known")
    if failed:
        raise failed[0]
    if faults:
        refuse(faults[:20], status=409)
    return known


async def _get(call: Call, ident: str) -> EpisodeView | None:
    try:
        view: EpisodeView = await call.ask(MEMORY_GET, ById(id=ident), KNOWN_S_MAX)
    except Refused as e:
        if e.problem().status != 404:
            raise
        if e.problem().code == FORGOTTEN_CODE:
            raise _ForgottenError from e
        return None
    except (Unavailable, TimedOut):
        return None  # memory is away, the log is not: what is stored twice has its effect once
    return view


class _ForgottenError(Exception):
    """This id was forgotten."""


async def _same(call: Call, request: ActionRequest, view: EpisodeView) -> bool:
    """Whether what is known is what is asked for: by the log where it still has the entry, else by the episode."""
    entry = await call.bus.entry_at(view.stream_seq)
    if isinstance(entry, Entry) and entry.event_id == request.episode_id:
        return _equal(request, entry)
    moment = request.timestamp is None or rfc3339(request.timestamp) == view.timestamp
    fields = ("agent_id", "action_type", "action_details", "context_state", "importance_score", "tags", "handoff_packet", "session_id")
    references = all((getattr(request, f) or "").lower() == (getattr(view, f) or "").lower() for f in ("cross_reference", "project_dna_id"))
    return moment and references and all(getattr(request, f) == getattr(view, f) for f in fields)


def _equal(request: ActionRequest, entry: Entry) -> bool:
    return entry.name == EPISODE.name and entry.agent == request.agent_id and entry.body == _action(request)


async def _compare(call: Call, duplicates: Sequence[tuple[str, ActionRequest, Stored]]) -> None:
    """Raise 409 where the log knew an id that memory did not know yet, with other content."""
    for path, request, stored in duplicates:
        entry = await call.bus.entry_at(stored.seq)
        if isinstance(entry, Entry) and not _equal(request, entry):
            refuse([FieldError(path=path, message="is known with other content")], status=409)
        if entry is None:
            raise conflict(f"episode {stored.event_id} is known, but no longer on the log")


async def _await_all(call: Call, receipts: list[StoredReceipt], wait: Wait | None) -> list[StoredReceipt]:
    """Wait for what the caller asked for. The last on the log comes first: where it is persisted, the others are too."""
    if wait is None:
        return receipts
    loop = asyncio.get_running_loop()
    end = loop.time() + call.settings.memory_wait_s
    last = max(receipts, key=lambda r: r.stream_seq)
    reached = {last.episode_id: await _await(call, last.episode_id, wait, end)}
    for receipt in receipts if reached[last.episode_id].persisted else ():
        if receipt is not last:
            reached[receipt.episode_id] = await _await(call, receipt.episode_id, wait, end)
    nothing = Awaited(persisted=False, searchable=False)
    states = [reached.get(r.episode_id, nothing) for r in receipts]
    return [
        msgspec.structs.replace(r, persisted=s.persisted and (wait == "persisted" or s.searchable))
        for r, s in zip(receipts, states, strict=True)
    ]


async def _await(call: Call, ident: str, wait: Wait, end: float) -> Awaited:
    """Ask memory in slices until it has come so far, or `end` (loop time)."""
    loop = asyncio.get_running_loop()
    state = Awaited(persisted=False, searchable=False)
    while True:
        left_s = max(0.01, min(AWAIT_SLICE_S, end - loop.time()))
        try:
            state = await call.bus.ask(MEMORY_AWAIT, Await(id=ident, until=wait, timeout_s=left_s), timeout_s=left_s + 1.0)
        except CerebroError:
            await asyncio.sleep(0.05)  # memory is away: the episode is on the log, and it may be back in time
        if getattr(state, wait) or loop.time() >= end or call.gate.closing.is_set():
            return state


def _status(receipts: Sequence[StoredReceipt], wait: Wait | None) -> int:
    return 201 if wait is not None and all(r.persisted for r in receipts) else 202
