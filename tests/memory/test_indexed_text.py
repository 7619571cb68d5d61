"""What is indexed: the text with its speaker, or else every string; and action type and tags as labels."""

from typing import Any

from memory.indexed_text import content, labels, strings


class TestContent:
    def test_the_text_is_taken_alone(self) -> None:
        assert content({"text": "hello", "other": "not this"}) == "hello"

    def test_the_speaker_stands_before_the_text(self) -> None:
        assert content({"speaker": "Caroline", "text": "hello"}) == "Caroline: hello"

    def test_without_text_every_string_counts_in_order(self) -> None:
        details = {"a": "one", "b": {"c": ["two", 3, {"d": "three"}]}, "e": None, "f": True, "g": "four"}
        assert content(details) == "one\ntwo\nthree\nfour"

    def test_a_text_that_is_no_string_is_not_the_text(self) -> None:
        assert content({"text": {"en": "hello"}, "speaker": "me"}) == "hello\nme"

    def test_an_empty_text_is_not_the_text(self) -> None:
        assert content({"text": "", "title": "x"}) == "\nx"

    def test_keys_are_no_values(self) -> None:
        assert content({"secret_key": 1}) == ""

    def test_depth_is_no_limit(self) -> None:
        deep: Any = "bottom"
        for _ in range(100_000):
            deep = [deep]
        assert strings(deep) == ["bottom"]


class TestLabels:
    def test_a_dotted_name_is_found_whole_and_in_parts(self) -> None:
        assert labels("consensus.vote", ["db-fix"]) == "consensus.vote db-fix consensus vote db fix"

    def test_plain_words_are_not_doubled(self) -> None:
        assert labels("note", ["one"]) == "note one"
