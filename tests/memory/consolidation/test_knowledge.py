"""What kind of knowledge sources are."""

import pytest

from memory.consolidation.knowledge import knowledge_type
from tests.memory.consolidation.told import said


class TestTypes:
    @pytest.mark.parametrize(
        ("texts", "expected"),
        [
            (["The deploy failed with TimeoutError."], "failure"),
            (["We decided to use NATS."], "decision"),
            (["Alice prefers tea."], "preference"),
            (["First stop the server, then start it."], "procedure"),
            (["The pool size is 20."], "fact"),
            (["Maria visited the museum yesterday."], "event"),
            (["The pool size is 20.", "The pool size is 20.", "We decided so."], "fact"),
            (["It broke.", "We decided so."], "failure"),  # a tie goes to what stands first
        ],
    )
    def test_by_their_cues(self, texts: list[str], expected: str) -> None:
        assert knowledge_type(said(*texts)) == expected

    def test_an_outcome_says_it_without_words(self) -> None:
        assert knowledge_type(said("Ran the migration", outcome="failure")) == "failure"

    def test_an_action_type_is_a_cue_too(self) -> None:
        assert knowledge_type(said("NATS it is", action_type="decision")) == "decision"
