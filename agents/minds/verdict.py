"""The verdict: the last step of every mind, from its reasons to its vote. One law for all of them."""

from collections.abc import Sequence

import msgspec

from agents.minds import options
from agents.minds.case import Case
from agents.minds.reasons import Basis, Reason, confidence, support
from schemas.consensus import ABSTAIN, Vote

UNDECIDED_MAX = 0.2
"""Below this confidence reasons balance each other, and a mind abstains."""
REASONS_SHOWN_MAX = 6
"""Most reasons that a rationale tells on each side; the ids of all stand in the vote's evidence."""
EVIDENCE_MAX = 100
"""Most ids that a vote names."""
IDS_SHOWN_MAX = 5
"""Most ids of missing evidence that a rationale tells."""


class Finding(msgspec.Struct, frozen=True):
    """What a mind comes to: its choice, its confidence 0…1, and, where it abstains, why."""

    choice: str
    confidence: float
    why: str = ""


def decide(case: Case, basis: Basis) -> Vote:
    """The vote that these reasons make: for or against as they lean, abstaining without reasons, where they balance, and
    where an approval would be less confident than the mesh asks for now.
    """
    if not basis.reasons:
        why = "I abstain, as I have nothing to judge by."
        return Vote(choice=ABSTAIN, confidence=0.0, rationale=_join(why, _missing(case, basis.sought)))
    ballot = options.ballot(case.proposal.options)
    found = _yes_or_no(case, basis, ballot) if ballot.favour is not None else _one_of_several(case, basis, ballot)
    said = found.why or f"I vote {found.choice} with confidence {found.confidence:.2f}."
    return Vote(
        choice=found.choice,
        confidence=round(found.confidence, 4),
        rationale=_join(said, _told(basis.reasons), _missing(case, [f"attribute {name}" for name in basis.unknown])),
        evidence=_cited(basis.reasons),
    )


def _yes_or_no(case: Case, basis: Basis, ballot: options.Ballot) -> Finding:
    assert ballot.favour is not None
    log_odds = support(basis.reasons)
    sure = confidence(log_odds)
    if sure < UNDECIDED_MAX:
        return Finding(ABSTAIN, sure, f"I abstain, as what I know for and against is about even (confidence {sure:.2f}).")
    if log_odds < 0:
        return Finding(ballot.against or ABSTAIN, sure)
    return _approval(case, ballot.favour, sure)


def _one_of_several(case: Case, basis: Basis, ballot: options.Ballot) -> Finding:
    """The option that stands out among the candidates; what concerns the whole proposal must not speak against it."""
    whole = support(r for r in basis.reasons if r.option is None)
    odds = {o: support(r for r in basis.reasons if r.option == o) for o in ballot.candidates}
    best, *others = sorted(odds, key=lambda o: -odds[o])
    if max(odds[best], 0.0) + whole < 0 and confidence(odds[best] + whole) >= UNDECIDED_MAX and ballot.against:
        return Finding(ballot.against, confidence(odds[best] + whole))
    sure = confidence(max(0.0, odds[best] - max(0.0, odds[others[0]])))
    if sure < UNDECIDED_MAX or odds[best] + whole < 0:
        return Finding(ABSTAIN, sure, f"I abstain, as nothing I know sets one option above the others (confidence {sure:.2f}).")
    return _approval(case, best, sure)


def _approval(case: Case, option: str, sure: float) -> Finding:
    """An approval, if it is as confident as the mesh asks for in its present affect."""
    needed = case.approval_confidence_min
    if sure < needed:
        return Finding(ABSTAIN, sure, f"I abstain: {option} would have confidence {sure:.2f}, and {needed:.2f} is needed now.")
    return Finding(option, sure)


def _told(reasons: Sequence[Reason]) -> str:
    strongest = sorted(reasons, key=lambda r: -abs(r.force))
    told = [_side("For", [r for r in strongest if r.force > 0]), _side("Against", [r for r in strongest if r.force < 0])]
    return _join(*told, _side("Neither way", [r for r in strongest if r.force == 0]))


def _side(name: str, reasons: Sequence[Reason]) -> str:
    if not reasons:
        return ""
    shown = [f"{r.option}: {r.phrase}" if r.option else r.phrase for r in reasons[:REASONS_SHOWN_MAX]]
    more = len(reasons) - len(shown)
    return f"{name}: {'; '.join(shown)}{f' and {more} more' if more else ''}."


def _missing(case: Case, sought: Sequence[str]) -> str:
    gaps = list(sought)
    if case.missing_evidence:
        more = len(case.missing_evidence) - IDS_SHOWN_MAX
        gaps.append(f"evidence {', '.join(case.missing_evidence[:IDS_SHOWN_MAX])}{f' and {more} more' if more > 0 else ''}")
    if not case.memory_complete:
        gaps.append("memory, which did not answer")
    return f"Missing: {'; '.join(gaps)}." if gaps else ""


def _cited(reasons: Sequence[Reason]) -> list[str]:
    strongest = sorted(reasons, key=lambda r: -abs(r.force))
    return list(dict.fromkeys(i for r in strongest for i in r.ids))[:EVIDENCE_MAX]


def _join(*sentences: str) -> str:
    return " ".join(s for s in sentences if s)
