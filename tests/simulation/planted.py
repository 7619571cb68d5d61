"""Planted bugs: each is one small change of the real code, made for as long as the simulation runs, and must be caught.

A bug is text replaced in the source of one function, so that the list cannot rot: where the text has gone, planting fails.
"""

import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FunctionType
from typing import Any

import msgspec

from agents.actor import Actor
from agents.consensus import rules as consensus
from agents.consensus.actor import Consensus
from agents.emotion import rules as emotion
from agents.emotion.actor import Emotion
from agents.learning import rules as learning
from agents.learning.actor import Learning
from agents.members import rules as members
from agents.members.actor import Members
from agents.tasks import graph, matching, split
from agents.tasks import rules as tasks
from agents.tasks.actor import Tasks
from agents.tasks.book import Book
from agents.tasks.worker import Worker
from bus import log
from bus.connection import Bus
from bus.work import Work
from tests.simulation.server import VirtualServer
from tests.simulation.world import simulate

SEEDS_MAX = 3_000
"""Each bug must be caught within so many seeds."""


class Planted(msgspec.Struct, frozen=True):
    """`old` becomes `new` in `function`; it shows in scenarios of this `kind`."""

    name: str
    kind: str
    function: Callable[..., Any]
    old: str
    new: str


BUGS: tuple[Planted, ...] = (
    Planted(
        "responders are counted instead of the electorate",
        "consensus",
        consensus._certain,
        "_reached(opened, _votes(o, counted))",
        "counted and 3 * _votes(o, counted) >= 2 * len(counted)",
    ),
    Planted("a second vote is accepted", "consensus", consensus._counts, " and cast.agent not in counted", ""),
    Planted("a late vote is counted", "consensus", consensus.verdict, "cast.seq > state.deadline_seq", "cast.seq > state.deadline_seq + 3"),
    Planted("a vote from outside of the electorate counts", "consensus", consensus._counts, "cast.agent in opened.electorate", "True"),
    Planted(
        "the threshold is a rounded float",
        "consensus",
        consensus._reached,
        "share.denominator * votes >= share.numerator * len(opened.electorate)",
        "votes / len(opened.electorate) >= round(float(share), 2)",
    ),
    Planted("abstaining is agreement", "consensus", consensus._votes, "choice == option for", "choice in (option, 'abstain') for"),
    Planted("it is decided without the required approvers", "consensus", consensus._approved, "return all(", "return True or all("),
    Planted(
        "a decision lists every vote that its writer has read",
        "consensus",
        consensus._decision,
        "votes_until(state, seq)",
        "votes_until(state, None)",
    ),
    Planted(
        "the deadline is taken from the local clock",
        "consensus",
        Consensus._due,
        "rules.verdict(state)",
        "rules.verdict(state) or (now > datetime.fromisoformat(state.opened.deadline)"
        " and rules.verdict(msgspec.structs.replace(state, deadline_seq=max(state.opened_seq, *(v.seq for v in state.votes), 0) + 1)))",
    ),
    Planted(
        "a decision is written without compare-and-set",
        "consensus",
        Consensus._decide,
        "self._first(subjects.DECISION, decision, ident)",
        "self._bus.publish(subjects.DECISION, decision, proposal=ident)",
    ),
    Planted(
        "a decision that stands is not adopted", "consensus", consensus.apply, '"consensus.decision", Decision()', '"never", Decision()'
    ),
    Planted("nobody writes a deadline that the server forgot", "consensus", Consensus._due, "if now > ", "if False and now > "),
    Planted(
        "proposals are opened without compare-and-set",
        "consensus",
        Consensus._open_proposal,
        "self._first(subjects.OPENED, opened, ident, expect_subject=_ours(ident))",
        "self._bus.publish(subjects.OPENED, opened, proposal=ident)",
    ),
    Planted(
        "a refusal does not look whether another replica has opened the proposal",
        "consensus",
        Consensus._refuse,
        "self._first(subjects.DECISION, rules.refusal(state), ident, expect_subject=_ours(ident))",
        "self._bus.publish(subjects.DECISION, rules.refusal(state), proposal=ident)",
    ),
    Planted(
        "an opening does not look whether another replica has refused the proposal",
        "consensus",
        Consensus._open_proposal,
        ", expect_subject=_ours(ident)",
        "",
    ),
    Planted("the fencing token is forgotten", "tasks", tasks._word_ignored, "if fence != state.fence", "if fence > state.fence"),
    Planted(
        "neither fence nor holder are looked at",
        "tasks",
        tasks._word_ignored,
        "if fence != state.fence",
        "if True:\n        return None if state.held else 'over'\n    if fence != state.fence",
    ),
    Planted("a lease never ends", "tasks", tasks.lease_over, "now >= state.lease_until or not alive(state.agent, state.instance)", "False"),
    Planted("the first failure is the last", "tasks", tasks._failed, "not error.retryable or ", "True or "),
    Planted("an accepted result is dropped when the whole has ended", "tasks", graph.orphaned, " or child.outcome is not None", ""),
    Planted(
        "a second result replaces the first", "tasks", tasks.why_ignored, "state.outcome is not None", "state.outcome is None and False"
    ),
    Planted("tasks are written without compare-and-set", "tasks", Tasks._put_if, "expect_last_seq=last_seq", "expect_last_seq=None"),
    Planted(
        "an end has an id of its own each time, and no compare-and-set",
        "tasks",
        Tasks._finish,
        'msg_id=derived(state.task_id, "finished"))',
        "msg_id=derived(state.task_id, self.instance, self.bus.clock()))\n    await self.bus.put(out)\n    return",
    ),
    Planted("a task whose time is over goes on", "tasks", tasks.due, "now >= state.deadline", "False"),
    Planted("skills are not looked at", "tasks", matching.eligible, "set(task.required_skills) <= ", "True or "),
    Planted(
        "a part starts before what it depends on, and the whole ends with one part",
        "tasks",
        graph.due,
        "len(outputs) == len(parent.task.subtasks)",
        "outputs",
    ),
    Planted("what has been begun is stolen", "tasks", tasks.unbegun, 'state.status == "assigned"', "True"),
    Planted(
        "a task is stolen without a new fence", "tasks", Tasks._publish_assignment, "state.fence + 1", "state.fence + (not stolen_from)"
    ),
    Planted("a failed task is tried again at once", "tasks", tasks.due, "now < state.not_before", "False"),
    Planted("work that hangs is waited for", "tasks", Worker._in_time, "asyncio.timeout(limit_s)", "asyncio.timeout(None)"),
    Planted(
        "a task is split that one agent could do", "tasks", split.scattered, " and not set.intersection(*agents)", " and len(agents) > 1"
    ),
    Planted("a part of a split task is forgotten", "tasks", split.parts, "dict.fromkeys(task.required_skills)", "task.required_skills[:1]"),
    Planted("success fades by the local clock", "tasks", Book._task, "earned.domain, entry.time,", "earned.domain, datetime.now(UTC),"),
    Planted("a task that is being given counts twice", "tasks", Tasks._booked_now, " if not self._shows(task_id, fence)", ""),
    Planted("who has a task when it is cancelled has done it", "tasks", tasks.credit, 'after.outcome.status == "succeeded"', "True"),
    Planted("what is under way is begun again", "tasks", Work.take, "entry.event_id in self._under_way", "False"),
    Planted("work is given up while it may still be ours", "tasks", Worker._tell, "while self._held(assignment)", "while False"),
    Planted("a receipt has a new id each time", "learning", Learning._integrate, '"integrated")', '"integrated", self._bus.clock())'),
    Planted(
        "after a restart, older lessons are passed over",
        "learning",
        Learning.apply,
        "self._to_integrate[ident] = None",
        "self._to_integrate.update({ident: None} if entry.time.timestamp() > self._members._listening_since - 0.5 else {})",
    ),
    Planted(
        "an early receipt counts for those that read the kept lessons first",
        "learning",
        learning.apply,
        "state is None or entry.seq == state.seq",
        "state is None",
    ),
    Planted("a lesson counts as integrated when it is stored", "learning", learning.holds, "return ", "return True or "),
    Planted(
        "an affect moves further than it may", "emotion", emotion.appraise, "max(-1.0, min(1.0, x + strength * delta))", "x + 9 * delta"
    ),
    Planted("a stimulus is answered under a new id", "emotion", Emotion._appraise, "due.msg_id)", "due.msg_id + str(self._bus.clock()))"),
    Planted(
        "only the newest stimulus is answered",
        "emotion",
        Emotion._await_turn,
        "self._pending[",
        "self._pending.clear()\n    self._pending[",
    ),
    Planted(
        "the last to be read is what an agent feels, not the last in the log", "emotion", emotion.apply, "entry.seq <= before.seq", "True"
    ),
    Planted("membership is logged without compare-and-set", "learning", Members._log, "expect_last_seq=seq", ""),
    Planted(
        "what nobody can read stands in the way", "consensus", log.put_next, "any(isinstance(entry, Entry) for entry in since)", "since"
    ),
    Planted("who falls silent stays a member", "learning", members.due, '== "gone"', '== "never"'),
    Planted("a goodbye is not logged", "learning", members.apply, "before.instances - {change.instance}", "before.instances"),
    Planted("a duty that failed is forgotten", "all", Actor._perform, "attempt.failures, len(BACKOFF_S) - 1)]", "0, 0)] + 1e9"),
    Planted("an ended task stays open", "tasks", Book._put, "if state.finished is None", "if True"),
    Planted(
        "what timed out is taken as acknowledged",
        "all",
        Bus._store,
        "except (Unavailable, TimedOut) as e:",
        "except (Unavailable, TimedOut) as e:\n            return Acknowledged(10**6, duplicate=False)",
    ),
    Planted(
        "a publish is tried again under a new id",
        "learning",
        Bus._store,
        "if loop.time() + RETRY_PAUSE_S",
        "wire[2][entries.MSG_ID] += 'again'\n            if loop.time() + RETRY_PAUSE_S",
    ),
    Planted("it is acknowledged before it is on disk", "all", VirtualServer.power_cut, "not self.synced", "True"),
)


@contextmanager
def planted(bug: Planted) -> Iterator[None]:
    """The bug is in the code for as long as this lasts."""
    function = bug.function
    assert isinstance(function, FunctionType)
    sound = function.__code__
    function.__code__ = _with(bug, function)
    try:
        yield
    finally:
        function.__code__ = sound


def caught_at(bug: Planted, seeds: int) -> tuple[int | None, str]:
    """The first seed that shows the bug, and what broke; None where no seed does."""
    with planted(bug):
        for seed in range(seeds):
            if broken := simulate(seed, kind=bug.kind).broken:
                return seed, broken
    return None, ""


def _with(bug: Planted, function: FunctionType) -> CodeType:
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(bug.old) == 1, f"{bug.name}: {bug.old!r} stands {source.count(bug.old)} times in {function.__qualname__}"
    made: dict[str, Any] = {}
    exec(
        compile("from __future__ import annotations\n" + source.replace(bug.old, bug.new), bug.name, "exec"),
        function.__globals__ | {},
        made,
    )
    code: CodeType = made[function.__name__].__code__
    return code
