"""A concept without what was forgotten of its sources."""

from memory.forgetting.rewriting import without
from schemas.concepts import ConceptFormed

CONCEPT = ConceptFormed(concept="pools", content="pools are slow\npools need a limit", source_episodes=["a", "b"], consolidated=["a", "b"])


def test_lines_that_quote_the_erased_go_and_the_others_stay() -> None:
    left = without(CONCEPT, {"a"}, ["pools are slow"])
    assert left is not None
    assert (left.content, left.source_episodes, left.consolidated) == ("pools need a limit", ["b"], ["b"])


def test_a_line_that_is_part_of_what_was_said_goes_too() -> None:
    left = without(CONCEPT, {"a"}, ["they said: pools are slow, very"])
    assert left is not None
    assert left.content == "pools need a limit"


def test_without_a_source_left_it_is_erased() -> None:
    assert without(CONCEPT, {"a", "b"}, []) is None


def test_with_nothing_left_to_say_it_is_erased() -> None:
    assert without(CONCEPT, {"a"}, ["pools are slow\npools need a limit"]) is None


def test_a_line_of_many_sources_goes_with_the_one_it_quotes() -> None:
    concept = ConceptFormed(concept="c", content="x said: pools are slow", source_episodes=["a", "b"])
    assert without(concept, {"a"}, ["pools are slow"]) is None
