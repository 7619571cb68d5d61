"""The law of importance: it fades by a power of time, comes back on recall, and fades more slowly the more often it was recalled."""

from datetime import timedelta

import pytest

from memory.database import Database, Statement
from memory.retention import retained
from tests.memory.conftest import START

DAY = timedelta(days=1)


class TestLaw:
    @pytest.mark.parametrize(
        ("days", "recalls", "since_recall", "left"),
        [(0, 0, None, 1.0), (1, 0, None, 0.7071), (30, 0, None, 0.1796), (365, 0, None, 0.0523), (730, 10, 365, 0.4196), (400, 1, 0, 1.0)],
    )
    def test_known_values(self, days: int, recalls: int, since_recall: int | None, left: float) -> None:
        last = START + (days - since_recall) * DAY if since_recall is not None else None
        assert retained(1.0, START, START + days * DAY, recalls, last) == pytest.approx(left, abs=1e-4)

    def test_it_scales_with_the_given_importance_and_is_never_more(self) -> None:
        assert retained(0.4, START, START + 5 * DAY) == pytest.approx(0.4 * retained(1.0, START, START + 5 * DAY))
        assert retained(0.4, START + DAY, START) == 0.4

    def test_a_recall_never_lowers_it(self) -> None:
        now = START + 90 * DAY
        left = [retained(1.0, START, now, n, START + 30 * DAY if n else None) for n in range(20)]
        assert left == sorted(left)
        assert left[0] < left[1]

    async def test_the_function_in_sql_is_the_same_law(self, database: Database) -> None:
        asked = Statement("test", "SELECT memory_system.retained($1, $2, $3, $4, $5) AS left")
        for days, recalls, last in ((0, None, None), (3, 0, None), (3, 2, START + DAY), (400, 7, START + 399 * DAY), (-1, None, None)):
            now = START + days * DAY
            (row,) = await database.rows(asked, 0.8, START, recalls, last, now)
            assert row["left"] == pytest.approx(retained(0.8, START, now, recalls or 0, last), rel=1e-12)
