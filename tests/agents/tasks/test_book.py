"""What is kept of all tasks."""

import pytest

from agents.tasks.book import Book
from agents.tasks.graph import child_id
from agents.tasks.success import Counts, Expected
from bus import subjects
from schemas.tasks import Finished, InputAnswer, Progress, Subtask
from tests.agents.tasks.story import Story, at

HALF_LIFE_S = 86_400.0


def write(book: Book, *stories: Story) -> None:
    for story in stories:
        for entry in story.entries:
            book.apply(entry)


def ended(task_id: str) -> Story:
    story = Story(task_id)
    story.submitted()
    story.assigned("nexus", 1)
    story.result("nexus", 1)
    story.finished(Finished(status="succeeded", agent="nexus"))
    return story


class TestBook:
    def test_success_rates_outlive_the_tasks_that_are_dropped(self) -> None:
        book = Book(ended_kept_max=2, success_half_life_s=HALF_LIFE_S)
        write(book, *(ended(f"t{n}") for n in range(5)))
        assert list(book.ended) == ["t3", "t4"]
        assert book.success["nexus"].skills == {"debugging": Counts(5, 0, at(2))}
        assert book.expected("nexus", "debugging", None).mean == pytest.approx(6 / 7, abs=1e-4)

    def test_what_is_expected_is_that_of_the_last_entry_and_not_of_a_clock(self) -> None:
        book = Book(10, HALF_LIFE_S)
        write(book, ended("t0"))
        assert book.expected("nexus", "debugging", None).successes == pytest.approx(1, abs=1e-4)
        late = Story("t1")
        late.tell(subjects.TASK_SUBMITTED, late.task, time=at(2 + HALF_LIFE_S))
        write(book, late)
        assert book.expected("nexus", "debugging", None).successes == pytest.approx(0.5)

    def test_of_an_agent_that_has_done_nothing_nothing_is_known(self) -> None:
        assert Book(10, HALF_LIFE_S).expected("nexus", "debugging", None) == Expected()

    def test_open_tasks_are_counted_by_who_holds_them(self) -> None:
        story, book = Story(), Book(10, HALF_LIFE_S)
        story.submitted()
        story.assigned("nexus", 1)
        write(book, story)
        assert book.open_by_agent() == {"nexus": 1}

    def test_one_that_waits_for_input_leaves_room_until_it_is_answered(self) -> None:
        story, book = Story(), Book(10, HALF_LIFE_S)
        story.submitted()
        story.assigned("nexus", 1)
        story.tell(subjects.TASK_PROGRESS, Progress(fence=1, state="input_required"), "nexus")
        write(book, story)
        assert book.open_by_agent() == {}
        story.tell(subjects.TASK_INPUT, InputAnswer(message="go on"), "gateway")
        write(book, story)
        assert book.open_by_agent() == {"nexus": 1}

    def test_a_composite_task_runs_once_a_part_of_it_does(self) -> None:
        whole, book = Story("whole", subtasks=[Subtask(id="a", title="A")]), Book(10, HALF_LIFE_S)
        whole.submitted()
        part = Story(child_id("whole", "a"), parent="whole")
        part.submitted()
        write(book, whole, part)
        assert book.open["whole"].status == "running"
        assert list(book.children(book.open["whole"])) == ["a"]

    def test_ended_parts_are_kept_as_long_as_the_whole_is_open(self) -> None:
        whole, book = Story("whole", subtasks=[Subtask(id="a", title="A")]), Book(1, HALF_LIFE_S)
        whole.submitted()
        write(book, whole, Story(child_id("whole", "a"), parent="whole"))
        part = Story(child_id("whole", "a"), parent="whole")
        part.submitted()
        part.finished(Finished(status="succeeded"))
        write(book, part, ended("t1"), ended("t2"))
        assert child_id("whole", "a") in book.ended

    def test_a_task_that_was_split_knows_its_parts(self) -> None:
        whole, book = Story("whole", required_skills=["a", "b"]), Book(10, HALF_LIFE_S)
        whole.submitted()
        whole.split("a", "b")
        part = Story(child_id("whole", "b"), parent="whole")
        part.submitted()
        write(book, whole, part)
        assert book.open["whole"].status == "running"
        assert list(book.children(book.open["whole"])) == ["b"]
