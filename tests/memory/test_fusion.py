"""Reciprocal rank fusion: only ranks count, both arms add up, and the order never depends on chance."""

from hypothesis import given
from hypothesis import strategies as st

from memory.fusion import Found, Fused, fuse

FOUND = st.builds(Found, st.just("episode"), st.sampled_from("abcdefgh"))
ARM = st.lists(FOUND, unique=True)


def fused(text: list[Found], vector: list[Found], limit: int = 10) -> list[Fused]:
    return fuse(text, vector, k=10, text_weight=1, vector_weight=1, limit=limit)


class TestFusion:
    def test_the_score_is_the_sum_over_both_arms(self) -> None:
        a, b = Found("episode", "a"), Found("episode", "b")
        (first, second) = fused([a, b], [a])
        assert (first.found, first.score, first.text, first.vector) == (a, 1 / 11 + 1 / 11, 1, 1)
        assert (second.found, second.score, second.text, second.vector) == (b, 1 / 12, 2, None)

    def test_the_weights_decide_which_arm_leads(self) -> None:
        a, b = Found("episode", "a"), Found("episode", "b")
        hits = fuse([a], [b], k=10, text_weight=0.4, vector_weight=0.6, limit=2)
        assert [hit.found for hit in hits] == [b, a]

    def test_the_same_id_of_another_kind_is_another_thing(self) -> None:
        assert len(fused([Found("episode", "a")], [Found("concept", "a")])) == 2

    @given(ARM, ARM)
    def test_nothing_is_lost_or_doubled_and_the_best_comes_first(self, text: list[Found], vector: list[Found]) -> None:
        hits = fused(text, vector, limit=100)
        assert {hit.found for hit in hits} == {*text, *vector}
        assert len(hits) == len({*text, *vector})
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)

    @given(ARM)
    def test_one_arm_alone_keeps_its_order(self, arm: list[Found]) -> None:
        assert [hit.found for hit in fused(arm, [])] == arm
        assert [hit.found for hit in fused([], arm)] == arm

    @given(ARM, ARM, st.integers(1, 5))
    def test_a_smaller_limit_is_the_beginning_of_a_larger_one(self, text: list[Found], vector: list[Found], limit: int) -> None:
        assert fused(text, vector, limit) == fused(text, vector, 100)[:limit]
