"""The mind of precedent (aria): case-based reasoning, retrieve and reuse (Aamodt and Plaza 1994).

*Retrieve*: the case brings the earlier proposals that are like it. *Reuse*: how they ended, and what came of them, is
transferred in the measure of their similarity. *Revise* and *retain* are the mesh's own: outcomes and lessons are recorded
as they come, and stand in the next case.
"""

from agents.minds import evidence, lessons, options
from agents.minds.case import Case, Precedent
from agents.minds.reasons import Basis, Reason, capped
from agents.relevance import similarity

OUTCOME_WEIGHT = 3.0
"""Log-odds of a precedent wholly alike whose outcome is known."""
STATUS_WEIGHT = 1.5
"""Log-odds of one of which only the decision is known: others judged so, but nobody saw what came of it."""
SIMILARITY_MIN = 0.2
"""Below this similarity (0…1) an earlier proposal is no precedent."""
STATUS_STRENGTH = {"accepted": 0.5, "rejected": -0.7, "expired": -0.1}
"""What a bare decision says. A rejection says more than an acceptance, as accepted ones still had to prove themselves; an
expired one says almost nothing."""
FORCE_MAX = 5.0
"""Most log-odds that all precedents make together."""
TITLE_SHOWN_LEN_MAX = 60
"""Characters of a title that a rationale quotes."""
SOUGHT = ("an earlier proposal like this one", "evidence with a recorded outcome", "a lesson about this")


def weigh(case: Case) -> Basis:
    """Reasons from precedents, from recorded outcomes of the evidence, from lessons."""
    return Basis([*precedents(case), *evidence.named(case), *lessons.weigh(case)], SOUGHT)


def precedents(case: Case) -> list[Reason]:
    """What the earlier proposals of the case say about it."""
    found: list[Reason] = []
    for earlier in case.precedents:
        if earlier.similarity >= SIMILARITY_MIN and earlier.proposal_id != case.proposal_id:
            found += _transfer(case, earlier)
    return capped(found, FORCE_MAX)


def _transfer(case: Case, earlier: Precedent) -> list[Reason]:
    """The earlier decision as a reason here; where there are several options, for those like the one chosen then."""
    if earlier.outcome is not None:
        strength, weight = (1.0 if earlier.outcome == "success" else -1.0), OUTCOME_WEIGHT
    elif earlier.status in STATUS_STRENGTH:
        strength, weight = STATUS_STRENGTH[earlier.status], STATUS_WEIGHT
    else:
        return []
    reason = Reason(strength, weight * earlier.similarity, _phrase(earlier), (earlier.proposal_id,))
    ballot = options.ballot(case.proposal.options)
    if ballot.favour is not None:
        return [reason]
    chosen = earlier.choice or ""
    return [
        Reason(strength * like, reason.weight, reason.phrase, reason.ids, option)
        for option in ballot.candidates
        if (like := similarity(option, chosen)) >= SIMILARITY_MIN
    ]


def _phrase(earlier: Precedent) -> str:
    title = earlier.title
    shown = title if len(title) <= TITLE_SHOWN_LEN_MAX else title[: TITLE_SHOWN_LEN_MAX - 1] + "…"
    what = f"{earlier.status}, then {earlier.outcome}" if earlier.outcome else earlier.status
    return f"proposal {earlier.proposal_id} “{shown}” ({what}, similarity {earlier.similarity:.2f})"
