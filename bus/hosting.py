"""Hosting: one agent as the Synadia Agent Protocol for NATS (0.3) shows it. It is found, hears prompts, and says that it lives.

A prompt is answered with a stream of messages on its reply subject: an `ack` at once, chunks, after a fault an error frame, and
always, last, an empty message without headers. The numbers in brackets are sections of the protocol's specification.
"""

import asyncio
import base64
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import msgspec
import nats.errors
from nats import micro
from nats.micro.request import Request
from nats.micro.service import Service as MicroService

from bus import entries, telemetry
from bus.cancelling import end
from bus.connection import ERROR_CODE, ERROR_TEXT, Bus
from bus.errors import CerebroError, TooLarge, Unavailable, refusal
from bus.service import VERSION, body_refused, header_text, withdraw
from bus.subjects import AGENT_HEARTBEAT, AGENT_PROMPT, AGENT_STATUS
from schemas.problem import Problem
from schemas.synadia import HOSTED_BY, OWNER, SERVICE, SESSION, Attachment, Chunk, Envelope, FailureBody, Heartbeat
from schemas.synadia import VERSION as PROTOCOL_VERSION

log = logging.getLogger("cerebro.bus")

QUEUE = "agents"
"""The queue group of every endpoint (3.3): instances of one agent share its prompts."""
STATUSES = frozenset({400, 401, 403, 404, 409, 429, 500})
"""The codes that an error frame may have (9.2)."""
TEXT_PART_LEN_MAX = 64_000
"""Longest text of one chunk, in characters; a longer one goes in several."""
WHITESPACE = b" \t\r\n"
ACK = Chunk(type="status", data="ack")


class HostLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one hosted agent takes. `keep_alive_s`: how often a caller hears that its prompt is still worked on."""

    prompt_bytes_max: int
    prompts_max: int
    heartbeat_s: int
    keep_alive_s: float


class Stream:
    """What goes back to the caller of one prompt. Raises `Unavailable` where it cannot be sent."""

    def __init__(self, bus: Bus, request: Request) -> None:
        self._bus = bus
        self._request = request

    async def status(self, word: str) -> None:
        """Tell how far the work is; it does not belong to the answer."""
        await self._send(Chunk(type="status", data=word))

    async def text(self, text: str, attachments: list[Attachment] | None = None) -> None:
        """Send a piece of the answer."""
        for at in range(0, len(text), TEXT_PART_LEN_MAX):
            await self._send(Chunk(type="response", data=text[at : at + TEXT_PART_LEN_MAX]))
        for attachment in attachments or []:
            await self._send(Chunk(type="response", data={"text": "", "attachments": [attachment]}))

    async def ask(self, ident: str, question: str, timeout_s: float) -> str:
        """Ask the caller (7). Raises `Refused` where no answer comes in time, or none that can be read."""
        inbox = self._bus.open_inbox()
        try:
            heard = await self._bus.nc.subscribe(inbox, max_msgs=1)
            await self._send(Chunk(type="query", data={"id": ident, "reply_subject": inbox, "prompt": question}))
            try:
                reply = await heard.next_msg(timeout=timeout_s)
            except (nats.errors.TimeoutError, TimeoutError):
                await heard.unsubscribe()
                raise refusal(409, f"the question was not answered within {timeout_s:g} s", code="no_answer") from None
        except nats.errors.Error as e:
            raise Unavailable(f"NATS: {e}") from e
        return read_envelope(reply.data).prompt

    async def acknowledge(self) -> None:
        """Say that the prompt is being worked on (6.4)."""
        await self._send(ACK)

    async def fail(self, problem: Problem) -> None:
        """Send the error frame (9)."""
        status = problem.status if problem.status in STATUSES else 400 if problem.status < 500 else 500
        text = problem.detail or problem.title
        if problem.errors:
            text = f"{text} - at `{problem.errors[0].path}`"
        body = FailureBody(error=problem.code or problem.title.lower().replace(" ", "_"), message=text)
        await self._publish(msgspec.json.encode(body), {ERROR_CODE: str(status), ERROR_TEXT: header_text(text)})

    async def close(self) -> None:
        """Send the terminator (6.5)."""
        await self._publish(b"", {})

    async def _send(self, chunk: Chunk) -> None:
        await self._publish(msgspec.json.encode(chunk), {})

    async def _publish(self, data: bytes, headers: dict[str, str]) -> None:
        if not self._bus.connected:
            raise Unavailable("NATS is away")
        try:
            await self._request.respond(data, headers or None)
        except nats.errors.MaxPayloadError as e:
            raise TooLarge(f"a piece of the answer has {len(data)} bytes, more than the server takes") from e
        except ValueError as e:
            raise Unavailable("a prompt without a reply subject: nobody would get the answer") from e
        except (nats.errors.Error, OSError) as e:
            raise Unavailable(f"NATS: {e}") from e


Answer = Callable[[Envelope, Stream], Awaitable[None]]
"""Answers one prompt: sends what there is to say and returns. A `CerebroError` becomes the error frame."""


class Hosted:
    """One agent, found under `agent`, its owner and its session from `start` until `stop`."""

    def __init__(
        self,
        bus: Bus,
        agent: str,
        description: str,
        metadata: dict[str, str],
        answer: Answer,
        limits: HostLimits,
        *,
        attachments_ok: bool,
    ) -> None:
        self._bus = bus
        self._names = {"agent": agent, "owner": OWNER, "session": bus.settings.prefix or SESSION}
        self._description = description
        self._metadata = {**metadata, **self._names, "protocol_version": PROTOCOL_VERSION, HOSTED_BY: OWNER}
        self._answer = answer
        self._limits = limits
        self._attachments_ok = attachments_ok
        self._service: MicroService | None = None
        self._beats: asyncio.Task[None] | None = None
        self._prompts: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Register, and beat from then on (8.2). Raises `Unavailable`."""
        limits, bytes_max = self._limits, self._prompt_bytes_max()
        offers = {"max_payload": f"{bytes_max}B", "attachments_ok": "true" if self._attachments_ok else "false"}
        try:
            self._service = await micro.add_service(
                self._bus.nc, name=SERVICE, version=VERSION, description=self._description, metadata=self._metadata
            )
            await self._service.add_endpoint(
                name="prompt",
                subject=self._bus.address(AGENT_PROMPT, **self._names),
                handler=self._on_prompt,
                queue_group=QUEUE,
                metadata=offers,
            )
            await self._service.add_endpoint(
                name="status", subject=self._bus.address(AGENT_STATUS, **self._names), handler=self._on_status, queue_group=QUEUE
            )
            await self._bus.nc.flush()
        except (nats.errors.Error, OSError) as e:
            raise Unavailable(f"NATS: {e}") from e
        self._beats = asyncio.create_task(self._beat_for_ever(limits.heartbeat_s), name=f"heartbeat of {self._names['agent']}")

    async def stop(self) -> None:
        """Be found no more; callers of prompts under way are told so."""
        if self._beats is not None:
            await end(self._beats)
        if self._service is not None and self._bus.connected:
            await withdraw(self._service)
        await end(*self._prompts)

    def _prompt_bytes_max(self) -> int:
        return min(self._limits.prompt_bytes_max, self._bus.nc.max_payload)

    # signs of life

    def _heartbeat(self) -> bytes:
        assert self._service is not None, "not started"
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return msgspec.json.encode(Heartbeat(**self._names, instance_id=self._service.id, ts=now, interval_s=self._limits.heartbeat_s))

    async def _beat_for_ever(self, every_s: float) -> None:
        subject = self._bus.address(AGENT_HEARTBEAT, **self._names)
        while True:
            if self._bus.connected:
                try:
                    await self._bus.nc.publish(subject, self._heartbeat())
                except (nats.errors.Error, OSError) as e:
                    log.info("no heartbeat on %s: %s", subject, e)
            await asyncio.sleep(every_s)

    async def _on_status(self, request: Request) -> None:
        try:
            await request.respond(self._heartbeat())
        except ValueError:
            log.info("a status request without a reply subject was answered to nobody")

    # prompts

    async def _on_prompt(self, request: Request) -> None:
        """One prompt. nats-py hands them over one at a time, so each becomes a task, as long as there is room."""
        stream = Stream(self._bus, request)
        if len(self._prompts) >= self._limits.prompts_max:
            text = f"{self._limits.prompts_max} prompts are being worked on; no more are taken at once"
            await _end(stream, refusal(429, text, code="too_many_prompts").problem())
            return
        task = asyncio.create_task(self._serve(request, stream), name=f"prompt on {request.subject}")
        self._prompts.add(task)
        task.add_done_callback(self._prompts.discard)

    async def _serve(self, request: Request, stream: Stream) -> None:
        with telemetry.span(AGENT_PROMPT.name, request.headers):
            try:
                problem = await self._outcome(request, stream)
            except asyncio.CancelledError:
                await _end(stream, refusal(500, "the agent stops", code="stopping").problem())
                raise
        await _end(stream, problem)

    async def _outcome(self, request: Request, stream: Stream) -> Problem | None:
        """Answer it; the problem where that did not succeed. Once this returns, no keep-alive follows."""
        signs: asyncio.Task[None] | None = None
        try:
            envelope = self._read(request.data)
            await stream.acknowledge()
            signs = asyncio.create_task(self._keep_alive(stream), name="prompt goes on")
            await self._answer(envelope, stream)
        except CerebroError as e:
            return e.problem()
        except Exception as e:
            log.exception("the prompt on %s failed", request.subject)
            return CerebroError(f"the prompt failed: {type(e).__name__}").problem()
        finally:
            if signs is not None:
                await end(signs)
        return None

    def _read(self, data: bytes) -> Envelope:
        if len(data) > self._prompt_bytes_max():
            raise refusal(400, f"the prompt has {len(data)} bytes; at most {self._prompt_bytes_max()} are taken", code="too_large")
        envelope = read_envelope(data)
        if envelope.attachments and not self._attachments_ok:
            raise refusal(400, "this agent takes no attachments", path="$.attachments", code="attachments_not_supported")
        return envelope

    async def _keep_alive(self, stream: Stream) -> None:
        while True:
            await asyncio.sleep(self._limits.keep_alive_s)
            try:
                await stream.acknowledge()
            except Unavailable as e:
                log.info("a caller was not told that its prompt is worked on: %s", e)


def read_envelope(data: bytes) -> Envelope:
    """A prompt as JSON or as plain text (5.3). Raises `Refused` (400) with the path of what is wrong."""
    try:
        if data.lstrip(WHITESPACE)[:1] == b"{":
            envelope: Envelope = entries.decode(Envelope, data)
        else:
            envelope = msgspec.convert({"prompt": data.decode()}, Envelope)
    except entries.BAD_BODY as e:
        raise body_refused(e) from e
    for i, attachment in enumerate(envelope.attachments or []):
        _check(attachment, f"$.attachments[{i}]")
    return envelope


def _check(attachment: Attachment, path: str) -> None:
    name = attachment.filename
    if name in {".", ".."} or any(c in name for c in "/\\\0"):
        raise refusal(400, "must be a plain file name", path=f"{path}.filename", code="bad_attachment")
    try:
        base64.b64decode(attachment.content, validate=True)
    except ValueError:  # what is not ASCII is no binascii.Error
        raise refusal(400, "must be standard base64 with padding", path=f"{path}.content", code="bad_attachment") from None


async def _end(stream: Stream, problem: Problem | None) -> None:
    """End the stream, after the error frame where there is a problem."""
    try:
        if problem is not None:
            await stream.fail(problem)
        await stream.close()
    except CerebroError as e:
        log.info("a caller was not told how its prompt ended: %s", e)
