"""Working memory: what an agent keeps at hand for a session, until its time to live is over."""

import msgspec

from bus.errors import not_found
from bus.subjects import MEMORY_WORKING_DELETE, MEMORY_WORKING_GET, MEMORY_WORKING_LIST, MEMORY_WORKING_PUT
from gateway.call import Answer, Call, reply
from schemas.memory import Key, WorkingItem, WorkingKey, WorkingPut


class WorkingPath(msgspec.Struct, frozen=True):
    session_id: Key
    key: Key


def _key(call: Call) -> WorkingKey:
    return WorkingKey(session_id=call.path.session_id, key=call.path.key)


async def put_working(call: Call) -> Answer:
    """Keep an item for `ttl_s` seconds, in the place of the one with the same session and key."""
    fields = {f: getattr(call.body, f) for f in WorkingItem.__struct_fields__}
    item = WorkingPut(session_id=call.path.session_id, key=call.path.key, **fields)
    return reply(await call.ask(MEMORY_WORKING_PUT, item))


async def working(call: Call) -> Answer:
    """One item."""
    return reply(await call.ask(MEMORY_WORKING_GET, _key(call)))


async def all_working(call: Call) -> Answer:
    """The items of a session, of an agent, or all."""
    return reply(await call.ask(MEMORY_WORKING_LIST, call.query))


async def delete_working(call: Call) -> Answer:
    """Forget an item; 404 when there is none."""
    deleted = await call.ask(MEMORY_WORKING_DELETE, _key(call))
    if not deleted.deleted:
        raise not_found(f"no item {call.path.key} in session {call.path.session_id}")
    return reply(deleted)
