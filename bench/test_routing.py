"""What is learnt from outcomes, in virtual time: the share of tasks that succeed with and without it, before and after a change."""

from typing import get_args

import pytest

from bench import table
from bench.routing import Loads, compared, mean, spans

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1_800)]
SEEDS = 20
TASKS = 4_000


@pytest.mark.parametrize("loads", get_args(Loads))
def test_routing(loads: Loads) -> None:
    found = compared(SEEDS, TASKS, loads)
    rows = [
        [
            name,
            *(f"{table.percent(mean(courses, 'success', *span))} ({mean(courses, 'regret', *span):.3f})" for span in spans(TASKS).values()),
        ]
        for name, courses in found.items()
    ]
    remark = f"Per cent of {TASKS // 4} tasks that succeeded, mean of {SEEDS} histories; in brackets the expected successes lost per task."
    table.show(f"Routing, loads {loads}", ["policy", *spans(TASKS)], rows, remark)
