"""Consensus: proposals, votes, decisions. What a well-formed proposal is, stands here and nowhere else."""

from fractions import Fraction
from typing import Annotated, Literal

from msgspec import UNSET, Meta, field

from schemas.words import Body, EventIds, PageSize, Receipt, Reply, Text, Title, Token, Tokens, Unit, refuse_no_time

THRESHOLD_MIN = Fraction(2, 3)
"""No consensus is easier than 2/3 of the electorate."""
TIMEOUT_S_MAX = 30 * 86_400.0
"""Longest life of a proposal: 30 days."""
OPTIONS_MAX = 20
"""Most options of one proposal."""
REJECT = "reject"
ABSTAIN = "abstain"

Option = Annotated[str, Meta(pattern=r"^[^\s\x00](?:[^\x00]{0,98}[^\s\x00])?$", max_length=100)]
Threshold = Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,3}/[1-9][0-9]{0,3}$")]
TimeoutS = Annotated[float, Meta(gt=0, le=TIMEOUT_S_MAX)]


class Attributes(Body, frozen=True, kw_only=True):
    """What a proposal would bring and cost, each 0…1; what is not known is left out."""

    benefit: Unit | None = None
    cost: Unit | None = None
    risk: Unit | None = None
    urgency: Unit | None = None
    reversible: bool | None = None


class Proposal(Body, frozen=True, kw_only=True):
    """`mesh.consensus.<proposal>.proposal.<agent>`. Without `electorate`, every member that takes votes is in it."""

    title: Title
    description: Text = ""
    domain: Title | None = None
    options: Annotated[list[Option], Meta(min_length=2, max_length=OPTIONS_MAX)] = field(default_factory=lambda: ["approve", REJECT])
    attributes: Attributes | None = None
    evidence: EventIds = []
    electorate: Annotated[Tokens, Meta(min_length=1)] | None = None
    required_approvers: Tokens = []
    threshold: Threshold = "2/3"
    timeout_s: TimeoutS = 10.0

    def __post_init__(self) -> None:
        if fault := proposal_fault(self):
            raise ValueError(fault)


def proposal_fault(proposal: Proposal) -> str | None:
    """Why this proposal cannot be put to a vote, or None."""
    share = Fraction(proposal.threshold)
    if not THRESHOLD_MIN <= share <= 1:
        return f"threshold {proposal.threshold} must lie between 2/3 and 1/1"
    if len(set(proposal.options)) != len(proposal.options):
        return "options must differ from each other"
    if ABSTAIN in proposal.options:
        return "options may not contain `abstain`: it is always possible"
    if set(proposal.options) == {REJECT}:
        return "options need something other than `reject`"
    if proposal.electorate is not None:
        if len(set(proposal.electorate)) != len(proposal.electorate):
            return "electorate names an agent twice"
        outside = sorted(set(proposal.required_approvers) - set(proposal.electorate))
        if outside:
            return f"required_approvers outside the electorate: {', '.join(outside)}"
    return None


class Opened(Proposal, frozen=True, kw_only=True):
    """`mesh.consensus.<proposal>.opened`: the proposal made whole; the electorate is fixed from here."""

    proposer: Token
    deadline: str
    proposal_seq: int = 0

    def __post_init__(self) -> None:
        if self.electorate is None:
            raise ValueError("electorate is missing: it is fixed when a proposal is opened")
        refuse_no_time("deadline", self.deadline)
        if fault := proposal_fault(self):
            raise ValueError(fault)


class Vote(Body, frozen=True, kw_only=True):
    """`mesh.consensus.<proposal>.vote.<agent>`: an agent's choice among the options, or `abstain`. `evidence` is what it cites,
    `recalled` every memory that was before the voter, cited or not.
    """

    choice: Annotated[str, Meta(min_length=1, max_length=100)]
    confidence: Unit = 1.0
    rationale: Text = ""
    evidence: EventIds = []
    recalled: Receipt = UNSET


class Deadline(Body, frozen=True, kw_only=True):
    """`timer.set.…` (the schedule), `timer.due.…` and `….deadline` (what the server writes when it comes): the proposal's time is over."""

    proposal: Token = "-"


class CountedVote(Reply, frozen=True, kw_only=True):
    """A vote as it stands in the log, and whether it counts."""

    agent: str
    choice: str
    confidence: float
    rationale: str
    evidence: list[str]
    seq: int
    counted: bool


Verdict = Literal["accepted", "rejected", "expired"]
ProposalStatus = Literal["open", "accepted", "rejected", "expired"]


class Decision(Body, frozen=True, kw_only=True):
    """`mesh.consensus.<proposal>.decision`: how a proposal ended, at which entry, and on which votes. Written once."""

    status: Verdict
    choice: str | None
    tally: dict[str, int]
    votes: list[CountedVote]
    decided_at_seq: int


class ProposalRequest(Proposal, frozen=True, kw_only=True):
    """`POST /neural-mesh/consensus`."""

    proposer: Token = "gateway"
    wait: bool = True


class ProposalView(Reply, frozen=True, kw_only=True):
    """A proposal and what has become of it; `votes` holds later ones too, with `counted: false`."""

    proposal_id: str
    status: ProposalStatus
    choice: str | None
    threshold: str
    electorate: list[str]
    tally: dict[str, int]
    votes: list[CountedVote]
    decided_at_seq: int | None
    proposed_at: str
    decided_at: str | None
    deadline: str
    title: str
    description: str
    proposer: str
    domain: str | None
    options: list[str]
    attributes: Attributes | None
    evidence: list[str]
    required_approvers: list[str]


class ProposalFilter(Body, frozen=True, kw_only=True):
    """`ask.proposals`, `GET /neural-mesh/consensus`."""

    status: ProposalStatus | None = None
    limit: PageSize = 50
    before: str | None = None


class ProposalPage(Reply, frozen=True, kw_only=True):
    proposals: list[ProposalView]
    next_before: str | None
