"""Fusion: both arms add up as evidence, short texts lean on their neighbours, and the order never depends on chance."""

from hypothesis import given
from hypothesis import strategies as st

from memory.fusion import Arm, Evidence, Found, Listed, Neighbour, alone, fuse, grow, lean, ordered, sources

EMPTY = Arm([], full=False)


def found(name: str) -> Found:
    return Found("episode", name)


def arm(*scores: tuple[str, float], full: bool = False) -> Arm:
    return Arm([Listed(found(name), ord(name), score) for name, score in scores], full=full)


def fused(text: Arm, vector: Arm) -> dict[Found, Evidence]:
    return fuse(text, vector, text_weight=1.0, vector_weight=10.0)


def names(hits: dict[Found, Evidence]) -> str:
    return "".join(hit.found.id for hit in ordered(hits))


ARM = st.builds(
    lambda scores, full: arm(*sorted(scores.items(), key=lambda item: -item[1]), full=full and bool(scores)),
    st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0, 1), max_size=8),
    st.booleans(),
)


class TestFuse:
    def test_what_both_arms_found_has_the_evidence_of_both(self) -> None:
        hits = fused(arm(("a", 3.0), ("b", 2.0)), arm(("b", 0.6), ("c", 0.5), ("d", 0.1), full=True))
        assert names(hits) == "bcad"
        b = hits[found("b")]
        assert (b.text_rank, b.vector_rank, b.text, b.vector) == (2, 1, 2.0, 5.0)
        assert hits[found("a")].fused().vector is None

    def test_the_last_of_a_full_arm_is_worth_nothing_by_it(self) -> None:
        """So that what the arm did not list any more is treated alike."""
        hits = fused(arm(("a", 9.0), ("b", 4.0), full=True), arm(("a", 0.9), ("c", 0.4), full=True))
        assert (hits[found("b")].score, hits[found("c")].score) == (0.0, 0.0)
        assert hits[found("a")].score == 5.0 + 10 * 0.5

    def test_all_words_count_while_the_text_arm_is_not_full(self) -> None:
        assert fused(arm(("a", 9.0), ("b", 4.0)), EMPTY)[found("b")].score == 4.0

    def test_what_is_no_nearer_than_the_average_gains_nothing_by_its_meaning(self) -> None:
        hits = fused(EMPTY, arm(("a", 0.9), ("b", 0.5), ("c", 0.1)))
        assert hits[found("a")].score > hits[found("b")].score > 0
        assert hits[found("c")].score == 0

    @given(ARM, ARM)
    def test_nothing_is_lost_or_doubled_and_the_best_comes_first(self, text: Arm, vector: Arm) -> None:
        hits = ordered(fused(text, vector))
        assert {hit.found for hit in hits} == {item.found for item in (*text.listed, *vector.listed)}
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert all(hit.score >= 0 for hit in hits)
        assert len({hit.place for hit in hits}) == len(hits)

    @given(ARM)
    def test_one_arm_alone_keeps_its_order_and_its_scores(self, listed: Arm) -> None:
        for hits in (alone(listed, EMPTY), alone(EMPTY, listed)):
            assert [(hit.found, hit.score) for hit in ordered(hits)] == [(item.found, item.score) for item in listed.listed]


class TestLean:
    def beside(self, distance: int, terms: int, name: str = "b") -> dict[Found, Evidence]:
        hits = fused(arm(("a", 8.0)), EMPTY)
        lean(hits, [Neighbour(found("a"), found(name), distance, terms)], weight=0.5, context_terms=100)
        return hits

    def test_a_neighbour_comes_in_by_the_score_beside_it(self) -> None:
        hit = self.beside(1, 0)[found("b")]
        assert (hit.neighbour, hit.own, hit.text_rank) == (4.0, 0.0, None)

    def test_farther_ones_gain_less(self) -> None:
        assert self.beside(2, 0)[found("b")].score == 2.0

    def test_a_long_text_stands_for_itself(self) -> None:
        assert self.beside(1, 100)[found("b")].score == 2.0
        assert self.beside(1, 900)[found("b")].score == 0.4

    def test_gains_are_not_passed_on(self) -> None:
        hits = self.beside(1, 0)
        lean(hits, [Neighbour(found("b"), found("c"), 1, 0)], weight=0.5, context_terms=100)
        assert hits[found("c")].score == 0.0

    def test_only_the_best_that_have_a_score_of_their_own_are_sources(self) -> None:
        hits = fused(arm(("a", 8.0), ("b", 5.0), ("c", 1.0), full=True), EMPTY)
        assert sources(hits, 2) == {ord("a"): found("a"), ord("b"): found("b")}
        assert sources(hits, 9) == {ord("a"): found("a"), ord("b"): found("b")}


class TestGrow:
    def test_what_the_graph_added_is_told_apart(self) -> None:
        hits = fused(arm(("a", 8.0), ("b", 5.0)), EMPTY)
        grow(hits, [(found("b"), 9.0), (found("a"), 8.0), (found("g"), 1.0)])
        assert names(hits) == "bag"
        assert (hits[found("b")].graph, hits[found("a")].graph, hits[found("g")].graph) == (4.0, 0.0, 1.0)
