"""When a process that ended is started again, and when it is given up. Pure: time is an argument.

A process that ended is restarted after a delay that doubles with each end within the last `window_s` seconds. One
that ends more than `restarts_max` times in that window is quarantined: not restarted until the next `cerebro up`,
because something is wrong that restarting does not mend. (Restart intensity, as Erlang/OTP's supervisors have it.)
"""

import msgspec


class Policy(msgspec.Struct, frozen=True):
    """How patient supervision is. All times in seconds."""

    restarts_max: int = 5
    window_s: float = 60.0
    delay_first_s: float = 0.1
    delay_max_s: float = 5.0


class Restart(msgspec.Struct, frozen=True):
    """Start it again after `delay_s`."""

    delay_s: float


class Quarantine(msgspec.Struct, frozen=True):
    """Leave it; `reason` is for people."""

    reason: str


Ends = tuple[float, ...]  # when a process ended, oldest first; only those within the window are kept


def after_end(ends: Ends, now: float, policy: Policy) -> tuple[Ends, Restart | Quarantine]:
    """Judge a process that ended at `now` and before at `ends` (both on one monotonic clock, seconds)."""
    recent = (*(end for end in ends if now - end < policy.window_s), now)
    if len(recent) > policy.restarts_max:
        return recent, Quarantine(f"ended {len(recent)} times in {policy.window_s:g} s")
    return recent, Restart(min(policy.delay_max_s, policy.delay_first_s * 2.0 ** (len(recent) - 1)))
