"""Performance optimisation: from a profile to its hot spots, what fixing each could gain at most, and what usually helps.

A profile is rows as cProfile and pstats have them (calls, own time, time with callees), or collapsed stacks as flame graphs are made of
(`main;load;parse 120`). A function's own share p bounds what making it s times faster gives the whole: 1 / (1 − p + p/s) (Amdahl
1967). The advice follows from the figures and the names alone, by the rules of `advise`; it never saw the code.
"""

import asyncio
from typing import Annotated

import msgspec
from msgspec import Meta

from agents.skills.profiles_read import Profile, from_rows, from_stacks
from agents.skills.skill import Skill, SkillContext, bad_input
from agents.skills.slowness import Facts, advise

ROWS_MAX = 20_000
"""Most rows of a profile."""
STACKS_MAX = 50_000
"""Most lines of collapsed stacks."""
STACK_LEN_MAX = 20_000
"""Longest line of collapsed stacks, in characters."""
SPOTS_MAX = 100
"""Most hot spots that can be asked for."""
SPEED_UPS = (2.0, 10.0)
"""How much faster a function is imagined."""
SECONDS_MAX = 1e9
CALLS_MAX = 10**15

Function = Annotated[str, Meta(min_length=1, max_length=1_000)]
Seconds = Annotated[float, Meta(ge=0, le=SECONDS_MAX)]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A function as pstats lists it: `self_s` is its tottime, `total_s` its cumtime, with callees."""

    function: Function
    calls: Annotated[int, Meta(ge=0, le=CALLS_MAX)] = 1
    self_s: Seconds
    total_s: Seconds


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """A profile, as rows or as collapsed stacks, one of the two; and how many hot spots to tell."""

    rows: Annotated[list[Row], Meta(max_length=ROWS_MAX)] = []
    stacks: Annotated[list[Annotated[str, Meta(max_length=STACK_LEN_MAX)]], Meta(max_length=STACKS_MAX)] = []
    top: Annotated[int, Meta(ge=1, le=SPOTS_MAX)] = 10


class CallPath(msgspec.Struct, frozen=True, kw_only=True):
    """A way to the function, outermost first, and the share of the whole that is spent in it by this way."""

    path: list[str]
    share: float


class HotSpot(msgspec.Struct, frozen=True, kw_only=True):
    """A function: what is spent in itself and with its callees, as shares of the whole too; calls where they are known; the commonest
    ways to it where stacks are known. `twice_as_fast`, `ten_times_as_fast` and `free` say by which factor the whole gets faster at
    most if the function itself is made so (`free`: takes no time); `without_it` if it and all it calls were not needed.
    """

    function: str
    own: float
    own_share: float
    total: float
    total_share: float
    calls: int | None
    paths: list[CallPath]
    twice_as_fast: float
    ten_times_as_fast: float
    free: float | None
    without_it: float | None
    advice: list[str]


class Optimisation(msgspec.Struct, frozen=True, kw_only=True):
    """The hot spots by their own share, largest first, of `total` seconds or samples; and advice on the whole."""

    total: float
    unit: str
    functions: int
    hot_spots: list[HotSpot]
    advice: list[str]


def optimise(profile: Profile, top: int) -> Optimisation:
    """The hot spots of a profile."""
    if profile.total <= 0:
        return Optimisation(total=0.0, unit=profile.unit, functions=len(profile.own), hot_spots=[], advice=["nothing was measured"])
    names = sorted(profile.own, key=lambda f: (-profile.own[f], -profile.with_callees[f], f))[:top]
    return Optimisation(
        total=_figure(profile.total),
        unit=profile.unit,
        functions=len(profile.own),
        hot_spots=[_spot(profile, name) for name in names],
        advice=_on_the_whole(profile),
    )


def _spot(profile: Profile, name: str) -> HotSpot:
    own, total = profile.own[name] / profile.total, min(1.0, profile.with_callees[name] / profile.total)
    calls = profile.calls.get(name)
    facts = Facts(
        function=name,
        own_share=own,
        total_share=total,
        calls=calls,
        own_s_per_call=profile.own[name] / calls if calls else None,
        recursive=name in profile.recursive,
    )
    return HotSpot(
        function=name,
        own=_figure(profile.own[name]),
        own_share=_figure(own),
        total=_figure(profile.with_callees[name]),
        total_share=_figure(total),
        calls=calls,
        paths=[CallPath(path=list(path), share=_figure(amount / profile.total)) for path, amount in profile.ways_to(name)],
        twice_as_fast=_figure(speed_up(own, SPEED_UPS[0])),
        ten_times_as_fast=_figure(speed_up(own, SPEED_UPS[1])),
        free=_limit(own),
        without_it=_limit(total),
        advice=advise(facts),
    )


def speed_up(share: float, factor: float) -> float:
    """Amdahl's law: how much faster the whole gets when a share of it gets `factor` times faster."""
    return 1.0 / (1.0 - share + share / factor)


def _limit(share: float) -> float | None:
    """The same for a factor without bound; None where nothing else would be left."""
    return _figure(1.0 / (1.0 - share)) if share < 1.0 - 1e-9 else None


FLAT_SHARE_MAX = 0.1
"""Where no function has a larger share than this, no single one is worth much."""
HALF = 0.5


def _on_the_whole(profile: Profile) -> list[str]:
    shares = sorted((own / profile.total for own in profile.own.values()), reverse=True)
    if shares[0] <= FLAT_SHARE_MAX:
        bound = speed_up(shares[0], 1e9)
        return [
            f"a flat profile: no function itself has more than {shares[0]:.1%}, so fixing one gives {bound:.2f} times the speed at most"
        ]
    needed, sum_of_shares = 0, 0.0
    while sum_of_shares < HALF and needed < len(shares):
        sum_of_shares += shares[needed]
        needed += 1
    return [f"{needed} of {len(shares)} functions have {sum_of_shares:.0%} of the time in themselves: begin there"]


def _figure(value: float) -> float:
    return float(f"{value:.6g}")


def read(measured: Measured) -> Profile:
    """The profile. Raises `SkillError` `bad_input` where it is neither rows nor stacks, or a line is no stack."""
    if bool(measured.rows) == bool(measured.stacks):
        raise bad_input("give either `rows` or `stacks`", "$.rows")
    if measured.rows:
        return from_rows([(r.function, r.calls, r.self_s, r.total_s) for r in measured.rows])
    try:
        return from_stacks(measured.stacks)
    except ValueError as e:
        line, message = e.args
        raise bad_input(message, f"$.stacks[{line}]") from e


async def _run(_: SkillContext, measured: Measured) -> Optimisation:
    return await asyncio.to_thread(lambda: optimise(read(measured), measured.top))


PERFORMANCE_OPTIMIZATION = Skill(
    name="performance_optimization",
    description="From a profile (pstats rows or collapsed stacks) to hot spots, bounds of what fixing each gains, and what usually helps.",
    input=Measured,
    output=Optimisation,
    run=_run,
)
