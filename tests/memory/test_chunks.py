"""Long texts in pieces: nothing is lost, nothing is doubled, and cuts stand where a reader would put them."""

from hypothesis import given
from hypothesis import strategies as st

from memory.chunks import chunks
from memory.passages import PASSAGE_LEN_MAX, passages_of

TEXT = st.text(alphabet="ab \n.", max_size=200)


class TestChunks:
    def test_a_short_text_is_left_as_it_is(self) -> None:
        assert chunks("  one\n\ntwo ", 20) == ["  one\n\ntwo "]
        assert chunks("", 20) == [""]

    def test_a_text_is_cut_between_paragraphs_first(self) -> None:
        assert chunks("One. Two.\n\nThree. Four.", 14) == ["One. Two.", "Three. Four."]

    def test_then_between_lines_sentences_and_words(self) -> None:
        assert chunks("one two\nthree four", 12) == ["one two", "three four"]
        assert chunks("One two. Three four.", 12) == ["One two.", "Three four."]
        assert chunks("one two three four", 12) == ["one two", "three four"]

    def test_a_word_that_is_too_long_is_cut_where_it_must_be(self) -> None:
        assert chunks("a" * 25, 10) == ["a" * 10, "a" * 10, "a" * 5]

    def test_pieces_are_as_long_as_they_can_be(self) -> None:
        assert chunks("Head\n\nBody one.\n\nBody two.", 16) == ["Head\n\nBody one.", "Body two."]

    @given(TEXT, st.integers(1, 30))
    def test_nothing_but_white_space_is_left_out_and_no_piece_is_too_long(self, text: str, len_max: int) -> None:
        pieces = chunks(text, len_max)
        assert "".join("".join(pieces).split()) == "".join(text.split())
        assert all(len(piece) <= len_max for piece in pieces) or pieces == [text]


class TestParts:
    def test_a_long_episode_is_several_passages_with_its_labels_on_the_first(self, make_row) -> None:  # type: ignore[no-untyped-def]
        text = "\n\n".join(f"Paragraph {n}. " + "word " * 60 for n in range(8))
        passages = passages_of(make_row(1, text, tags=["x"]))
        assert len(passages) > 2
        assert [p.part for p in passages] == list(range(len(passages)))
        assert [bool(p.labels) for p in passages] == [True] + [False] * (len(passages) - 1)
        assert all(len(p.content) <= PASSAGE_LEN_MAX for p in passages)

    def test_an_echo_is_one_empty_passage_that_is_found_by_its_labels(self, make_row) -> None:  # type: ignore[no-untyped-def]
        (passage,) = passages_of(make_row(1, action_details={}))
        assert (passage.content, bool(passage.labels)) == ("", True)
