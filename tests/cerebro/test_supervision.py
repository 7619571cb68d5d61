"""Restart, back off, give up: on a clock of numbers."""

from hypothesis import given
from hypothesis import strategies as st

from cerebro.supervision import Ends, Policy, Quarantine, Restart, after_end

POLICY = Policy(restarts_max=3, window_s=60, delay_first_s=0.5, delay_max_s=1.5)


def judge(*times: float) -> list[Restart | Quarantine]:
    """The verdicts on a process that ends at each of `times`."""
    ends: Ends = ()
    verdicts = []
    for now in times:
        ends, verdict = after_end(ends, now, POLICY)
        verdicts.append(verdict)
    return verdicts


class TestBackoff:
    def test_a_first_end_is_followed_by_a_restart_soon(self) -> None:
        assert judge(100) == [Restart(0.5)]

    def test_the_delay_doubles_up_to_its_limit(self) -> None:
        assert judge(100, 101, 102) == [Restart(0.5), Restart(1.0), Restart(1.5)]

    def test_after_a_quiet_window_it_starts_again_from_the_first_delay(self) -> None:
        assert judge(100, 101, 161) == [Restart(0.5), Restart(1.0), Restart(0.5)]


class TestQuarantine:
    def test_more_ends_than_the_limit_within_the_window_give_it_up(self) -> None:
        assert judge(100, 101, 102, 103)[-1] == Quarantine("ended 4 times in 60 s")

    def test_as_many_ends_over_a_longer_time_do_not(self) -> None:
        assert isinstance(judge(100, 130, 161, 191, 222)[-1], Restart)

    @given(st.lists(st.floats(0, 1000), max_size=40).map(sorted))
    def test_no_more_restarts_than_the_limit_are_granted_within_any_window(self, times: list[float]) -> None:
        restarts = [now for now, verdict in zip(times, judge(*times), strict=True) if isinstance(verdict, Restart)]
        for start in restarts:
            assert sum(start <= now < start + POLICY.window_s for now in restarts) <= POLICY.restarts_max
