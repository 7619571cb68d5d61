"""The law of floods."""

from datetime import UTC, datetime, timedelta

from agents.learning.flood import AGENTS_MAX, Flood

START = datetime(2026, 11, 22, 10, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def taken(flood: Flood, *seconds: float, agent: str = "ops") -> list[bool]:
    return [flood.takes(agent, at(s)) for s in seconds]


def test_one_too_many_within_a_minute_is_refused() -> None:
    assert taken(Flood(2), 0, 1, 2, 59.9) == [True, True, False, False]


def test_after_a_minute_there_is_room_again() -> None:
    assert taken(Flood(2), 0, 1, 60, 60.5, 61) == [True, True, True, False, True]


def test_what_is_refused_does_not_count() -> None:
    assert taken(Flood(1), 0, 30, 59, 60) == [True, False, False, True]


def test_agents_are_counted_apart() -> None:
    flood = Flood(1)
    assert (taken(flood, 0, 1), taken(flood, 2, agent="other")) == ([True, False], [True])


def test_who_is_silent_is_not_counted_for_ever() -> None:
    flood = Flood(1)
    for n in range(AGENTS_MAX + 1):
        flood.takes(f"a{n}", at(n))
    assert len(flood._taken) <= 60
    assert taken(flood, AGENTS_MAX + 1, agent=f"a{AGENTS_MAX}") == [False]
