"""One connection to NATS for one actor: publish, publish a batch, notify, ask, and read what the log holds.

The prefix of the settings is added and stripped here and nowhere else. The connection is opened by FastStream's
broker, with the options that keep it alive for ever, and shared by everything the actor does.
"""

import asyncio
import logging
import secrets
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import msgspec
import nats.errors
import nkeys
from faststream.nats import NatsBroker
from faststream.nats.security import NatsNKey, NatsSecurity
from nats.aio.client import Client, ErrorCallback
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.kv import KeyValue

from bus import entries, subjects, telemetry
from bus.cancelling import end
from bus.clock import ServerClock
from bus.direct import Standing, at
from bus.errors import CerebroError, Conflict, Misconfigured, Refused, TimedOut, TooLarge, Unavailable, refusal
from bus.group import Acknowledged, Group, Wire
from bus.hanging_up import patient_no_longer
from bus.ids import uuid7
from bus.received import guarded
from bus.refusals import Refusals
from bus.settings import PINGS_UNANSWERED_MAX, BusSettings
from bus.subjects import Subject
from schemas.entry import Entry, Malformed
from schemas.problem import Problem
from schemas.words import epoch

log = logging.getLogger("cerebro.bus")

SERVER_VERSION_MIN = (2, 12)
"""Message scheduling and atomic batches came with NATS 2.12."""
BATCH_LEN_MAX = 1_000
"""Most messages of one atomic batch (the server's limit)."""
SENT_LEN = 100
"""After so many messages of a batch they are sent, while the next are put together."""
PUBLISH_TRY_S = 2.0
"""Longest wait for one try of a publish; it is tried again under the same id until the time of the settings is over."""
RETRY_PAUSE_S = 0.1
"""Pause before a publish is tried again."""
PENDING_BYTES_MAX = 8 * 1024 * 1024
"""What the client buffers while the server is away, in bytes."""
TIME_ASKED_EVERY_S = 10.0
"""How often the server is asked what time it is."""
TIME_WAIT_S = 2.0
"""Longest wait for that answer."""

CONFLICT_CODES = {10071, 10164}
DUPLICATE_IN_BATCH = 10201
ERROR_CODE = "Nats-Service-Error-Code"
ERROR_TEXT = "Nats-Service-Error"


class Stored(msgspec.Struct, frozen=True):
    """The server's word that a message is on disk, at `seq`; `duplicate`: it stood there already, under the same id."""

    seq: int
    duplicate: bool
    event_id: str


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A message to be published: on which row, with which tokens, under which id, and what must hold for it to be taken.

    `expect_last_seq` is compared with the last sequence on its own subject, or on the filter `expect_subject`.
    """

    row: Subject
    body: Any
    tokens: Mapping[str, str] = {}
    msg_id: str = msgspec.field(default_factory=uuid7)
    headers: Mapping[str, str] = {}
    expect_last_seq: int | None = None
    expect_subject: str | None = None

    def wire_headers(self, prefix: str) -> dict[str, str]:
        """The headers it travels with; `prefix` goes before the subject that an expectation names."""
        headers = {**telemetry.outgoing(), **self.headers, entries.MSG_ID: self.msg_id}
        if self.expect_last_seq is not None:
            headers["Nats-Expected-Last-Subject-Sequence"] = str(self.expect_last_seq)
            if self.expect_subject:
                headers["Nats-Expected-Last-Subject-Sequence-Subject"] = prefix + self.expect_subject
        return headers


class PubAck(msgspec.Struct, frozen=True):
    """JetStream's answer to a publish."""

    seq: int = 0
    duplicate: bool = False
    error: dict[str, Any] | None = None


class Broker(NatsBroker):
    """FastStream's, but that an error is told and not raised: raised it would end nats-py's reconnecting for good, unseen."""

    def _log_connection_broken(self, error_cb: ErrorCallback | None = None) -> ErrorCallback:
        return error_cb or super()._log_connection_broken()


class Bus:
    """The shared connection. `incarnation` of the log names it across restarts of the server.

    `clock` (seconds since 1970) is what all that hangs on this connection takes for the time of day: the server's, unless one is given.
    """

    def __init__(
        self,
        settings: BusSettings,
        broker: NatsBroker,
        nc: Client,
        clock: Callable[[], float] | None = None,
        refusals: Refusals | None = None,
        name: str = "",
    ) -> None:
        self.settings = settings
        self.broker = broker
        self.nc = nc
        self.js: JetStreamContext = nc.jetstream()
        self._server_clock = ServerClock()
        self.clock = clock or self._server_clock
        self.incarnation = ""
        self._refusals = refusals or Refusals()
        self._name = name
        self._dots = settings.wire("")
        self._group = Group(
            self._store,
            self._store_batch,
            len_min=settings.group_len_min,
            len_max=settings.group_len_max,
            bytes_max=settings.group_bytes_max,
            gather_s_max=settings.group_gather_s_max,
        )

    @classmethod
    async def connect(cls, settings: BusSettings, name: str, wait_s: float | None = None) -> Self:
        """Connect as the identity of the settings, and stay connected: a lost connection is retried for ever.

        `name` is that identity's; answers come to its inbox. The first connection is waited for without limit too, unless `wait_s` says
        otherwise; then `Unavailable` is raised. Raises `NotAdmitted` where the server does not know the identity.
        """
        refusals = Refusals()
        broker = Broker(
            settings.nats_url.split(","),
            name=f"cerebro-{name}",
            logger=None,
            apply_types=False,
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            ping_interval=settings.ping_s,  # type: ignore[arg-type]  # nats-py sleeps for so long: fractions are fine
            max_outstanding_pings=PINGS_UNANSWERED_MAX,
            pending_size=PENDING_BYTES_MAX,
            error_cb=refusals.heard,
            inbox_prefix=settings.inbox(name),
            security=security(settings),
        )
        try:
            async with asyncio.timeout(wait_s):
                nc = patient_no_longer(guarded(await refusals.unless_refused(broker.connect())))
        except (OSError, nats.errors.Error, TimeoutError) as e:
            raise Unavailable(f"NATS does not answer at {settings.nats_url}: {e}") from e
        version = nc.connected_server_version
        if (version.major, version.minor) < SERVER_VERSION_MIN:
            await broker.stop()
            raise Unavailable(f"the NATS server is {version}; Cerebro needs 2.12 or newer")
        bus = cls(settings, broker, nc, refusals=refusals, name=name)
        await bus.ask_time()
        return bus

    async def while_admitted(self) -> None:
        """Wait for ever, in step with the server's time; raises `NotAdmitted` when the server does not admit this identity any more, which
        no reconnecting mends.
        """
        keeping = asyncio.create_task(self._keep_time(), name="keep the server's time")
        refused = asyncio.create_task(self._refusals.refused(), name="hear that we are not admitted any more")
        try:
            done, _ = await asyncio.wait({keeping, refused}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await end(keeping, refused)

    async def _keep_time(self) -> None:
        while True:
            await asyncio.sleep(TIME_ASKED_EVERY_S)
            await self.ask_time()

    async def ask_time(self) -> None:
        """Set the clock by the server; where it does not say, the clock goes on as it does."""
        asked = time.monotonic()
        try:
            answer = await self.api(f"STREAM.INFO.{self.stream(subjects.MESH)}", {}, TIME_WAIT_S)
        except CerebroError as e:
            log.info("the server does not say what time it is: %s", e)
            return
        if "ts" in answer and "error" not in answer:
            self._server_clock.heard(datetime.fromisoformat(answer["ts"]).timestamp(), asked)

    async def close(self, *, drain: bool = True) -> None:
        """Flush and disconnect, or without `drain` at once: nothing is waited for. Quiet when the server is away already."""
        await self._group.close()
        try:
            await (self.broker.stop() if drain else self.nc.close())
        except (nats.errors.Error, OSError, TimeoutError) as e:
            log.info("closing without a server: %s", e)
            await self.nc.close()  # or it would go on trying to reconnect
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            log.info("the server closed it meanwhile")  # what asyncio's streams waited for was cancelled, and nobody was

    @property
    def connected(self) -> bool:
        return bool(self.nc.is_connected)

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return epoch(self.clock())

    # names on the server

    def wire(self, subject: str) -> str:
        """`subject` as it stands on the server."""
        return self._dots + subject

    def open_inbox(self) -> str:
        """A new place for answers of parties that are not ours. They may publish there, and not where the rest answers us: who was asked
        once knows how the names of an inbox begin.
        """
        return f"{self.settings.open_inbox(self._name)}.{secrets.token_hex(16)}"

    def address(self, row: Subject, **tokens: str) -> str:
        """The subject of `row` as it stands on the server: with the prefix, unless the row is another protocol's."""
        subject = row.subject(**tokens)
        return subject if row.foreign else self.wire(subject)

    def plain(self, subject: str) -> str:
        """`subject` without the prefix."""
        return subject.removeprefix(self._dots)

    def stream(self, name: str) -> str:
        """A stream's, bucket's or queue's name as it stands on the server."""
        return self.settings.stream(name)

    def presence_subject(self, agent: str, instance: str) -> str:
        """Where this instance says that it lives."""
        return subjects.PRESENCE.subject(bucket=self.stream("presence"), agent=agent, instance=instance)

    async def kv(self, bucket: str) -> KeyValue:
        """A key-value bucket that `bus.streams` declared."""
        try:
            return await self.js.key_value(self.stream(bucket))
        except (nats.errors.Error, TimeoutError) as e:
            raise Unavailable(f"bucket {bucket} does not answer: {e}") from e

    # publishing

    async def publish(
        self,
        row: Subject,
        body: Any,
        *,
        msg_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        expect_last_seq: int | None = None,
        expect_subject: str | None = None,
        **tokens: str,
    ) -> Stored:
        """Put one message on the log; returned means on disk.

        A try that timed out may have happened, so it is repeated under the same id, which the server knows.
        Raises `Unavailable`, `Conflict` (the expectation did not hold), `TooLarge`.
        """
        out = Outgoing(
            row=row,
            body=body,
            tokens=tokens,
            msg_id=msg_id or uuid7(),
            headers=headers or {},
            expect_last_seq=expect_last_seq,
            expect_subject=expect_subject,
        )
        return await self.put(out)

    async def put(self, out: Outgoing) -> Stored:
        """As `publish`, for a message that is put together already."""
        wire = self._wire(out)
        if out.row.stream != subjects.MESH or out.expect_last_seq is not None or len(wire[1]) > self.settings.group_bytes_max:
            ack = await self._store(wire)
        else:
            ack = await self._in_time(self._group.put(out.msg_id, wire))
        if ack.duplicate and not out.row.gateway and await self._anothers(ack.seq, out, wire[0]):
            return await self.put(msgspec.structs.replace(out, msg_id=uuid7()))
        return Stored(ack.seq, ack.duplicate, out.msg_id)

    async def _anothers(self, seq: int, out: Outgoing, subject: str) -> bool:
        """Whether what stands at `seq` under our id is not ours. The server compares ids only, over all subjects, and ours can often be
        derived; so somebody could use one first, and what we say would never be said.
        """
        if out.row.stream != subjects.MESH:
            return False
        answer = await self.api(f"STREAM.MSG.GET.{self.stream(subjects.MESH)}", {"seq": seq})
        found = answer.get("message", {}).get("subject", subject)  # nothing there: erased since
        if found != subject:
            log.warning("the id %s of %s was used on %s before: published under another", out.msg_id, subject, found)
        return bool(found != subject)

    def _wire(self, out: Outgoing) -> Wire:
        return self.wire(out.row.subject(**out.tokens)), self._encode(out.body), out.wire_headers(self._dots)

    async def _in_time(self, putting: Awaitable[Acknowledged]) -> Acknowledged:
        try:
            async with asyncio.timeout(self.settings.publish_timeout_s):
                return await putting
        except TimeoutError as e:
            raise Unavailable(f"the log did not acknowledge within {self.settings.publish_timeout_s:g} s") from e

    async def publish_batch(self, batch: Sequence[Outgoing]) -> list[Stored]:
        """Put up to 1,000 messages on the log as one atomic batch: all of them, side by side, or none.

        Where one of them is a duplicate of an earlier entry the server refuses the whole batch; then they are
        published one by one, each under its id, so that the result is the same.
        """
        if len(batch) == 1:
            return [await self.put(batch[0])]
        if not 0 < len(batch) <= BATCH_LEN_MAX:
            raise ValueError(f"a batch has 1 to {BATCH_LEN_MAX} messages, not {len(batch)}")
        try:
            first = await self._store_batch([self._wire(o) for o in batch])
        except (_DuplicateInBatch, TimedOut):  # it may have happened: singly, under the same ids, nothing is doubled
            return [await self.put(o) for o in batch]
        return [Stored(first + i, duplicate=False, event_id=o.msg_id) for i, o in enumerate(batch)]

    async def _store_batch(self, wires: Sequence[Wire]) -> int:
        """Where the first of these stands; the others follow it. Raises for the whole of it."""
        ident = uuid7()
        with self._refusals.asking({subject for subject, _, _ in wires}):
            for i, (subject, data, headers) in enumerate(wires[:-1], 1):
                await self._send(subject, data, {**headers, "Nats-Batch-Id": ident, "Nats-Batch-Sequence": str(i)})
                if i % SENT_LEN == 0:
                    await asyncio.sleep(0)
            subject, data, headers = wires[-1]
            closing = {**headers, "Nats-Batch-Id": ident, "Nats-Batch-Sequence": str(len(wires)), "Nats-Batch-Commit": "1"}
            last = await self._try((subject, data, closing), min(PUBLISH_TRY_S, self.settings.publish_timeout_s))
        return last.seq - len(wires) + 1

    async def _store(self, wire: Wire) -> Acknowledged:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.settings.publish_timeout_s
        while True:
            try:
                return await self._try(wire, min(PUBLISH_TRY_S, max(0.1, deadline - loop.time())))
            except (Unavailable, TimedOut) as e:
                if loop.time() + RETRY_PAUSE_S >= deadline or not self.connected:
                    raise Unavailable(f"the log did not acknowledge in time: {e}") from e
                await asyncio.sleep(RETRY_PAUSE_S)

    async def _try(self, wire: Wire, timeout_s: float) -> Acknowledged:
        reply = await self._request(*wire, timeout_s)
        ack = msgspec.json.decode(reply.data, type=PubAck)
        if ack.error is None:
            return Acknowledged(ack.seq, ack.duplicate)
        code, text = ack.error.get("err_code", 0), str(ack.error.get("description"))
        if code in CONFLICT_CODES:
            raise Conflict(text)
        if code == DUPLICATE_IN_BATCH:
            raise _DuplicateInBatch(text)
        if "maximum" in text and "size" in text:
            raise TooLarge(text)
        raise Unavailable(f"the log refused: {text} ({code})")

    async def notify(self, row: Subject, body: Any, **tokens: str) -> None:
        """Tell whoever listens now; nothing is stored, nothing is acknowledged."""
        await self._send(self.wire(row.subject(**tokens)), self._encode(body), telemetry.outgoing())

    # asking

    async def ask(self, row: Subject, body: Any, *, timeout_s: float = 5.0) -> Any:
        """Ask a question and return its reply Struct.

        Raises `Unavailable` (nobody is there, or who answers says that a part it needs is not), `TimedOut`, or `Refused` with the
        answerer's problem document.
        """
        reply = await self._request(self.wire(row.subject()), self._encode(body), telemetry.outgoing(), timeout_s)
        if reply.headers and (code := reply.headers.get(ERROR_CODE)):
            raise _refused(code, reply)
        return entries.decode(row.reply, reply.data)

    async def _request(self, subject: str, data: bytes, headers: dict[str, str], timeout_s: float) -> Msg:
        if not self.connected:
            raise Unavailable("NATS is away")
        if len(data) > self.nc.max_payload:
            raise TooLarge(f"{len(data)} bytes; the server takes {self.nc.max_payload}")
        try:
            with self._refusals.asking((subject,)):
                return await self.nc.request(subject, data, timeout=timeout_s, headers=headers or None)
        except nats.errors.NoRespondersError as e:
            raise Unavailable(f"nobody answers {self.plain(subject)} now") from e
        except (nats.errors.TimeoutError, TimeoutError) as e:
            raise TimedOut(f"no answer on {self.plain(subject)} within {timeout_s:g} s") from e
        except (nats.errors.Error, OSError) as e:
            raise Unavailable(f"NATS: {e}") from e

    async def _send(self, subject: str, data: bytes, headers: dict[str, str]) -> None:
        if not self.connected:
            raise Unavailable("NATS is away")
        try:
            await self.nc.publish(subject, data, headers=headers or None)
        except (nats.errors.Error, OSError) as e:
            raise Unavailable(f"NATS: {e}") from e

    async def api(self, verb: str, body: Any, timeout_s: float = 5.0) -> dict[str, Any]:
        """Call the server's JetStream API (`STREAM.CREATE.X`, …) and return its answer, an `error` in it or not."""
        reply = await self._request(f"$JS.API.{verb}", msgspec.json.encode(body), {}, timeout_s)
        answer: dict[str, Any] = msgspec.json.decode(reply.data)
        return answer

    # reading

    async def raw_at(self, seq: int, stream: str = subjects.MESH) -> Standing | None:
        """The message at `seq` as it came, or None where nothing stands (any more). Raises `Unavailable`."""
        return await at(self.nc, self.stream(stream), seq)

    async def entry_at(self, seq: int, stream: str = subjects.MESH) -> Entry | Malformed | None:
        """What stands at `seq`, or None where nothing does (any more). Raises `Unavailable`."""
        raw = await self.raw_at(seq, stream)
        if raw is None:
            return None
        return entries.read(self.plain(raw.subject), raw.headers, raw.data, seq, raw.time, await self.log_incarnation())

    async def log_incarnation(self) -> str:
        """What makes the derived ids of this log differ from those of any other; set when the stream was made."""
        if not self.incarnation:
            info = await self.api(f"STREAM.INFO.{self.stream(subjects.MESH)}", {})
            if "error" in info:
                raise Unavailable(f"the log is not there: {info['error'].get('description')}")
            self.incarnation = str(info["config"].get("metadata", {}).get("incarnation", info["created"]))
        return self.incarnation

    @staticmethod
    def _encode(body: Any) -> bytes:
        return body if isinstance(body, bytes) else msgspec.json.encode(body)


class _DuplicateInBatch(CerebroError):
    """One message of an atomic batch is known already: the server took none of them."""


def _refused(code: str, reply: Msg) -> CerebroError:
    """What an answer that tells of an error is raised as: that something is away, or late, is the same whoever says so."""
    text = (reply.headers or {}).get(ERROR_TEXT, "")
    try:
        refused = Refused(msgspec.json.decode(reply.data, type=Problem))
    except msgspec.MsgspecError:
        refused = refusal(int(code) if code.isdigit() else 500, text)
    again = {kind.status: kind for kind in (Unavailable, TimedOut)}.get(refused.problem().status)
    return again(str(refused)) if again else refused


def security(settings: BusSettings) -> NatsSecurity | None:
    """Who we are and whom we believe, as FastStream wants it. Raises `Misconfigured` where a file of the settings cannot be used."""
    tls = None
    try:
        if settings.nats_ca or settings.nats_cert:
            tls = ssl.create_default_context(cafile=settings.nats_ca or None)
        if tls is not None and settings.nats_cert:
            tls.load_cert_chain(settings.nats_cert, settings.nats_cert_key or None)
        if not settings.nats_nkey:
            return NatsSecurity(ssl_context=tls) if tls else None
        nkeys.from_seed(bytearray(Path(settings.nats_nkey).read_bytes().strip())).wipe()
    except (OSError, ValueError, nkeys.NkeysError) as e:
        raise Misconfigured(f"credentials for NATS ({settings.nats_nkey or settings.nats_ca or settings.nats_cert}): {e}") from e
    return NatsNKey.from_file(settings.nats_nkey, ssl_context=tls)
