"""The shape of every mind, and the one that is rules alone."""

from typing import Protocol

from agents.minds import judge, known
from agents.minds.case import Case
from agents.recall import Noted
from schemas.consensus import Vote


class Mind(Protocol):
    """What judges for an agent; who uses it does not know which it is."""

    async def judge(self, case: Case, left_s: float, noted: Noted) -> Vote:
        """The vote on `case`, for which `left_s` seconds are left. What enters beside the case's own memories is noted."""


class RuleMind:
    """A mind that is a pure function of the case. Raises `ValueError` for a name that no mind has."""

    def __init__(self, name: str) -> None:
        self._name = known(name)

    async def judge(self, case: Case, left_s: float, noted: Noted) -> Vote:  # noqa: ARG002 - rules need no time, and recall nothing more
        return judge(self._name, case)
