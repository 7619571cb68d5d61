"""What an entry of the log says of how things hang together: typed edges. Pure, and bounded for whatever a body holds.

Ends are ids: event ids of episodes and lessons, ids of concepts, tasks and proposals, names of agents. They are one space of
names. Where an entry names an id without saying of what, the kind of that end is None; the reader finds out.

    entry               edges (E: its own episode; P, T: the proposal or task it is about; A: its agent)
    episode             E cross_reference its `cross_reference`; E derived_from its `source_episodes`; E mentions ids
    lesson              E derived_from its `source_episodes`; E mentions ids
    concept             concept derived_from its `source_episodes`; concept contradicts its `contradicts`
    consensus.proposal  E caused P; each of its `evidence` caused P; E mentions ids
    consensus.vote      A voted_on P; E mentions P; each of its `evidence` and `recalled` informed P
    consensus.decision  P caused E
    task.submitted      E caused T; its `parent` caused T; E mentions ids
    task.assigned       T assigned A
    task.result/failed  T caused E; each of its `recalled` informed T; E mentions ids
    task.input/cancel   E mentions T
    task.finished       T caused E; E caused the affect by which the built-in agent that did it answers
    emotion.stimulus    E caused the affect by which a built-in agent answers
    all others          none
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from bus import subjects
from bus.ids import affect_answer_id
from memory.episode_row import EpisodeRow, plain
from memory.indexed_text import strings
from schemas.concepts import ConceptFormed
from schemas.consensus import Proposal, Vote
from schemas.emotion import Stimulus
from schemas.graph import EdgeKind, NodeKind
from schemas.learning import Lesson
from schemas.memory import Action
from schemas.tasks import Failure, Finished, Result, Submission
from schemas.words import ID_LEN_MAX, LIST_LEN_MAX

MENTIONS_MAX: Final = 50
"""Most ids that one entry is taken to mention."""
SCANNED_LEN_MAX: Final = 100_000
"""How much of an entry's text is searched for ids, in characters."""
UUID: Final = re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")
UUID_TAIL: Final = re.compile(3 * r"-[0-9a-fA-F]{4}" + r"-[0-9a-fA-F]{12}")
"""Found at the speed of a search for dashes; most of what is said holds none, and is not looked at more closely."""
NAMING: Final = ("task", "task_id", "proposal", "proposal_id", "episode", "episode_id", "lesson_id", "concept_id", "evidence")
"""Fields of an action's details, context and handoff packet whose values are ids, however they are written."""

OPENED: Final = ("proposal", "task")
"""These may have the id of the entry that opened them; then an edge from the one to the other says what the id is."""

Ends = tuple[str, NodeKind | None, EdgeKind, str, NodeKind | None]
"""Source, its kind, the kind of the edge, target, its kind."""


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `edges`; `agent_id`, `stream_seq` and `recorded_at` are those of the entry that says so."""

    source: str
    source_kind: NodeKind | None
    kind: EdgeKind
    target: str
    target_kind: NodeKind | None
    agent_id: str
    stream_seq: int
    recorded_at: datetime


def edges_of(row: EpisodeRow) -> list[Edge]:
    """The edges that this entry draws, each once. The same entry gives the same edges, in the same order."""
    derive = _DERIVED.get(row.entry.name)
    found = {(s, kind, t): (s, s_kind, kind, t, t_kind) for s, s_kind, kind, t, t_kind in derive(row)} if derive else {}
    return [
        Edge(
            source=source,
            source_kind=source_kind,
            kind=kind,
            target=target,
            target_kind=target_kind,
            agent_id=row.agent_id,
            stream_seq=row.stream_seq,
            recorded_at=row.recorded_at,
        )
        for source, source_kind, kind, target, target_kind in found.values()
        if source != target or target_kind in OPENED
    ]


def _episode(row: EpisodeRow) -> Iterator[Ends]:
    action: Action = row.entry.body
    if action.cross_reference is not None:
        yield from _from(row, "cross_reference", _uuid_spellings(action.cross_reference))
    yield from _from(row, "derived_from", _ids(action.action_details.get("source_episodes")))
    said = [fields for fields in (action.action_details, action.context_state, action.handoff_packet) if fields]
    named = (ident for fields in said for name in NAMING if name in fields for ident in _ids(fields[name]))
    yield from _mentions(row, said, named)


def _lesson(row: EpisodeRow) -> Iterator[Ends]:
    lesson: Lesson = row.entry.body
    yield from _from(row, "derived_from", map(plain, lesson.source_episodes))
    yield from _mentions(row, [lesson.topic, lesson.content])


def _concept(row: EpisodeRow) -> Iterator[Ends]:
    formed: ConceptFormed = row.entry.body
    concept = row.entry.tokens["concept"]
    for source in formed.source_episodes:
        yield concept, "concept", "derived_from", plain(source), None
    for other in formed.contradicts:
        yield concept, "concept", "contradicts", plain(other), None


def _proposal(row: EpisodeRow) -> Iterator[Ends]:
    proposal: Proposal = row.entry.body
    ident = row.entry.tokens["proposal"]
    yield row.episode_id, row.kind, "caused", ident, "proposal"
    for evidence in proposal.evidence:
        yield plain(evidence), None, "caused", ident, "proposal"
    yield from _mentions(row, [proposal.title, proposal.description])


def _vote(row: EpisodeRow) -> Iterator[Ends]:
    vote: Vote = row.entry.body
    ident = row.entry.tokens["proposal"]
    yield row.agent_id, "agent", "voted_on", ident, "proposal"
    yield row.episode_id, row.kind, "mentions", ident, "proposal"
    for memory in (*vote.evidence, *(vote.recalled or ())):
        yield plain(memory), None, "informed", ident, "proposal"


def _decision(row: EpisodeRow) -> Iterator[Ends]:
    yield row.entry.tokens["proposal"], "proposal", "caused", row.episode_id, row.kind


def _submitted(row: EpisodeRow) -> Iterator[Ends]:
    task: Submission = row.entry.body
    ident = row.entry.tokens["task"]
    yield row.episode_id, row.kind, "caused", ident, "task"
    if task.parent is not None:
        yield task.parent, "task", "caused", ident, "task"
    yield from _mentions(row, [task.title, task.description, task.input])


def _assigned(row: EpisodeRow) -> Iterator[Ends]:
    yield row.entry.tokens["task"], "task", "assigned", row.agent_id, "agent"


def _performed(row: EpisodeRow) -> Iterator[Ends]:
    body: Result | Failure = row.entry.body
    ident = row.entry.tokens["task"]
    yield ident, "task", "caused", row.episode_id, row.kind
    for memory in body.recalled or ():
        yield plain(memory), None, "informed", ident, "task"
    said = [body.output, body.message] if isinstance(body, Result) else [body.error.message]
    yield from _mentions(row, said)


def _about_task(row: EpisodeRow) -> Iterator[Ends]:
    yield row.episode_id, row.kind, "mentions", row.entry.tokens["task"], "task"


def _finished(row: EpisodeRow) -> Iterator[Ends]:
    end: Finished = row.entry.body
    yield row.entry.tokens["task"], "task", "caused", row.episode_id, row.kind
    if end.agent is not None:
        yield from _answered(row, end.agent)


def _stimulus(row: EpisodeRow) -> Iterator[Ends]:
    assert isinstance(row.entry.body, Stimulus)
    yield from _answered(row, row.agent_id)


def _answered(row: EpisodeRow, agent: str) -> Iterator[Ends]:
    yield row.episode_id, row.kind, "caused", affect_answer_id(agent, row.entry.event_id, row.stream_seq), "episode"


_DERIVED: Final[Mapping[str, Callable[[EpisodeRow], Iterator[Ends]]]] = {
    subjects.EPISODE.name: _episode,
    subjects.LESSON.name: _lesson,
    subjects.CONCEPT.name: _concept,
    subjects.PROPOSAL.name: _proposal,
    subjects.VOTE.name: _vote,
    subjects.DECISION.name: _decision,
    subjects.TASK_SUBMITTED.name: _submitted,
    subjects.TASK_ASSIGNED.name: _assigned,
    subjects.TASK_RESULT.name: _performed,
    subjects.TASK_FAILED.name: _performed,
    subjects.TASK_INPUT.name: _about_task,
    subjects.TASK_CANCEL.name: _about_task,
    subjects.TASK_FINISHED.name: _finished,
    subjects.STIMULUS.name: _stimulus,
}


def _from(row: EpisodeRow, kind: EdgeKind, targets: Iterable[str]) -> Iterator[Ends]:
    return ((row.episode_id, row.kind, kind, target, None) for target in targets)


def _mentions(row: EpisodeRow, said: Sequence[Any], named: Iterable[str] = ()) -> Iterator[Ends]:
    """The ids in named fields, and every UUID in the first `SCANNED_LEN_MAX` characters of what was said."""
    found = dict.fromkeys(named)
    if any(json and UUID_TAIL.search(json) for json in (row.action_details, row.context_state, row.handoff_packet)):
        text = "\n".join(strings(list(said)))[:SCANNED_LEN_MAX]
        for match in UUID.finditer(text):
            found.update(dict.fromkeys(_uuid_spellings(match[0])))
            if len(found) >= MENTIONS_MAX:
                break
    return _from(row, "mentions", list(found)[:MENTIONS_MAX])


def _uuid_spellings(ident: str) -> list[str]:
    """As it stands there, and as ids made here are spelt."""
    return list(dict.fromkeys((ident, ident.lower())))


def _ids(value: Any) -> list[str]:
    """The ids in a field that holds one, or a list of them; of a list the first `LIST_LEN_MAX` are looked at."""
    values = value[:LIST_LEN_MAX] if isinstance(value, list) else [value]
    return [plain(v) for v in values if isinstance(v, str) and 0 < len(v) <= ID_LEN_MAX and not any(c.isspace() for c in v)]
