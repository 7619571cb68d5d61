"""The mind of utility (ricardo): an additive multi-attribute utility (Keeney and Raiffa 1976, ch. 3).

Each attribute is scaled to −1 … 1 and weighed in log-odds. One that is not given adds nothing, so that confidence grows
with what is known. Lessons have no weight of their own here: they revise the risk, which is somebody's estimate.
"""

import math
from collections.abc import Callable, Mapping

from agents.minds import lessons
from agents.minds.case import Case
from agents.minds.reasons import Basis, Reason
from schemas.consensus import Attributes

WEIGHTS: Mapping[str, float] = {"benefit": 1.75, "risk": 1.25, "cost": 1.0, "urgency": 0.5, "reversible": 0.5}
"""Log-odds of each attribute at its best; they sum to 5."""
SCALES: Mapping[str, Callable[[float], float]] = {
    "benefit": lambda x: 2 * x - 1,
    "risk": lambda x: 1 - 2 * x,
    "cost": lambda x: 1 - 2 * x,
    "urgency": lambda x: x,  # waiting has its price; that there is time speaks for nothing
    "reversible": lambda x: 2 * x - 1,
}
"""The value of each attribute, −1 (worst) … 1 (best)."""
REVISION_MAX = 0.5
"""The farthest that lessons move the risk: half the way to certain harm, or to none."""
SOUGHT = ("attributes (benefit, cost, risk, urgency or reversible)",)


def weigh(case: Case) -> Basis:
    """Reasons from benefit, cost, risk (as lessons revise it), urgency and reversibility."""
    given = case.proposal.attributes or Attributes()
    known = {name: value for name in WEIGHTS if (value := getattr(given, name)) is not None}
    reasons = [_reason(case, name, value) for name, value in known.items()]
    return Basis(reasons, SOUGHT, [name for name in WEIGHTS if name not in known] if known else [])


def _reason(case: Case, name: str, value: float) -> Reason:
    if name == "reversible":
        return Reason(SCALES[name](value), WEIGHTS[name], "reversible" if value else "not reversible")
    if name == "risk":
        return _risk(case, value)
    return Reason(SCALES[name](value), WEIGHTS[name], f"{name} {value:.2f}")


def _risk(case: Case, given: float) -> Reason:
    """The risk as given, moved towards 1 by warnings and towards 0 by recommendations among the lessons."""
    learned = [r for r in lessons.weigh(case) if r.option is None]
    leaning = math.fsum(r.force for r in learned) / lessons.LESSON_WEIGHT
    share = REVISION_MAX * min(1.0, abs(leaning))
    revised = given + share * ((1.0 if leaning < 0 else 0.0) - given)
    if not learned:
        return Reason(SCALES["risk"](given), WEIGHTS["risk"], f"risk {given:.2f}")
    phrase = f"risk {given:.2f}, revised to {revised:.2f} by {'; '.join(r.phrase for r in learned)}"
    return Reason(SCALES["risk"](revised), WEIGHTS["risk"], phrase, tuple(i for r in learned for i in r.ids))
