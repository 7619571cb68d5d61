"""Final approval: acceptance criteria are checked exactly, then the mesh is asked; the approval is a consensus, not one agent's word.

What does not meet its criteria is not put to a vote. What does becomes a proposal of this agent, `approve` or `reject`, in the consensus
protocol as it stands (2/3 of the electorate or more, required approvers, a deadline the server keeps); this agent's mind votes like
every other. The proposal's id follows from the task's, so work that is taken up again finds its proposal instead of making another.
"""

import asyncio
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from agents.skills.criteria import AnyCriterion
from agents.skills.quality_assurance import CRITERIA_MAX, Assurance, Examination, examine
from agents.skills.skill import Skill, SkillContext, SkillError, bad_input
from bus import subjects
from bus.errors import CerebroError, Refused
from bus.ids import derived
from schemas.consensus import Attributes, CountedVote, Proposal, ProposalView, Threshold, TimeoutS
from schemas.members import ASK_WAIT_S_MAX, Ask
from schemas.words import EventIds, Text, Title, Tokens

SPARE_S = 2.0
"""How long before the end of the task's time the vote must be over."""
ASKED_AGAIN_S = 0.2
"""Pause before a proposal that is not known yet is asked for again."""
OVER_S = 6.0
"""How long after its deadline a proposal may take to be decided; the mesh writes a deadline of its own after five seconds."""


class Approving(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be approved. With `criteria`, `artefact` (or else what the task depends on) must meet those that are not advisory.

    All else is as in a proposal. `timeout_s` is shortened to what is left of the task's time.
    """

    title: Title
    description: Text = ""
    domain: Title | None = None
    attributes: Attributes | None = None
    evidence: EventIds = []
    electorate: Annotated[Tokens, Meta(min_length=1)] | None = None
    required_approvers: Tokens = []
    threshold: Threshold = "2/3"
    timeout_s: TimeoutS = 10.0
    criteria: Annotated[list[AnyCriterion], Meta(max_length=CRITERIA_MAX)] = []
    artefact: Any = None
    dependencies: dict[str, Any] = {}


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """Approved where the mesh accepted. `criteria_unmet`: it was not asked. `assurance` has the verdict on each criterion, `votes` who
    chose what, and why.
    """

    approved: bool
    status: Literal["accepted", "rejected", "expired", "criteria_unmet"]
    reason: str
    proposal_id: str | None = None
    electorate: list[str] = []
    tally: dict[str, int] = {}
    votes: list[CountedVote] = []
    assurance: Assurance | None = None


def unmet(assurance: Assurance) -> Approval:
    """Refused without a vote."""
    reason = f"not put to a vote: {len(assurance.unmet)} of {len(assurance.verdicts)} criteria are not met: {', '.join(assurance.unmet)}"
    return Approval(approved=False, status="criteria_unmet", reason=reason, assurance=assurance)


def ended(proposal: ProposalView, assurance: Assurance | None) -> Approval:
    """What the mesh decided, in a sentence and in full. The proposal is not open any more."""
    assert proposal.status != "open"
    given = ", ".join(f"{count} {choice}" for choice, count in proposal.tally.items() if count)
    return Approval(
        approved=proposal.status == "accepted",
        status=proposal.status,
        reason=f"{proposal.status} by {len(proposal.electorate)} agents at a threshold of {proposal.threshold}: {given or 'no votes'}",
        proposal_id=proposal.proposal_id,
        electorate=proposal.electorate,
        tally=proposal.tally,
        votes=[vote for vote in proposal.votes if vote.counted],
        assurance=assurance,
    )


def proposal_of(asked: Approving, timeout_s: float) -> Proposal:
    """What is put to the vote. Raises `SkillError` `bad_input` where it cannot be."""
    try:
        return Proposal(
            title=asked.title,
            description=asked.description,
            domain=asked.domain,
            attributes=asked.attributes,
            evidence=asked.evidence,
            electorate=asked.electorate,
            required_approvers=asked.required_approvers,
            threshold=asked.threshold,
            timeout_s=timeout_s,
        )
    except ValueError as e:
        raise bad_input(str(e), "$") from e


async def approve(context: SkillContext, asked: Approving) -> Approval:
    """Check, then convene. Raises `SkillError`: `bad_input`, `no_time`, or `mesh_unavailable`, which another try may mend."""
    proposal_of(asked, asked.timeout_s)
    assurance = None
    if asked.criteria:
        assurance = await examine(Examination(criteria=asked.criteria, artefact=asked.artefact, dependencies=asked.dependencies))
        if not assurance.accepted:
            return unmet(assurance)
    ident = derived("approval", context.task_id)
    try:
        await _propose(context, asked, ident)
        return ended(await _decision(context, ident), assurance)
    except CerebroError as e:
        raise SkillError("mesh_unavailable", f"the mesh could not be asked: {e}", retryable=True) from e


async def _propose(context: SkillContext, asked: Approving, ident: str) -> None:
    timeout_s = min(asked.timeout_s, context.left_s() - SPARE_S - OVER_S)
    if timeout_s <= 0:
        raise SkillError("no_time", f"a vote needs more than the {max(context.left_s(), 0):.1f} s that are left of the task's time")
    msg_id = derived(ident, "proposal")
    await context.bus.publish(subjects.PROPOSAL, proposal_of(asked, timeout_s), msg_id=msg_id, proposal=ident, agent=context.agent)
    await context.tell(f"proposal {ident}: the mesh is asked")


async def _decision(context: SkillContext, ident: str) -> ProposalView:
    """The proposal with its end. One that nobody has opened yet is not known yet."""
    while (left_s := context.left_s() - SPARE_S) > 0:
        wait_s = min(left_s, ASK_WAIT_S_MAX)
        try:
            told: ProposalView = await context.bus.ask(subjects.ASK_PROPOSAL, Ask(id=ident, wait_s=wait_s), timeout_s=wait_s + SPARE_S)
        except Refused as e:
            if e.problem().status != 404:
                raise
            await asyncio.sleep(ASKED_AGAIN_S)
            continue
        if told.status != "open":
            return told
    raise SkillError("no_time", f"proposal {ident} was not decided before the task's time was over", retryable=True)


FINAL_APPROVAL = Skill(
    name="final_approval",
    description="Give or refuse the last approval: check acceptance criteria exactly, then convene a consensus and report who chose what.",
    input=Approving,
    output=Approval,
    run=approve,
    patient=True,
)
