"""THE table: which message travels on which subject, in which stream, answered by what, and who may publish it.

Streams, permissions, the AsyncAPI document, the docs page and the gateway's messages are made from it.
A subject literal anywhere else fails a test.
"""

import functools
import re
from enum import StrEnum
from typing import Any

import msgspec

from schemas import concepts, consensus, continuity, dead, emotion, forgetting, graph, learning, members, memory, sealing, synadia, tasks

MESH = "MESH"
"""The log: everything that happened, in the order of the world."""
LESSONS = "LESSONS"
"""Lessons, kept for good; sourced from the log by the server."""
DEAD = "DEAD"
"""Dead letters, until somebody redrives or deletes them."""
TIMERS = "TIMERS"
"""What the server is to say at a given time. A stream of its own: who may set a timer can write and roll up anything in its stream."""


class By(StrEnum):
    """Who may publish on a subject, or who answers a question. The operator may do everything; see `bus.permissions`."""

    SELF = "self"
    """The agent whose name stands in the subject."""
    MESH = "mesh"
    """The built-in agents."""
    ANY = "any"
    """Anyone, under their own name."""
    MEMORY = "memory"
    """The memory actor."""
    ACTORS = "actors"
    """The built-in agents and the memory actor."""
    OPERATOR = "operator"
    """The operator only."""
    SERVER = "server"
    """The NATS server itself, as the built-in agents told it to; they do it themselves where it did not."""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """One row: `pattern` has its variable tokens in braces. With `reply` it is a question, with `stream` it is stored."""

    name: str
    pattern: str
    body: Any
    by: By
    stream: str | None = None
    reply: Any = None
    gateway: bool = False
    """Whether the gateway may publish it under any name its caller is allowed."""
    answered_by: By | None = None
    """Who hears the question and answers it; nobody else may."""
    guest: bool = False
    """Whether the built-in agents may publish it, or answer it, in the name of an agent that they bring in from another protocol, or show
    in that. Never in a name that has a key of its own, but for answering.
    """
    foreign: bool = False
    """Whether its subject belongs to a protocol of others, so that it never bears the prefix of the settings."""

    @property
    def wildcard(self) -> str:
        """The filter that matches every subject of this row."""
        return re.sub(r"\{\w+\}", "*", self.pattern)

    @property
    def doc(self) -> str:
        return (self.body.__doc__ or "").strip()

    def subject(self, **tokens: str) -> str:
        """The subject with its tokens filled in, or `*` for those not given."""
        return self.pattern.format_map(_OrAny(tokens))


class _OrAny(dict[str, str]):
    """Tokens, and `*` for those that are not given."""

    def __missing__(self, _: str) -> str:
        return "*"


def _log(name: str, pattern: str, body: Any, by: By, *, gateway: bool = False, guest: bool = False) -> Subject:
    return Subject(name=name, pattern=pattern, body=body, by=by, stream=MESH, gateway=gateway, guest=guest)


def _ask(pattern: str, body: Any, reply: Any) -> Subject:
    return Subject(name=pattern, pattern=pattern, body=body, by=By.ANY, reply=reply, answered_by=By.MESH)


def _remember(pattern: str, body: Any, reply: Any, *, by: By = By.ANY) -> Subject:
    return Subject(name=pattern, pattern=pattern, body=body, by=by, reply=reply, answered_by=By.MEMORY, gateway=by is By.OPERATOR)


# Members
PRESENCE = Subject(name="presence", pattern="$KV.{bucket}.{agent}.{instance}", body=members.Profile, by=By.SELF, guest=True)
MEMBER = _log("member", "mesh.member.{agent}", members.MembershipChange, By.MESH)
ASK_AGENTS = _ask("ask.agents", members.AskAll, members.AgentsView)

# Cross-learning
LESSON = _log("lesson", "mesh.learning.{agent}", learning.Lesson, By.SELF, gateway=True)
INTEGRATED = _log("lesson.integrated", "mesh.learning.{agent}.integrated", learning.Integrated, By.SELF)
LESSONS_REFUSED = _log("lesson.refused", "mesh.learning.{agent}.refused", learning.LessonsRefused, By.MESH)
ASK_LESSON = _ask("ask.lesson", members.Ask, learning.LessonView)
ASK_LESSONS = _ask("ask.lessons", learning.LessonFilter, learning.LessonPage)

# Consensus
PROPOSAL = _log("consensus.proposal", "mesh.consensus.{proposal}.proposal.{agent}", consensus.Proposal, By.SELF, gateway=True)
OPENED = _log("consensus.opened", "mesh.consensus.{proposal}.opened", consensus.Opened, By.MESH)
VOTE = _log("consensus.vote", "mesh.consensus.{proposal}.vote.{agent}", consensus.Vote, By.SELF)
TIMER = Subject(name="consensus.timer", pattern="timer.set.{proposal}", body=consensus.Deadline, by=By.MESH, stream=TIMERS)
TIME_IS_UP = Subject(name="consensus.due", pattern="timer.due.{proposal}", body=consensus.Deadline, by=By.SERVER, stream=TIMERS)
DEADLINE = _log("consensus.deadline", "mesh.consensus.{proposal}.deadline", consensus.Deadline, By.SERVER)
DECISION = _log("consensus.decision", "mesh.consensus.{proposal}.decision", consensus.Decision, By.MESH)
ASK_PROPOSAL = _ask("ask.proposal", members.Ask, consensus.ProposalView)
ASK_PROPOSALS = _ask("ask.proposals", consensus.ProposalFilter, consensus.ProposalPage)

# Emotional synchronisation
AFFECT = _log("emotion.affect", "mesh.emotion.{agent}", emotion.Affect, By.SELF)
STIMULUS = _log("emotion.stimulus", "mesh.emotion.{agent}.stimulus", emotion.Stimulus, By.MESH)
ASK_AFFECT = _ask("ask.affect", members.AskAll, emotion.MeshAffect)
ASK_STIMULUS = _ask("ask.stimulus", emotion.StimulusRequest, emotion.AffectView)

# Tasks
TASK_SUBMITTED = _log("task.submitted", "mesh.task.{task}.submitted", tasks.Submission, By.ANY, gateway=True)
TASK_ASSIGNED = _log("task.assigned", "mesh.task.{task}.assigned.{agent}", tasks.Assignment, By.MESH)
TASK_SPLIT = _log("task.split", "mesh.task.{task}.split", tasks.Split, By.MESH)
TASK_PROGRESS = _log("task.progress", "mesh.task.{task}.progress.{agent}", tasks.Progress, By.SELF, guest=True)
TASK_INPUT = _log("task.input", "mesh.task.{task}.input.{agent}", tasks.InputAnswer, By.ANY, gateway=True)
TASK_RESULT = _log("task.result", "mesh.task.{task}.result.{agent}", tasks.Result, By.SELF, guest=True)
TASK_FAILED = _log("task.failed", "mesh.task.{task}.failed.{agent}", tasks.Failure, By.SELF, guest=True)
TASK_CANCEL = _log("task.cancel", "mesh.task.{task}.cancel.{agent}", tasks.Cancel, By.SELF, gateway=True)
TASK_FINISHED = _log("task.finished", "mesh.task.{task}.finished", tasks.Finished, By.MESH)
ASK_TASK = _ask("ask.task", members.Ask, tasks.TaskDetail)
ASK_TASKS = _ask("ask.tasks", tasks.TaskFilter, tasks.TaskPage)

# Memory
EPISODE = _log("episode", "memory.episode.{agent}", memory.Action, By.SELF, gateway=True)
CONCEPT = _log("concept", "memory.concept.{concept}", concepts.ConceptFormed, By.MEMORY)
FORGOTTEN = _log("forgotten", "memory.forgotten.{receipt}", forgetting.Forgotten, By.MEMORY)
SEAL = _log("seal", "memory.seal.{stream}", sealing.Seal, By.MEMORY)
CHANGED = Subject(name="memory.changed", pattern="memory.changed.{agent}.{kind}", body=memory.Changed, by=By.MEMORY)
MEMORY_SEARCH = _remember("memory.search", memory.SearchRequest, memory.SearchResults)
MEMORY_RECENT = _remember("memory.recent", memory.RecentFilter, memory.EpisodePage)
MEMORY_GET = _remember("memory.get", memory.ById, memory.EpisodeView)
MEMORY_AWAIT = _remember("memory.await", memory.Await, memory.Awaited)
MEMORY_STATS = _remember("memory.stats", memory.StatsRequest, memory.MemoryStats)
MEMORY_WORKING_PUT = _remember("memory.working.put", memory.WorkingPut, memory.WorkingView)
MEMORY_WORKING_GET = _remember("memory.working.get", memory.WorkingKey, memory.WorkingView)
MEMORY_WORKING_LIST = _remember("memory.working.list", memory.WorkingFilter, memory.WorkingList)
MEMORY_WORKING_DELETE = _remember("memory.working.delete", memory.WorkingKey, memory.Deleted)
MEMORY_SEMANTIC_PUT = _remember("memory.semantic.put", concepts.ConceptRequest, concepts.ConceptView)
MEMORY_SEMANTIC_GET = _remember("memory.semantic.get", concepts.ConceptById, concepts.ConceptWithSources)
MEMORY_SEMANTIC_LIST = _remember("memory.semantic.list", concepts.ConceptFilter, concepts.ConceptPage)
MEMORY_CONSOLIDATE = _remember("memory.consolidate", concepts.ConsolidateRequest, concepts.ConsolidationReport)
MEMORY_GRAPH = _remember("memory.graph", graph.GraphRequest, graph.GraphView)
MEMORY_CONTINUITY = _remember("memory.continuity", continuity.ContinuityRequest, continuity.Continuity)
MEMORY_FORGET = _remember("memory.forget", forgetting.ForgetRequest, forgetting.ForgetReceipt, by=By.OPERATOR)

# The Synadia Agent Protocol for NATS. Anyone may host an agent there, under its own name.
AGENT_PROMPT = Subject(
    name="synadia.prompt",
    pattern="agents.prompt.{agent}.{owner}.{session}",
    body=synadia.Envelope,
    by=By.ANY,
    reply=synadia.Chunk,
    answered_by=By.SELF,
    guest=True,
    foreign=True,
)
AGENT_STATUS = Subject(
    name="synadia.status",
    pattern="agents.status.{agent}.{owner}.{session}",
    body=synadia.StatusRequest,
    by=By.ANY,
    reply=synadia.Heartbeat,
    answered_by=By.SELF,
    guest=True,
    foreign=True,
)
AGENT_HEARTBEAT = Subject(
    name="synadia.heartbeat", pattern="agents.hb.{agent}.{owner}.{session}", body=synadia.Heartbeat, by=By.SELF, guest=True, foreign=True
)

# Dead letters
DEAD_LETTER = Subject(name="dead", pattern="dead.{stream}.{consumer}", body=dead.DeadLetter, by=By.ACTORS, stream=DEAD)

TABLE: tuple[Subject, ...] = tuple(row for row in list(globals().values()) if isinstance(row, Subject))

MESH_SUBJECTS = (
    "mesh.learning.>",
    "mesh.consensus.>",
    "mesh.emotion.>",
    "mesh.task.>",
    "mesh.member.>",
    "memory.episode.>",
    "memory.concept.>",
    "memory.forgotten.>",
    "memory.seal.>",
)
"""What the log takes in."""
EVERYTHING = ">"
"""All that the log holds."""
PROTOCOLS = "mesh.>"
"""Every protocol event, without the episodes."""
DEAD_SUBJECTS = ("dead.>",)
TIMER_SUBJECTS = ("timer.>",)
SERVICES = ("mesh", "memory")
"""The names under which questions are answered, as NATS micro services."""
LOG_COPY = "log"
"""First token of the copy that the server republishes of each accepted entry."""

_PART = r"[A-Za-z0-9_-]{1,63}"
_ROWS = [(re.compile(re.sub(r"\\\{(\w+)\\\}", rf"(?P<\1>{_PART})", re.escape(row.pattern)) + r"\Z"), row) for row in TABLE]
SUBJECTS_KEPT_MAX = 4_096
"""Most subjects whose row is remembered: most messages come on one of a few."""


def find(subject: str) -> tuple[Subject, dict[str, str]] | None:
    """The row and the variable tokens of a subject, or None where the table has no such subject."""
    found = _find(subject)
    return (found[0], dict(found[1])) if found else None


@functools.lru_cache(SUBJECTS_KEPT_MAX)
def _find(subject: str) -> tuple[Subject, dict[str, str]] | None:
    for pattern, row in _ROWS:
        if found := pattern.match(subject):
            return row, found.groupdict()
    return None


def aggregate(row: Subject, **tokens: str) -> str:
    """The filter over everything about one proposal or task: the subject up to its first variable token, then `>`."""
    head, _, _ = row.pattern.partition("{")
    first = re.search(r"\{(\w+)\}", row.pattern)
    assert first, f"{row.pattern} has no aggregate"
    return f"{head}{tokens[first[1]]}.>"


def beside(row: Subject, **tokens: str) -> str:
    """The filter over a subject and all that differ from it in the last token only."""
    return f"{row.subject(**tokens).rpartition('.')[0]}.*"


def is_token(text: str) -> bool:
    """Whether `text` can stand as one variable token of a subject."""
    return re.fullmatch(_PART, text) is not None
