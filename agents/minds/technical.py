"""The technical mind (nexus): is it safe, affordable and undoable, and how did such things go before?"""

from agents.minds import evidence, lessons
from agents.minds.case import Case
from agents.minds.reasons import Basis, Reason
from schemas.consensus import Attributes

RISK_WEIGHT = 1.5
"""Log-odds of no risk at all; half a risk is neither for nor against."""
COST_WEIGHT = 1.0
"""Log-odds of no cost."""
REVERSIBILITY_WEIGHT = 0.5
"""Log-odds of what can be undone; of what cannot, the same against."""
SOUGHT = (
    "risk, cost or reversibility among the attributes",
    "evidence with a recorded outcome",
    "similar episodes or tasks with a recorded outcome",
    "a lesson about this",
)


def weigh(case: Case) -> Basis:
    """Reasons from risk, cost and reversibility, from recorded outcomes of evidence and of similar tasks, from lessons."""
    given = case.proposal.attributes or Attributes()
    unknown = [name for name in ("risk", "cost", "reversible") if getattr(given, name) is None]
    return Basis([*attributes(given), *evidence.named(case), *evidence.recalled(case), *lessons.weigh(case)], SOUGHT, unknown)


def attributes(given: Attributes) -> list[Reason]:
    """What the attributes say technically; each that is not given is passed over."""
    found = []
    if given.risk is not None:
        found.append(Reason(1 - 2 * given.risk, RISK_WEIGHT, f"risk {given.risk:.2f}"))
    if given.cost is not None:
        found.append(Reason(1 - 2 * given.cost, COST_WEIGHT, f"cost {given.cost:.2f}"))
    if given.reversible is not None:
        undo = "reversible" if given.reversible else "not reversible"
        found.append(Reason(1.0 if given.reversible else -1.0, REVERSIBILITY_WEIGHT, undo))
    return found
