"""The law of consensus: pure functions of the entries of one proposal.

`verdict` is the consensus rule. It decides from the log alone, so every replica decides alike.
"""

from collections.abc import Container, Iterable, Sequence
from fractions import Fraction

import msgspec

from schemas.consensus import (
    ABSTAIN,
    REJECT,
    CountedVote,
    Deadline,
    Decision,
    Opened,
    Proposal,
    ProposalStatus,
    ProposalView,
    Verdict,
    Vote,
    proposal_fault,
)
from schemas.entry import Entry
from schemas.words import rfc3339

VOTES_KEPT_MAX = 10_000
"""Most votes kept of one proposal; later ones come after any electorate has long voted."""


class Cast(msgspec.Struct, frozen=True):
    """A vote as it stands in the log."""

    agent: str
    vote: Vote
    seq: int
    at: str


class ProposalState(msgspec.Struct, frozen=True):
    """All that the log says of one proposal."""

    proposal_id: str
    proposal: Proposal | None = None
    proposer: str = ""
    proposal_seq: int = 0
    proposed_at: str = ""
    opened: Opened | None = None
    opened_seq: int = 0
    votes: tuple[Cast, ...] = ()
    deadline_seq: int | None = None
    deadline_at: str = ""
    decision: Decision | None = None


def apply(state: ProposalState | None, entry: Entry) -> ProposalState:
    """Fold one entry. The first proposal, opening, deadline and decision of an id are the ones that count."""
    state = state or ProposalState(entry.tokens["proposal"])
    at = rfc3339(entry.time)
    match entry.name, entry.body:
        case "consensus.opened", Opened() as opened if state.opened is None:
            return msgspec.structs.replace(state, opened=opened, opened_seq=entry.seq)
        case "consensus.proposal", Proposal() as proposal if state.proposal is None:
            return msgspec.structs.replace(state, proposal=proposal, proposer=entry.agent, proposal_seq=entry.seq, proposed_at=at)
        case "consensus.vote", Vote() as vote if len(state.votes) < VOTES_KEPT_MAX:
            return msgspec.structs.replace(state, votes=(*state.votes, Cast(entry.agent, vote, entry.seq, at)))
        case "consensus.deadline", Deadline() if state.deadline_seq is None:
            return msgspec.structs.replace(state, deadline_seq=entry.seq, deadline_at=at)
        case "consensus.decision", Decision() as decision if state.decision is None:
            return msgspec.structs.replace(state, decision=decision)
    return state


def without(state: ProposalState, seqs: Container[int]) -> ProposalState:
    """The state without the votes at these places, which were erased from the log."""
    if not any(cast.seq in seqs for cast in state.votes):
        return state
    return msgspec.structs.replace(state, votes=tuple(cast for cast in state.votes if cast.seq not in seqs))


def open_with(state: ProposalState, takes_votes: Sequence[str], deadline: str) -> Opened:
    """The proposal made whole; without a named electorate it is everyone who takes votes. Raises ValueError with the reason
    why it cannot be put to a vote (a required approver who is not in the electorate, an empty electorate).
    """
    assert state.proposal is not None
    proposal = state.proposal
    electorate = proposal.electorate if proposal.electorate is not None else sorted(takes_votes)
    if not electorate:
        raise ValueError("the electorate is empty: no member takes votes")
    whole = msgspec.structs.asdict(msgspec.structs.replace(proposal, electorate=sorted(electorate)))
    opened = Opened(**whole, proposer=state.proposer, deadline=deadline, proposal_seq=state.proposal_seq)
    if fault := proposal_fault(opened):
        raise ValueError(fault)
    return opened


def verdict(state: ProposalState) -> Decision | None:
    """How the proposal ended, or None while nothing is certain. THE consensus rule.

    Walks the entries after `opened` in the order of the log and stops at the first at which the outcome is certain.
    Where a vote was forgotten since, what was decided with it stands.
    """
    opened = state.opened
    if opened is None:
        return None
    if state.decision is not None and _lost_votes(state, state.decision):
        return state.decision
    counted: dict[str, str] = {}
    if early := _certain(opened, counted):
        return _decision(state, early, counted, state.opened_seq)
    for cast in state.votes:
        if state.deadline_seq is not None and cast.seq > state.deadline_seq:
            break
        if _counts(cast, state, counted):
            counted[cast.agent] = cast.vote.choice
            if status := _certain(opened, counted):
                return _decision(state, status, counted, cast.seq)
    if state.deadline_seq is not None and state.deadline_seq > state.opened_seq:
        return _decision(state, "expired", counted, state.deadline_seq)
    return None


def _lost_votes(state: ProposalState, decision: Decision) -> bool:
    """Whether the log no longer holds every vote that was decided upon."""
    held = {cast.seq for cast in state.votes}
    return any(vote.seq not in held for vote in decision.votes)


def _counts(cast: Cast, state: ProposalState, counted: dict[str, str]) -> bool:
    """Whether this vote counts, given those counted before it."""
    opened = state.opened
    assert opened is not None
    assert opened.electorate is not None
    valid = cast.vote.choice == ABSTAIN or cast.vote.choice in opened.options
    return cast.seq > state.opened_seq and cast.agent in opened.electorate and valid and cast.agent not in counted


def _certain(opened: Opened, counted: dict[str, str]) -> Verdict | None:
    """Accepted, rejected, or neither yet: 3·agree ≥ 2·electorate in integers, absent and abstaining are not agreement."""
    choices = [o for o in opened.options if o != REJECT]
    if any(_reached(opened, _votes(o, counted)) and _approved(opened, o, counted) for o in choices):
        return "accepted"
    if not any(_possible(opened, o, counted) for o in choices):
        return "rejected"
    return None


def _votes(option: str, counted: dict[str, str]) -> int:
    return sum(choice == option for choice in counted.values())


def _reached(opened: Opened, votes: int) -> bool:
    """Whether `votes` of the electorate are enough: b·votes ≥ a·E for the threshold a/b."""
    assert opened.electorate is not None
    share = Fraction(opened.threshold)
    return share.denominator * votes >= share.numerator * len(opened.electorate)


def _approved(opened: Opened, option: str, counted: dict[str, str]) -> bool:
    return all(counted.get(agent) == option for agent in opened.required_approvers)


def _possible(opened: Opened, option: str, counted: dict[str, str]) -> bool:
    """Whether `option` could still be accepted if everyone who has not voted chose it."""
    assert opened.electorate is not None
    missing = len(opened.electorate) - len(counted)
    approvable = all(counted.get(agent, option) == option for agent in opened.required_approvers)
    return approvable and _reached(opened, _votes(option, counted) + missing)


def _decision(state: ProposalState, status: Verdict, counted: dict[str, str], seq: int) -> Decision:
    opened = state.opened
    assert opened is not None
    chosen = [o for o in opened.options if _reached(opened, _votes(o, counted))]
    choice = chosen[0] if chosen and (status == "accepted" or chosen == [REJECT]) else None
    return Decision(status=status, choice=choice, tally=_tally(opened, counted), votes=votes_until(state, seq), decided_at_seq=seq)


def _tally(opened: Opened, counted: dict[str, str]) -> dict[str, int]:
    assert opened.electorate is not None
    tally = {option: _votes(option, counted) for option in (*opened.options, ABSTAIN)}
    return tally | {"absent": len(opened.electorate) - len(counted)}


def votes_until(state: ProposalState, seq: int | None) -> list[CountedVote]:
    """The votes up to `seq` (all where it is None), each with whether it counts."""
    counted: dict[str, str] = {}
    listed = []
    for cast in state.votes:
        in_time = (seq is None or cast.seq <= seq) and (state.deadline_seq is None or cast.seq < state.deadline_seq)
        counts = state.opened is not None and in_time and _counts(cast, state, counted)
        if counts:
            counted[cast.agent] = cast.vote.choice
        if seq is None or cast.seq <= seq:
            listed.append(_shown(cast, counts=counts))
    return listed


def _shown(cast: Cast, *, counts: bool) -> CountedVote:
    vote = cast.vote
    return CountedVote(
        agent=cast.agent,
        choice=vote.choice,
        confidence=vote.confidence,
        rationale=vote.rationale,
        evidence=list(vote.evidence),
        seq=cast.seq,
        counted=counts,
    )


def may_vote(state: ProposalState, agent: str) -> bool:
    """Whether a vote of `agent` would still count."""
    if state.opened is None or state.opened.electorate is None or verdict(state) is not None:
        return False
    voted = any(v.agent == agent and v.counted for v in votes_until(state, None))
    return agent in state.opened.electorate and not voted


def view(state: ProposalState) -> ProposalView | None:
    """The proposal as it is shown: what the fold says, later votes added as not counted. None before it is opened."""
    opened = state.opened
    if opened is None or opened.electorate is None:
        return None
    end = verdict(state)
    status: ProposalStatus = end.status if end else "open"
    later = [_shown(c, counts=False) for c in state.votes if end and c.seq > end.decided_at_seq]
    running = {v.agent: v.choice for v in votes_until(state, None) if v.counted}
    return ProposalView(
        proposal_id=state.proposal_id,
        status=status,
        choice=end.choice if end else None,
        threshold=opened.threshold,
        electorate=list(opened.electorate),
        tally=end.tally if end else _tally(opened, running),
        votes=[*end.votes, *later] if end else votes_until(state, None),
        decided_at_seq=end.decided_at_seq if end else None,
        proposed_at=state.proposed_at,
        decided_at=_decided_at(state, end),
        deadline=opened.deadline,
        title=opened.title,
        description=opened.description,
        proposer=opened.proposer,
        domain=opened.domain,
        options=list(opened.options),
        attributes=opened.attributes,
        evidence=list(opened.evidence),
        required_approvers=list(opened.required_approvers),
    )


def _decided_at(state: ProposalState, end: Decision | None) -> str | None:
    """When the entry at which it became certain was written."""
    if end is None:
        return None
    if end.decided_at_seq == state.deadline_seq:
        return state.deadline_at
    return next((c.at for c in state.votes if c.seq == end.decided_at_seq), state.proposed_at)


def fold(entries: Iterable[Entry]) -> ProposalState | None:
    """The state that these entries of one proposal give."""
    state = None
    for entry in entries:
        state = apply(state, entry)
    return state
