"""The hands of consensus: opens proposals, votes as the mind judges, writes decisions down, answers what became of them."""

import base64
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

import msgspec

from agents import paging
from agents.consensus import rules
from agents.consensus.case import CaseBuilder
from agents.members.actor import Members
from agents.minds.mind import Mind
from agents.protocol import Duty, Question
from agents.recall import Noted
from agents.settings import AgentSettings
from bus import subjects
from bus.connection import Bus, Outgoing
from bus.errors import Conflict, not_found
from bus.ids import derived
from bus.log import entries, put_next
from bus.subjects import Subject
from schemas.consensus import Deadline, Decision, ProposalFilter, ProposalPage, ProposalView
from schemas.dead import DeadLetter
from schemas.entry import Entry
from schemas.forgetting import Forgotten
from schemas.members import Ask
from schemas.words import rfc3339

log = logging.getLogger("cerebro.agents")

DEADLINE_GRACE_S = 5.0
"""How long after the deadline the server's own entry may be missing before the mesh writes it."""
TIMER_KEPT = "1h"
"""How long the server keeps what a timer said, once it is in the log."""
KNOWN_WITHIN_S = 1.0
"""How long an id may be unknown before the log itself is read: this fold may be a moment behind."""


class Consensus:
    """Every proposal this agent knows of, and what it does about the open ones."""

    def __init__(
        self,
        bus: Bus,
        agent: str,
        mind: Mind,
        members: Members,
        cases: CaseBuilder,
        settings: AgentSettings,
        until: Callable[[Callable[[], bool], float], Awaitable[bool]],
    ) -> None:
        self._bus = bus
        self._agent = agent
        self._mind = mind
        self._members = members
        self._cases = cases
        self._settings = settings
        self._until = until
        self._proposals: dict[str, rules.ProposalState] = {}
        self._open: dict[str, None] = {}

    # the protocol's shape

    def apply(self, entry: Entry) -> None:
        """Fold an entry about a proposal; those without an end are looked at for duties, those forgotten are dropped."""
        if isinstance(entry.body, Forgotten):
            self._forget(set(entry.body.seqs))
        if not entry.name.startswith("consensus."):
            return
        ident = entry.tokens["proposal"]
        state = self._proposals[ident] = rules.apply(self._proposals.get(ident), entry)
        if state.decision is None and state.proposal is not None:
            self._open[ident] = None
        else:
            self._open.pop(ident, None)
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        """Keep the fold bounded: the oldest ended proposals go, the log still has them."""
        if len(self._proposals) - len(self._open) > self._settings.ended_kept_max:
            oldest = next(ident for ident in self._proposals if ident not in self._open)
            del self._proposals[oldest]

    def _forget(self, seqs: set[int]) -> None:
        """Drop the proposals whose proposal was erased from the log, and of the others the votes that were."""
        for ident, state in list(self._proposals.items()):
            if state.proposal_seq in seqs:
                del self._proposals[ident]
                self._open.pop(ident, None)
            else:
                self._proposals[ident] = rules.without(state, seqs)

    def duties(self, now: datetime) -> Sequence[Duty]:
        due = []
        for ident in self._open:
            due.extend(self._due(self._proposals[ident], now))
        return due

    def _due(self, state: rules.ProposalState, now: datetime) -> list[Duty]:
        ident = state.proposal_id
        if state.opened is None:
            ready = self._members.hears_everyone("votes")
            return [Duty(f"open {ident}", partial(self._open_proposal, ident), shared=True)] if ready else []
        if decision := rules.verdict(state):
            return [Duty(f"decide {ident}", partial(self._decide, ident, decision), shared=True)]
        due = []
        if rules.may_vote(state, self._agent):
            due.append(Duty(f"vote {ident}", partial(self._vote, ident)))
        if now > datetime.fromisoformat(state.opened.deadline) + timedelta(seconds=DEADLINE_GRACE_S):
            due.append(Duty(f"lapse {ident}", partial(self._lapse, ident), shared=True))
        return due

    # the effects

    async def _open_proposal(self, ident: str) -> None:
        """Make the proposal whole, and ask the server for its deadline; where the opener dies in between, the proposal lapses."""
        state = self._proposals[ident]
        assert state.proposal is not None
        deadline = rfc3339(self._bus.now() + timedelta(seconds=state.proposal.timeout_s))
        try:
            opened = rules.open_with(state, list(self._members.present("votes")), deadline)
        except ValueError as e:
            await self._refuse(state, str(e))
            return
        await self._first(subjects.OPENED, opened, ident, expect_subject=_ours(ident))
        schedule = {
            "Nats-Schedule": f"@at {deadline}",
            "Nats-Schedule-Target": self._bus.wire(subjects.TIME_IS_UP.subject(proposal=ident)),
            "Nats-Schedule-TTL": TIMER_KEPT,
        }
        await self._bus.publish(subjects.TIMER, Deadline(proposal=ident), headers=schedule, proposal=ident)

    async def _refuse(self, state: rules.ProposalState, reason: str) -> None:
        """A proposal that came by hand and cannot be put to a vote is rejected without one, and becomes a dead letter with the reason.

        Who is there is not the same for every replica; so the log says that it is refused, and whether it was opened before.
        """
        ident = state.proposal_id
        await self._first(subjects.DECISION, rules.refusal(state), ident, expect_subject=_ours(ident))
        letter = DeadLetter(
            reason=reason,
            subject=subjects.PROPOSAL.subject(proposal=state.proposal_id, agent=state.proposer),
            stream_seq=state.proposal_seq,
            delivered=1,
            headers={},
            data=base64.b64encode(msgspec.json.encode(state.proposal)).decode(),
            first_seen=state.proposed_at,
        )
        ident = derived("refused", state.proposal_id, state.proposal_seq)
        await self._bus.publish(subjects.DEAD_LETTER, letter, msg_id=ident, stream=subjects.MESH, consumer="consensus")

    async def _vote(self, ident: str) -> None:
        state = self._proposals[ident]
        assert state.opened is not None
        case = await self._cases.build(ident, state.opened, self._proposals)
        if not rules.may_vote(self._proposals.get(ident, state), self._agent):
            return
        noted = Noted()
        noted.take(case.memories)
        left_s = (datetime.fromisoformat(state.opened.deadline) - self._bus.now()).total_seconds()
        vote = await self._mind.judge(case, left_s, noted)
        if not rules.may_vote(self._proposals.get(ident, state), self._agent):
            return
        vote = msgspec.structs.replace(vote, recalled=noted.receipt())
        msg_id = derived(ident, self._agent, "vote")
        await self._bus.publish(subjects.VOTE, vote, msg_id=msg_id, proposal=ident, agent=self._agent)

    async def _decide(self, ident: str, decision: Decision) -> None:
        """Write the decision down; where another replica was first, its decision is the same, and the fold adopts it."""
        await self._first(subjects.DECISION, decision, ident)

    async def _lapse(self, ident: str) -> None:
        """The server's deadline did not come (a log restored without its schedule): every consensus ends all the same."""
        try:
            await self._first(subjects.DEADLINE, Deadline(proposal=ident), ident)
        except Conflict:
            log.info("the deadline of %s stands already", ident)

    async def _first(self, row: Subject, body: object, ident: str, expect_subject: str | None = None) -> None:
        """Say it of a proposal as the first on its subject, or on all of `expect_subject`."""
        await put_next(
            self._bus, Outgoing(row=row, body=body, tokens={"proposal": ident}, expect_last_seq=0, expect_subject=expect_subject)
        )

    # the questions

    def questions(self) -> Sequence[Question]:
        return [(subjects.ASK_PROPOSAL, self._proposal), (subjects.ASK_PROPOSALS, self._list)]

    async def _proposal(self, ask: Ask) -> ProposalView:
        """A proposal; with `wait_s`, as soon as its decision is written."""
        if ask.wait_s:
            await self._until(partial(self._ended, ask.id), ask.wait_s)
        else:
            await self._until(lambda: ask.id in self._proposals and self._proposals[ask.id].opened is not None, KNOWN_WITHIN_S)
        state = self._proposals.get(ask.id) or await self._read(ask.id)
        shown = rules.view(state) if state else None
        if shown is None:
            raise not_found(f"no proposal {ask.id} has been opened")
        return shown

    def _ended(self, ident: str) -> bool:
        return ident in self._proposals and self._proposals[ident].decision is not None

    async def _read(self, ident: str) -> rules.ProposalState | None:
        """A proposal that the fold has dropped, read from the log."""
        if not subjects.is_token(ident):
            return None
        found = await entries(self._bus, [subjects.aggregate(subjects.PROPOSAL, proposal=ident)])
        return rules.fold(e for e in found if isinstance(e, Entry))

    async def _list(self, which: ProposalFilter) -> ProposalPage:
        states = sorted(self._proposals.values(), key=lambda s: -s.proposal_seq)
        shown = ((s.proposal_seq, v) for s in states if (v := rules.view(s)) and which.status in (None, v.status))
        found, before = paging.page(shown, which.before, which.limit)
        return ProposalPage(proposals=found, next_before=before)


def _ours(ident: str) -> str:
    """The filter over what the mesh itself says of a proposal: opened, decided, its time is over; no vote is among it."""
    return subjects.beside(subjects.OPENED, proposal=ident)
