import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.relevance import TEXT_LEN_MAX, similarity, stem, terms

texts = st.text(max_size=200)


class TestTerms:
    def test_stop_words_of_both_languages_are_left_out(self) -> None:
        assert terms("The server is on the moon") == terms("server moon")
        assert terms("el servidor está en la luna") == terms("servidor luna")

    def test_case_and_accents_do_not_matter(self) -> None:
        assert terms("MIGRACIÓN") == terms("migracion")

    def test_an_identifier_falls_into_its_words(self) -> None:
        assert terms("read_timeout=30") == [stem("read"), stem("timeout"), "30"]

    @pytest.mark.parametrize(
        "forms",
        [
            "migration migrations migrated migrating migrate migracion migraciones",
            "deploy deploys deployed deploying deployment deployments",
            "retry retries retried",
            "cache caches cached caching",
            "failed fails failing",
            "release releases released",
        ],
    )
    def test_the_forms_of_a_word_are_one_term(self, forms: str) -> None:
        assert len({stem(word) for word in forms.split()}) == 1

    @pytest.mark.parametrize(("one", "other"), [("bus", "but"), ("redis", "red"), ("nats", "note"), ("test", "tester2")])
    def test_different_words_stay_apart(self, one: str, other: str) -> None:
        assert stem(one) != stem(other)


class TestSimilarity:
    def test_the_same_words_in_another_order_and_form_are_alike(self) -> None:
        assert similarity("Deploy on Friday", "Friday deployments") == pytest.approx(1.0)

    def test_texts_without_a_shared_term_have_nothing_in_common(self) -> None:
        assert similarity("schema migration", "coffee machine") == 0.0

    def test_half_of_the_terms_shared_is_half_alike(self) -> None:
        assert similarity("schema migration", "schema diagram") == pytest.approx(0.5)

    @pytest.mark.parametrize("empty", ["", "the of and", "!!!"])
    def test_nothing_is_like_nothing(self, empty: str) -> None:
        assert similarity(empty, "anything") == 0.0
        assert similarity(empty, empty) == 0.0

    @given(texts, texts)
    def test_it_is_symmetric_and_lies_between_zero_and_one(self, a: str, b: str) -> None:
        assert similarity(a, b) == pytest.approx(similarity(b, a))
        assert 0.0 <= similarity(a, b) <= 1.0

    @given(texts)
    def test_a_text_is_like_itself_where_it_says_anything(self, text: str) -> None:
        assert similarity(text, text) == pytest.approx(1.0 if terms(text) else 0.0)

    def test_only_the_beginning_of_a_long_text_is_read(self) -> None:
        start = "word " * (TEXT_LEN_MAX // 5)
        assert similarity(start, start + "other " * 100_000) == pytest.approx(1.0)
