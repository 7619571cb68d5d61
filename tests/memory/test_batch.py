"""How deliveries are joined, and cut into transactions."""

from collections.abc import Callable

from bus.delivery import Ack, Terminal
from memory.batch import Batch, Settled, in_portions
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


class TestJoin:
    def batch(self, rows: list[EpisodeRow], settled: Settled | None = None) -> Batch:
        return Batch(deliveries=[], rows=rows, settled=settled or {}, fresh=[])

    def test_rows_stand_in_the_order_of_the_log_each_once_though_some_were_delivered_again(
        self, make_row: Callable[..., EpisodeRow]
    ) -> None:
        pieces = [self.batch([make_row(seq) for seq in seqs]) for seqs in ((4, 5, 6), (2, 3, 4, 5), (7,))]
        assert [row.stream_seq for row in Batch.joined(pieces).rows] == [2, 3, 4, 5, 6, 7]

    def test_how_entries_without_a_row_ended_is_kept_of_all(self) -> None:
        batch = Batch.joined([self.batch([], {1: Terminal("bad")}), self.batch([], {2: Ack()})])
        assert batch.settled == {1: Terminal("bad"), 2: Ack()}
