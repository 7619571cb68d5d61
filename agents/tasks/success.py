"""How well an agent does what it does: faded counts of its outcomes, and what is to be expected of it next. Pure: time is the log's.

Each outcome is counted for the agent, for the skill and for the skill in its domain. A count fades by half in each half-life, so
that what an agent has become weighs more than what it was. What is expected is a Beta distribution for the narrowest level that is
asked for; its prior has the mean of the level above, without what the narrower one counts itself, and weighs `PRIOR_WEIGHT`
outcomes. So a few outcomes in one domain move what the skill has shown a little, and many replace it.

Source: Gelman et al., Bayesian Data Analysis, ch. 2 and 5 (Beta-binomial model, shrinkage towards the group); the fading is that of
discounted bandits (Kocsis and Szepesvári 2006).
"""

import math
from collections.abc import Hashable, Sequence
from datetime import datetime
from typing import TypeVar

import msgspec

PRIOR_MEAN = 0.5
"""What is expected of an agent of which nothing is known."""
PRIOR_WEIGHT = 2.0
"""How many outcomes a prior weighs: with the mean above it is Beta(1, 1)."""
DEVIATIONS = 0.5
"""Standard deviations above the mean that are hoped for, so that who is little known, or has not been tried for long, is tried
(an upper confidence bound: Kaufmann, Cappé and Garivier 2012). More of them cost more than they find (docs/benchmarks.md)."""
KEPT_MAX = 1_000
"""Most skills, and most domains of skills, of one agent that are counted; those without an outcome for the longest time go first."""

K = TypeVar("K", bound=Hashable)


class Counts(msgspec.Struct, frozen=True):
    """Faded successes and failures as they were at `at`."""

    successes: float = 0.0
    failures: float = 0.0
    at: datetime | None = None

    def faded(self, now: datetime, half_life_s: float) -> "Counts":
        """What is left of them at `now`."""
        if self.at is None or now <= self.at:
            return self
        left = 0.5 ** ((now - self.at).total_seconds() / half_life_s)
        return Counts(self.successes * left, self.failures * left, now)

    def counted(self, now: datetime, half_life_s: float, *, success: bool) -> "Counts":
        """With one more outcome."""
        left = self.faded(now, half_life_s)
        return Counts(left.successes + success, left.failures + (not success), max(now, left.at or now))

    def without(self, part: "Counts") -> "Counts":
        """These without those that `part` counts too, both at the same time."""
        return Counts(max(0.0, self.successes - part.successes), max(0.0, self.failures - part.failures), self.at)


class Expected(msgspec.Struct, frozen=True):
    """A Beta distribution of the rate of success: `prior` is its mean without the counts."""

    prior: float = PRIOR_MEAN
    successes: float = 0.0
    failures: float = 0.0

    @property
    def mean(self) -> float:
        return (PRIOR_WEIGHT * self.prior + self.successes) / (PRIOR_WEIGHT + self.successes + self.failures)

    @property
    def deviation(self) -> float:
        """The standard deviation."""
        return math.sqrt(self.mean * (1 - self.mean) / (PRIOR_WEIGHT + self.successes + self.failures + 1))

    @property
    def hoped(self) -> float:
        """The mean and `DEVIATIONS` more, 0…1."""
        return min(1.0, self.mean + DEVIATIONS * self.deviation)


class SuccessBook:
    """The outcomes of one agent's work."""

    def __init__(self, half_life_s: float) -> None:
        self._half_life_s = half_life_s
        self.all = Counts()
        self.skills: dict[str, Counts] = {}
        self.domains: dict[tuple[str, str], Counts] = {}

    def count(self, skills: Sequence[str], domain: str | None, now: datetime, *, success: bool) -> None:
        """One more outcome of work with these skills, which stands in the log at `now`."""
        self.all = self.all.counted(now, self._half_life_s, success=success)
        for skill in skills:
            self._put(self.skills, skill, now, success=success)
            if domain is not None:
                self._put(self.domains, (skill, domain), now, success=success)

    def _put(self, kept: dict[K, Counts], key: K, now: datetime, *, success: bool) -> None:
        """The last to be counted stands last, so that the first is the one to go."""
        kept[key] = kept.pop(key, Counts()).counted(now, self._half_life_s, success=success)
        if len(kept) > KEPT_MAX:
            del kept[next(iter(kept))]

    def expected(self, skill: str, domain: str | None, now: datetime) -> Expected:
        """What is to be expected of its next work with this skill, in this domain where there is one."""
        every = self.all.faded(now, self._half_life_s)
        of_skill = self.skills.get(skill, Counts()).faded(now, self._half_life_s)
        other = every.without(of_skill)
        prior = Expected(PRIOR_MEAN, other.successes, other.failures).mean
        if domain is None:
            return Expected(prior, of_skill.successes, of_skill.failures)
        of_domain = self.domains.get((skill, domain), Counts()).faded(now, self._half_life_s)
        beside = of_skill.without(of_domain)
        return Expected(Expected(prior, beside.successes, beside.failures).mean, of_domain.successes, of_domain.failures)
