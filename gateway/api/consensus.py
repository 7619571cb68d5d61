"""Consensus: put a proposal to the vote, see what became of it, list proposals."""

from datetime import UTC, datetime, timedelta

import msgspec

from bus.errors import TimedOut, Unavailable, bad_request
from bus.subjects import ASK_AGENTS, ASK_PROPOSAL, ASK_PROPOSALS, PROPOSAL
from gateway.call import Answer, Call, problem, reply
from gateway.waiting import until
from schemas.consensus import Proposal, ProposalRequest, ProposalView
from schemas.members import Ask, AskAll
from schemas.words import Token, rfc3339

OPENED_WAIT_S = 1.0
"""How long an unwaited proposal is given to be opened, so that its electorate stands in the answer."""


class ProposalPath(msgspec.Struct, frozen=True):
    proposal_id: Token


async def propose(call: Call) -> Answer:
    """Put a proposal to the vote and wait for its end: accepted, rejected or expired.

    With `wait: false`, or when it lasts longer than one request may, 202 with `Location`. When the agents are away
    the proposal stands on the log all the same and is opened when they are back: 503 or 504 with `Location`.
    """
    request: ProposalRequest = call.body
    proposal = await _with_electorate(call, Proposal(**{f: getattr(request, f) for f in Proposal.__struct_fields__}))
    ident = call.ids.new()
    await call.bus.publish(PROPOSAL, proposal, msg_id=ident, headers=call.via, proposal=ident, agent=request.proposer)
    headers = {"location": f"/neural-mesh/consensus/{ident}"}
    if not request.wait:
        return reply(await _opened(call, ident, request), 202, headers)
    wait_s = min(request.timeout_s + call.settings.end_grace_s, call.settings.end_wait_s)
    try:
        view = await until(call, ASK_PROPOSAL, ident, _ended, wait_s)
    except (Unavailable, TimedOut) as e:
        return problem(type(e)(f"{e}; proposal {ident} is on the log"), headers)
    if view is None:
        return problem(TimedOut(f"no agent has opened proposal {ident} yet; it is on the log"), headers)
    return reply(view) if _ended(view) else reply(view, 202, headers)


async def _with_electorate(call: Call, proposal: Proposal) -> Proposal:
    """Name the electorate where approvers are required: only so can it be said at once whether they belong to it."""
    if not proposal.required_approvers or proposal.electorate is not None:
        return proposal
    agents = (await call.ask(ASK_AGENTS, AskAll())).agents
    voters = sorted(name for name, agent in agents.items() if agent.status != "gone" and "votes" in agent.takes)
    for i, name in enumerate(proposal.required_approvers):
        if name not in voters:
            raise bad_request(f"{name} is no active agent that takes votes", f"$.required_approvers[{i}]")
    return msgspec.structs.replace(proposal, electorate=voters)


def _ended(view: ProposalView) -> bool:
    return view.status != "open"


async def _opened(call: Call, ident: str, request: ProposalRequest) -> ProposalView:
    """The proposal as an agent tells it, or as it was asked for while none has opened it."""
    try:
        view = await until(call, ASK_PROPOSAL, ident, lambda _: True, OPENED_WAIT_S, slice_s=0)
    except (Unavailable, TimedOut):
        view = None
    return view or _provisional(ident, request, datetime.now(UTC))


def _provisional(ident: str, request: ProposalRequest, now: datetime) -> ProposalView:
    return ProposalView(
        proposal_id=ident,
        status="open",
        choice=None,
        threshold=request.threshold,
        electorate=sorted(request.electorate or []),
        tally={},
        votes=[],
        decided_at_seq=None,
        proposed_at=rfc3339(now),
        decided_at=None,
        deadline=rfc3339(now + timedelta(seconds=request.timeout_s)),
        title=request.title,
        description=request.description,
        proposer=request.proposer,
        domain=request.domain,
        options=request.options,
        attributes=request.attributes,
        evidence=request.evidence,
        required_approvers=request.required_approvers,
    )


async def proposal(call: Call) -> Answer:
    """A proposal, its votes and its end. Votes that came after the decision are listed with `counted: false`."""
    return reply(await call.ask(ASK_PROPOSAL, Ask(id=call.path.proposal_id)))


async def proposals(call: Call) -> Answer:
    """Proposals, newest first. `before` goes on where `next_before` of the page before ended."""
    return reply(await call.ask(ASK_PROPOSALS, call.query))
