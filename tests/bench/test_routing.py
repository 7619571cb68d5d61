"""Routing learns: with the outcomes that the log tells, more tasks succeed than without; small, seeded, in virtual time."""

import pytest

from bench.routing import Course, compared, jobs, mean, play, policies, spans

TASKS = 2_000
SEEDS = 3
SPANS = spans(TASKS)


@pytest.fixture(scope="module")
def found() -> dict[str, list[Course]]:
    return compared(SEEDS, TASKS, "different")


def success(courses: list[Course], span: str) -> float:
    return mean(courses, "success", *SPANS[span])


class TestLearning:
    def test_more_tasks_succeed_than_without_it(self, found: dict[str, list[Course]]) -> None:
        learnt, unlearnt = found["as it is: learnt, fading, hoping"], found["nothing is learnt"]
        for span in SPANS:
            assert success(learnt, span) > success(unlearnt, span), span
        assert success(learnt, "second quarter") > success(unlearnt, "second quarter") + 0.1

    def test_less_is_lost_the_longer_it_goes_on(self, found: dict[str, list[Course]]) -> None:
        learnt = found["as it is: learnt, fading, hoping"]
        assert mean(learnt, "regret", *SPANS["second quarter"]) < mean(learnt, "regret", *SPANS["first quarter"])
        assert mean(learnt, "regret", *SPANS["last quarter"]) < mean(learnt, "regret", *SPANS["after the change"])

    def test_what_fades_follows_a_change_sooner_than_what_does_not(self, found: dict[str, list[Course]]) -> None:
        fading, lasting = found["as it is: learnt, fading, hoping"], found["learnt, nothing fades"]
        for span in ("after the change", "last quarter"):
            assert mean(fading, "regret", *SPANS[span]) < mean(lasting, "regret", *SPANS[span]), span

    def test_the_same_seed_gives_the_same_course(self, found: dict[str, list[Course]]) -> None:
        usual = "as it is: learnt, fading, hoping"
        assert play(list(jobs(0, TASKS, "different")), policies()[usual]) == found[usual][0]
