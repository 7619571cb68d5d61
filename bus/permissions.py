"""What each identity may publish and what it may hear on the server, made from the table of subjects. Nothing else is allowed.

    operator   everything
    built-in   the rows of `self` under its own name, of `mesh`, and of `any`; it answers what `mesh` answers
    memory     the rows of `memory`; it answers what memory answers, and erases what is forgotten
    gateway    the rows that it may publish for its callers; it asks and follows the log
    external   the rows of `self` under its own name and of `any`; it works off its own assignments

A new row in the table is enough. What stands here beside it is what a subject cannot say: inboxes, service discovery, and JetStream's API.

JetStream answers a request wherever the request's reply subject points, whoever asked, and delivers what a consumer holds likewise.
So who is not trusted gets no right whose answer could pass for an entry of somebody else: it reads by asking (`ask.…`, `memory.…`)
and by listening to the log's copies (`log.…`), and pulls only its own assignments, whose bodies are the mesh's words. For the same
reason nobody has `allow_responses`, by which a caller chooses what its answerer may publish on. See docs/security.md.
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum

import msgspec

from bus import subjects
from bus.settings import BusSettings
from bus.subjects import By, Subject

EVERYTHING = (">",)
PRESENCE, AFFECT, IDEMPOTENCY, API_KEYS, WEBHOOKS = BUCKETS = ("presence", "affect", "idempotency", "keys", "a2a_push")
STREAMS = (subjects.MESH, subjects.LESSONS, subjects.DEAD, subjects.TIMERS)
DISCOVERY = "$SRV.>"
"""Where NATS micro services are found, asked what they are, and answer."""
ANY_INBOX = "_INBOX.>"
SHARED_INBOX = "_INBOX.agents.>"
"""Where the client package of the Synadia Agent Protocol hears answers, whoever uses it: of its own choice, which cannot be set. What comes
there is what tasks have come to, which the log tells every member anyway.
"""


class Role(StrEnum):
    """What kind of party an identity is."""

    OPERATOR = "operator"
    BUILTIN = "built-in"
    MEMORY = "memory"
    GATEWAY = "gateway"
    EXTERNAL = "external"


PUBLISHES: dict[Role, frozenset[By]] = {
    Role.BUILTIN: frozenset({By.SELF, By.MESH, By.ANY, By.ACTORS, By.SERVER}),
    Role.MEMORY: frozenset({By.MEMORY, By.ANY, By.ACTORS}),
    Role.GATEWAY: frozenset({By.ANY}),
    Role.EXTERNAL: frozenset({By.SELF, By.ANY}),
}
ANSWERS: dict[Role, By | None] = {Role.BUILTIN: By.MESH, Role.MEMORY: By.MEMORY, Role.GATEWAY: None, Role.EXTERNAL: None}
"""Whose questions a role answers, beside those that name it (`self`)."""


class Identity(msgspec.Struct, frozen=True):
    """A party with a key of its own."""

    name: str
    role: Role


class Permissions(msgspec.Struct, frozen=True, kw_only=True):
    """Filters as NATS has them. What is denied is so even where it is allowed."""

    publish: tuple[str, ...]
    publish_denied: tuple[str, ...] = ()
    subscribe: tuple[str, ...]
    subscribe_denied: tuple[str, ...] = ()


def permissions(who: Identity, everyone: Sequence[Identity], settings: BusSettings) -> Permissions:
    """What `who` may do beside `everyone` who has a key; `settings` has the prefix of this mesh."""
    if who.role is Role.OPERATOR:
        return Permissions(publish=EVERYTHING, subscribe=EVERYTHING)
    rights = _Rights(who, everyone, settings)
    return Permissions(
        publish=tuple(dict.fromkeys(rights.publish())),
        publish_denied=tuple(dict.fromkeys(rights.publish_denied())),
        subscribe=tuple(dict.fromkeys(rights.subscribe())),
        subscribe_denied=tuple(dict.fromkeys(rights.subscribe_denied())),
    )


class _Rights:
    """The rights of one identity, one kind after the other."""

    def __init__(self, who: Identity, everyone: Sequence[Identity], settings: BusSettings) -> None:
        self._who = who
        self._everyone = everyone
        self._settings = settings
        self._log = settings.stream(subjects.MESH)
        self._work = settings.work_consumer(who.name)

    @property
    def _trusted(self) -> bool:
        return self._who.role is not Role.EXTERNAL

    def publish(self) -> Iterator[str]:
        """Where it may publish: as whom the table lets it, its answers, the server's API, and its own work's acknowledgements."""
        for row in subjects.TABLE:
            if row.by in PUBLISHES[self._who.role] or (row.gateway and self._who.role is Role.GATEWAY):
                own = row.by is By.SELF and self._who.role is not Role.GATEWAY
                yield self._on(row, own=own and not (row.guest and self._who.role is Role.BUILTIN))
        yield from self._answers_to()
        yield from (f"$JS.API.{verb}" for verb in self._api())
        yield from (f"$JS.ACK.{self._log}.{consumer}.>" for consumer in self._acknowledges())
        yield from (f"$KV.{self._settings.stream(bucket)}.>" for bucket in self._buckets())
        yield DISCOVERY

    def publish_denied(self) -> Iterator[str]:
        """What the filters above would allow beside what is meant: others' work, and inboxes of those who are trusted."""
        if not self._trusted:
            yield from (f"{self._settings.inbox(i.name)}.>" for i in self._everyone if i.role in PUBLISHES and i.role is not Role.EXTERNAL)
            return
        others = [i.name for i in self._everyone if i != self._who and i.role in {Role.BUILTIN, Role.EXTERNAL}]
        verbs = ("MSG.NEXT", "DURABLE.CREATE", "DELETE") if self._who.role is Role.GATEWAY else ("MSG.NEXT",)
        for consumer in (self._settings.work_consumer(name) for name in others):
            yield from (f"$JS.API.CONSUMER.{verb}.{self._log}.{consumer}" for verb in verbs)
            yield f"$JS.ACK.{self._log}.{consumer}.>"
        if self._who.role is Role.BUILTIN:
            guests = [row for row in subjects.TABLE if row.guest and row.by is By.SELF and not row.foreign]
            yield from (self._on(row, own=True, name=name) for name in others for row in guests)

    def subscribe(self) -> Iterator[str]:
        """What it may hear: its own inboxes, copies of the log, and what the table says."""
        yield f"{self._settings.inbox(self._who.name)}.>"
        yield self._settings.wire(f"{subjects.LOG_COPY}.>")
        for row in subjects.TABLE:
            if self._hears(row):
                yield self._on(row, own=row.answered_by is By.SELF and not (row.guest and self._who.role is Role.BUILTIN))
        yield f"{self._settings.open_inbox(self._who.name)}.>" if self._trusted else SHARED_INBOX
        yield DISCOVERY

    def subscribe_denied(self) -> Iterator[str]:
        """Nobody is found under the name of a service of ours."""
        if not self._trusted:
            for service in (self._settings.stream(name) for name in subjects.SERVICES):
                yield from (f"$SRV.*.{service}", f"$SRV.*.{service}.>")

    def _on(self, row: Subject, *, own: bool, name: str = "") -> str:
        tokens = {"agent": name or self._who.name} if own else {}
        if row.foreign:
            return row.subject(**tokens)
        if row.pattern.startswith("$"):
            return row.subject(bucket=self._settings.stream(row.name), **tokens)
        return self._settings.wire(row.subject(**tokens))

    def _hears(self, row: Subject) -> bool:
        """Its questions, and what is told to whoever listens. Of what is stored the log's copies are heard, which carry no reply subject
        that a listener could answer before the server does.
        """
        if row.answered_by is not None:
            return row.answered_by in {ANSWERS[self._who.role], By.SELF if self._who.role in {Role.BUILTIN, Role.EXTERNAL} else None}
        if row is subjects.PRESENCE:
            return self._trusted
        return row.stream is None

    def _answers_to(self) -> Iterator[str]:
        if self._who.role is not Role.GATEWAY:
            yield ANY_INBOX
            yield f"{self._settings.open_inbox('*')}.>"

    def _acknowledges(self) -> list[str]:
        match self._who.role:
            case Role.EXTERNAL:
                return [self._work]
            case Role.MEMORY:
                return []
            case _:
                return ["*"]  # of guests, of webhooks; what is denied is the work of whoever has a key

    def _buckets(self) -> list[str]:
        """The buckets in which it may put any key."""
        match self._who.role:
            case Role.GATEWAY:
                return [IDEMPOTENCY, WEBHOOKS]
            case Role.MEMORY:
                return [IDEMPOTENCY]
            case _:
                return []

    def _api(self) -> Iterator[str]:
        """JetStream's API, by the part of the subject after `$JS.API.`."""
        s = self._settings
        presence, affect, kept = (f"KV_{s.stream(bucket)}" for bucket in (PRESENCE, AFFECT, IDEMPOTENCY))
        match self._who.role:
            case Role.BUILTIN:
                yield from _reads(self._log, s.stream(subjects.LESSONS))
                yield from (f"{verb}.{name}" for verb in ("STREAM.INFO", "CONSUMER.LIST") for name in names(s))
                yield f"CONSUMER.DURABLE.CREATE.{self._log}.*"  # its own, and those of agents that may make none
                yield f"CONSUMER.INFO.{self._log}.{self._work}"
            case Role.MEMORY:
                yield from _reads(self._log, *(s.stream(name) for name in (subjects.LESSONS, subjects.DEAD)), affect, kept)
                erased = (self._log, s.stream(subjects.LESSONS), s.stream(subjects.DEAD), kept)
                yield from (f"STREAM.MSG.DELETE.{name}" for name in erased)  # forgetting
                yield from (f"STREAM.{verb}.{affect}" for verb in ("DELETE", "CREATE"))  # forgetting makes it anew from the log
            case Role.GATEWAY:
                yield from _reads(self._log, kept)
                keys, hooks = (f"KV_{s.stream(bucket)}" for bucket in (API_KEYS, WEBHOOKS))
                yield from (f"{verb}.{bucket}" for verb in ("STREAM.INFO", "DIRECT.GET") for bucket in (keys, hooks))
                yield from (f"DIRECT.GET.{bucket}.>" for bucket in (keys, hooks))
                yield f"STREAM.PURGE.{hooks}"  # a webhook goes with what is secret in it
                yield from (f"CONSUMER.{verb}.{self._log}.*" for verb in ("DURABLE.CREATE", "DELETE"))
            case Role.EXTERNAL:
                yield from (f"STREAM.INFO.{name}" for name in (self._log, presence))
                filter_ = self._on(subjects.TASK_ASSIGNED, own=True)
                yield f"CONSUMER.CREATE.{self._log}.{self._work}.{filter_}"  # the server holds the request to this filter
                yield from (f"CONSUMER.{verb}.{self._log}.{self._work}" for verb in ("INFO", "MSG.NEXT"))


def names(settings: BusSettings) -> list[str]:
    """Every stream and bucket as it stands on the server."""
    return [settings.stream(name) for name in STREAMS] + [f"KV_{settings.stream(name)}" for name in BUCKETS]


def _reads(*streams: str) -> Iterator[str]:
    """Following a stream by consumers that it makes for itself, and reading single messages."""
    for stream in streams:
        yield from (f"{verb}.{stream}" for verb in ("STREAM.INFO", "CONSUMER.CREATE", "STREAM.MSG.GET", "DIRECT.GET"))
        yield from (f"CONSUMER.MSG.NEXT.{stream}.*", f"DIRECT.GET.{stream}.>")


def allowed(subject: str, allow: Iterable[str], deny: Iterable[str] = ()) -> bool:
    """Whether filters let a subject through, as the server judges it."""
    return any(matches(f, subject) for f in allow) and not any(matches(f, subject) for f in deny)


def matches(pattern: str, subject: str) -> bool:
    """Whether `subject` falls under a filter: `*` is one token, `>` the rest, at least one."""
    want, have = pattern.split("."), subject.split(".")
    if want[-1] == ">":
        return len(have) >= len(want) and all(w in ("*", h) for w, h in zip(want[:-1], have, strict=False))
    return len(want) == len(have) and all(w in ("*", h) for w, h in zip(want, have, strict=True))
