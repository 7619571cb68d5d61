"""Minds: what judges for an agent. Each is a pure function of the case; `docs/minds.md` shows them at work.

A language model may stand beside one of them (`model`); `mind` is the shape that both have.

All have one shape. `weigh` collects reasons, each with a strength (−1 against … 1 for), a weight in log-odds, a phrase and
the ids it rests on (`reasons`); `verdict.decide` adds them up and makes the vote. A mind without reasons abstains and says
what it looked for in vain. Texts are matched by their words (`stance`, `agents.relevance`) and never obeyed.
"""

from collections.abc import Callable, Mapping

from agents.minds.case import Case
from agents.minds.precedent import weigh as by_precedent
from agents.minds.reasons import Basis
from agents.minds.technical import weigh as by_technical_evidence
from agents.minds.utility import weigh as by_utility
from agents.minds.verdict import decide
from schemas.consensus import Vote

MINDS: Mapping[str, Callable[[Case], Basis]] = {
    "technical_evidence": by_technical_evidence,
    "precedent": by_precedent,
    "utility": by_utility,
}
"""Each built-in mind by the name that profiles call it."""


def known(mind_name: str) -> str:
    """The name itself. Raises `ValueError` for one that no mind has."""
    if mind_name not in MINDS:
        raise ValueError(f"no mind is called {mind_name}; known: {', '.join(sorted(MINDS))}")
    return mind_name


def judge(mind_name: str, case: Case) -> Vote:
    """The vote of the mind called `mind_name` on `case`. Raises `ValueError` for a name that no mind has."""
    return decide(case, MINDS[known(mind_name)](case))
