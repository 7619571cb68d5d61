"""Answers from what is recalled."""

from agents.skills.knowledge_synthesis import ANSWER_SENTENCES_MAX, Answer, split, synthesise
from tests.agents.skills.hits import hit

QUESTION = "Why did the database migration fail?"


class TestAnswer:
    def test_it_quotes_what_bears_on_the_question_with_where_it_stands(self) -> None:
        answer = synthesise(
            QUESTION,
            [hit("e1", "The weather was fine. The database migration failed because the lock timed out."), hit("e2", "Lunch at noon.")],
        )
        assert answer.answer == "The database migration failed because the lock timed out. [1]"
        assert [(c.id, c.sentence) for c in answer.citations] == [("e1", "The database migration failed because the lock timed out.")]

    def test_the_same_thing_is_not_said_twice(self) -> None:
        twice = "The database migration failed because the lock timed out."
        answer = synthesise(QUESTION, [hit("e1", twice), hit("e2", twice), hit("e3", "The migration ran again at night.")])
        assert [c.id for c in answer.citations] == ["e1", "e3"]

    def test_where_nothing_bears_on_it_it_is_empty(self) -> None:
        assert synthesise(QUESTION, [hit("e1", "Lunch at noon.")]) == Answer(answer="", citations=[])
        assert synthesise(QUESTION, []) == Answer(answer="", citations=[])

    def test_the_question_itself_is_no_answer(self) -> None:
        assert synthesise(QUESTION, [hit("e1", QUESTION)]).citations == []

    def test_it_has_an_end(self) -> None:
        hits = [hit(f"e{n}", f"The database migration number{n} failed after step{n} because of cause{n}.") for n in range(40)]
        assert len(synthesise(QUESTION, hits).citations) == ANSWER_SENTENCES_MAX


class TestSentences:
    def test_text_is_cut_at_full_stops_and_lines(self) -> None:
        assert split("One. Two? Three\nFour 1.5 more") == ["One.", "Two?", "Three", "Four 1.5 more"]
