"""The dead letters, as a forgetting looks for them: which bury something of what is asked for."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from typing import Any

import msgspec

from bus import entries, subjects
from bus.connection import Bus
from bus.erasing import erase_all, stored
from bus.errors import Unavailable
from bus.ids import event_id
from schemas.dead import DeadLetter
from schemas.forgetting import ForgetRequest

Wanted = Callable[[str, int], bool]
"""Whether an event of this id, at this place of the log, is to be erased."""


class Buried(msgspec.Struct, frozen=True):
    """What a dead letter buries: where the letter stands, where the event stands in the log, its id, and the agent of its subject.

    `named`: whether the letter says under which id the event came. `agent` is empty where its subject has none.
    """

    place: int
    stream_seq: int
    event_id: str
    named: bool
    agent: str


class Letters:
    """Every dead letter is read once; of each is kept what it buries, not what that said. What was erased meanwhile is found gone."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._stream = bus.stream(subjects.DEAD)
        self._buried: dict[int, Buried] = {}
        self._made = ""
        self._read_to = 0
        self._reading = asyncio.Lock()

    async def asked_for(self, asked: ForgetRequest) -> list[Buried]:
        """Those that stand and bury something of the id, agent, session or tag asked for, as far as that can be read.

        Raises `Unavailable`.
        """
        if asked.id is None and asked.agent_id is None:
            return [buried async for buried, letter in self._letters(0) if says(letter, asked)]
        return await self._standing(lambda b: b.event_id == asked.id if asked.id is not None else b.agent == asked.agent_id)

    async def under(self, ids: Collection[str]) -> list[Buried]:
        """Those that stand and bury something that came under one of these ids; a publisher may use one twice. Raises `Unavailable`."""
        return await self._standing(lambda b: b.event_id in ids)

    async def burying(self, seqs: Collection[int], wanted: Wanted) -> list[Buried]:
        """Those that bury what is wanted: by its id, or by its place where the letter does not say under which id it came.

        Raises `Unavailable`.
        """
        await self._read_on()
        return [b for b in self._buried.values() if wanted(b.event_id, b.stream_seq) or (not b.named and b.stream_seq in seqs)]

    async def erase(self, buried: Collection[Buried]) -> None:
        """Erase these letters. Raises `Unavailable`; then some may be left."""
        gone = [b.place for b in buried]
        await erase_all(self._bus, self._stream, gone)
        self._drop(gone)

    async def _standing(self, looked_for: Callable[[Buried], bool]) -> list[Buried]:
        await self._read_on()
        found = []
        for buried in [buried for buried in self._buried.values() if looked_for(buried)]:
            if await self._bus.raw_at(buried.place, subjects.DEAD) is not None:
                found.append(buried)
            else:
                self._drop([buried.place])
        return found

    async def _read_on(self) -> None:
        """Read what has come since the last time; everything where the stream was made anew since."""
        async with self._reading:
            info = await self._bus.api(f"STREAM.INFO.{self._stream}", {})
            if "error" in info:
                raise Unavailable(f"dead letters cannot be read: {info['error'].get('description')}")
            if info["created"] != self._made:
                self._made, self._read_to, self._buried = info["created"], 0, {}
            self._drop([place for place in self._buried if place < info["state"]["first_seq"]])
            async for buried, _ in self._letters(self._read_to):
                self._buried[buried.place] = buried
                self._read_to = buried.place

    async def _letters(self, after: int) -> AsyncIterator[tuple[Buried, DeadLetter]]:
        incarnation = await self._bus.log_incarnation()
        async for msg in stored(self._bus, self._stream, after):
            try:
                letter = entries.decode(DeadLetter, msg.data)
            except entries.BAD_BODY:
                continue
            yield _buried(msg.seq, letter, incarnation), letter

    def _drop(self, places: Iterable[int]) -> None:
        for place in places:
            self._buried.pop(place, None)


def _buried(place: int, letter: DeadLetter, incarnation: str) -> Buried:
    ident = id_of(letter.headers)
    found = subjects.find(letter.subject)
    return Buried(
        place=place,
        stream_seq=letter.stream_seq,
        event_id=ident or event_id(incarnation, letter.stream_seq),
        named=bool(ident),
        agent=found[1].get("agent", "") if found else "",
    )


def id_of(headers: Mapping[str, str]) -> str | None:
    """The id under which an event came; None where it came under none, and has one of its place."""
    return headers.get(entries.EVENT_ID) or headers.get(entries.MSG_ID)


def says(letter: DeadLetter, asked: ForgetRequest) -> bool:
    """Whether what is buried is of the session or tag asked for; where it is no JSON object, whether its bytes name that."""
    said = _said(letter)
    if isinstance(said, bytes):
        return msgspec.json.encode(asked.session_id or asked.tag) in said
    tags = said.get("tags")
    return said.get("session_id") == asked.session_id if asked.session_id else isinstance(tags, list) and asked.tag in tags


def _said(letter: DeadLetter) -> dict[str, Any] | bytes:
    """The body that is buried; its bytes where they are no JSON object."""
    try:
        data = base64.b64decode(letter.data)
    except ValueError:  # what is not ASCII is no binascii.Error
        return letter.data.encode()
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except entries.BAD_BODY:
        return data
