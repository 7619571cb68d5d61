"""How pieces of the log are joined, and cut into transactions."""

from collections.abc import Callable

from memory.batch import Batch, in_portions
from memory.episode_row import EpisodeRow
from schemas.entry import Malformed
from tests.memory.conftest import START


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
    def test_rows_and_refusals_of_all_are_kept_in_their_order(self, make_row: Callable[..., EpisodeRow]) -> None:
        bad = [Malformed(seq=seq, time=START, event_id="e", subject="s", headers={}, data=b"", reason=f"bad {seq}") for seq in (3, 6)]
        pieces = [Batch.of([make_row(1).entry, make_row(2).entry, bad[0]]), Batch.of([make_row(4).entry]), Batch.of([bad[1]])]
        batch = Batch.joined(pieces)
        assert [row.stream_seq for row in batch.rows] == [1, 2, 4]
        assert [(refusal.entry.seq, refusal.reason) for refusal in batch.refused] == [(3, "bad 3"), (6, "bad 6")]
        assert batch.last == 6
