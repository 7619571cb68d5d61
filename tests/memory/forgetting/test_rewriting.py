"""A told concept without the words of what was forgotten of its sources."""

from memory.forgetting.rewriting import without_quotes
from schemas.concepts import ConceptFormed

CONCEPT = ConceptFormed(concept="pools", content="pools are slow\npools need a limit", source_episodes=["a", "b"])


def test_lines_that_quote_the_erased_go_and_the_others_stay() -> None:
    left = without_quotes(CONCEPT, ["pools are slow"])
    assert left is not None
    assert (left.content, left.source_episodes) == ("pools need a limit", ["a", "b"])


def test_a_line_that_is_part_of_what_was_said_goes_too() -> None:
    left = without_quotes(CONCEPT, ["they said: pools are slow, very"])
    assert left is not None
    assert left.content == "pools need a limit"


def test_with_nothing_left_to_say_it_is_erased() -> None:
    assert without_quotes(CONCEPT, ["pools are slow\npools need a limit"]) is None


def test_a_line_that_says_more_than_it_quotes_goes_whole() -> None:
    assert without_quotes(ConceptFormed(concept="c", content="x said: pools are slow"), ["pools are slow"]) is None
