"""How a delivery is cut into transactions."""

from collections.abc import Callable

from memory.batch import in_portions
from memory.episode_row import EpisodeRow


class TestPortions:
    def test_order_stays_and_nothing_is_lost(self, make_row: Callable[..., EpisodeRow]) -> None:
        rows = [make_row(seq) for seq in range(1, 24)]
        portions = in_portions(rows, len_max=5, bytes_max=10**6)
        assert [row for portion in portions for row in portion] == rows
        assert [len(portion) for portion in portions] == [5, 5, 5, 5, 3]

    def test_no_portion_is_larger_than_its_bytes_but_for_a_single_row(self, make_row: Callable[..., EpisodeRow]) -> None:
        rows = [make_row(1), make_row(2, "x" * 5_000), make_row(3), make_row(4)]
        assert [len(portion) for portion in in_portions(rows, len_max=10, bytes_max=1_000)] == [1, 1, 2]

    def test_nothing_is_no_portion(self) -> None:
        assert in_portions([], 10, 10) == []
