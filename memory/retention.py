"""Retention: what is left of an importance after a time. Pure; nothing is rewritten as time goes by.

Wickelgren's power law of forgetting (1974; Wixted and Carpenter 2007), with the exponent that ACT-R gives to decay:

    retained = importance · (1 + t/τ)^(−ψ / (1 + ln(1 + n)))        τ = 1 day, ψ = 0.5

`t` is the time since the episode happened or was last recalled, `n` how often it was recalled. So a recall brings the
importance back and makes it fade more slowly: of an episode that is never recalled 71 % is left after a day, 18 % after a
month, 5 % after a year; recalled ten times, 42 % a year after the last recall. The SQL function `memory_system.retained` is the same law.
"""

import math
from datetime import datetime
from typing import Final

TIME_SCALE_S: Final = 86_400.0
"""τ: the time after which forgetting shows, in seconds."""
DECAY: Final = 0.5
"""ψ: ACT-R's decay."""


def retained(importance: float, at: datetime, now: datetime, recalls: int = 0, last_recall: datetime | None = None) -> float:
    """What is left now of the importance of an episode that happened `at`; all of it where that is in the future."""
    since = max(at, last_recall) if last_recall else at
    age_s = max(0.0, (now - since).total_seconds())
    return importance * math.pow(1 + age_s / TIME_SCALE_S, -DECAY / (1 + math.log(1 + recalls)))
