"""The budget: how many tokens a call may use now. What runs is set aside beforehand, so that calls side by side stay within it too."""

from collections import deque
from collections.abc import Iterable

import msgspec

from agents.llm.settings import LlmSettings

WINDOW_S = 3_600.0
"""The time over which what was used is added up."""
GRANT_MIN = 500
"""Fewest tokens that a call is begun with; a prompt alone has some hundred."""
MILLION = 1_000_000


class Used(msgspec.Struct, frozen=True):
    """What a call used, at a time (seconds, any clock that does not go back)."""

    at: float
    tokens: int
    cost: float


class Budget:
    """The tokens and the money of one instance. `before`, oldest first, was used before it began."""

    def __init__(self, settings: LlmSettings, before: Iterable[Used] = ()) -> None:
        self._settings = settings
        self._used = deque(before)
        self._set_aside = 0

    def reserve(self, now: float) -> int:
        """The tokens that a call may use, set aside until `settle`; 0 where the hour's are spent."""
        granted = min(self._settings.call_tokens_max, self._tokens_left(now))
        if granted < min(GRANT_MIN, self._settings.call_tokens_max):
            return 0
        self._set_aside += granted
        return granted

    def settle(self, now: float, granted: int, input_tokens: int, output_tokens: int) -> None:
        """Give back what was set aside and count what was used."""
        self._set_aside -= granted
        self._used.append(Used(now, input_tokens + output_tokens, self.cost(input_tokens, output_tokens)))

    def cost(self, input_tokens: int, output_tokens: int) -> float:
        s = self._settings
        return (input_tokens * s.price_input + output_tokens * s.price_output) / MILLION

    def _tokens_left(self, now: float) -> int:
        """What the hour still has room for; money counts as the tokens that it buys at the dearer price."""
        while self._used and now - self._used[0].at >= WINDOW_S:
            self._used.popleft()
        s = self._settings
        left = s.hour_tokens_max - sum(u.tokens for u in self._used) - self._set_aside
        if s.hour_cost_max:
            money = s.hour_cost_max - sum(u.cost for u in self._used)
            left = min(left, int(money * MILLION / max(s.price_input, s.price_output)) - self._set_aside)
        return max(0, left)
