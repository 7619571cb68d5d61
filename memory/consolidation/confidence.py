"""How sure a concept is: the mean of a Beta posterior over whether it holds, by the support and the dissent of its sources.

    confidence = (a + agree) / (a + b + agree + PENALTY · dissent)

`agree` and `dissent` are sums of weights of sources: the first of an agent's session counts 1, each further one of the
same session 1/2, for it is not independent. `a = b = 1` is the uniform prior (Laplace's rule of succession); a concept that
somebody told with confidence c starts at `a = 2c`, `b = 2(1 − c)`, which weighs as much.
"""

from collections.abc import Collection, Sequence
from typing import Final

from memory.consolidation.source import Source

PRIOR: Final = 2.0
"""What the prior weighs, in sources."""
FURTHER: Final = 0.5
"""Weight of each further source of the same agent and session, and of one that is not at hand."""
PENALTY: Final = 2.0
"""A source that says otherwise weighs so many that agree."""


def confidence(sources: Sequence[Source], unseen: int, against: Collection[str], told: float | None = None) -> float:
    """The confidence, 0…1, rounded to four places. `unseen`: sources that are not at hand; `against`: ids of those that say otherwise."""
    first: set[tuple[str, str | None]] = set()
    agree, dissent = unseen * FURTHER, 0.0
    for source in sources:
        key = (source.agent, source.session)
        weight = FURTHER if key in first else 1.0
        first.add(key)
        if source.id in against:
            dissent += weight
        else:
            agree += weight
    a = PRIOR * (0.5 if told is None else told)
    return round((a + agree) / (PRIOR + agree + PENALTY * dissent), 4)
