"""Refusals: what was put into the presence bucket and cannot be a member, told to people by a dead letter, once while it goes on."""

import base64
import zlib
from collections.abc import Sequence
from functools import partial

import msgspec

from agents.members.rules import CONTEST_S, GONE_S, NAME_TAKEN
from agents.protocol import Duty
from bus import subjects
from bus.connection import Bus
from bus.ids import derived
from schemas.dead import DeadLetter
from schemas.words import epoch, rfc3339

REFUSED_MAX = 1_000
"""Most refused instances that are remembered; the one heard first is forgotten."""
BUCKET = "presence"


class Refused(msgspec.Struct):
    """An instance that was refused: since when (seconds since 1970), when it was last heard, for what, and whether it was told."""

    reason: str
    data: bytes
    since: float
    seen: float
    told: bool = False


class Refusals:
    """The instances that are refused now."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._refused: dict[tuple[str, str], Refused] = {}

    def heard(self, agent: str, instance: str, data: bytes, reason: str) -> None:
        """Remember that this was put and refused; the same reason again is no news."""
        now, key = self._bus.clock(), (agent, instance)
        known = self._refused.get(key)
        if known is not None and known.reason == reason:
            known.seen = now
            return
        self._refused.pop(key, None)
        self._refused[key] = Refused(reason, data, since=now, seen=now)
        if len(self._refused) > REFUSED_MAX:
            del self._refused[next(iter(self._refused))]

    def drop(self, agent: str, instance: str) -> None:
        """It is a member now, or says goodbye."""
        self._refused.pop((agent, instance), None)

    def duties(self) -> Sequence[Duty]:
        """What has been refused for long enough and is not told yet. Who has fallen silent is forgotten."""
        now = self._bus.clock()
        self._refused = {key: r for key, r in self._refused.items() if now - r.seen < GONE_S}
        return [
            Duty(f"refuse {agent}.{instance} {zlib.crc32(r.reason.encode())}", partial(self._tell, agent, instance, r), shared=True)
            for (agent, instance), r in self._refused.items()
            if not r.told and (r.seen - r.since >= CONTEST_S or not r.reason.startswith(NAME_TAKEN))
        ]

    async def _tell(self, agent: str, instance: str, refused: Refused) -> None:
        subject = subjects.PRESENCE.subject(bucket=BUCKET, agent=agent, instance=instance)
        letter = DeadLetter(
            reason=refused.reason,
            subject=subject,
            stream_seq=0,
            delivered=1,
            headers={},
            data=base64.b64encode(refused.data).decode(),
            first_seen=rfc3339(epoch(refused.since)),
        )
        msg_id = derived("refused", subject, refused.reason)
        await self._bus.publish(subjects.DEAD_LETTER, letter, msg_id=msg_id, stream=subjects.MESH, consumer="members")
        refused.told = True
