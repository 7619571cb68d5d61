"""What is kept of all tasks."""

from agents.tasks.book import Book
from agents.tasks.graph import child_id
from agents.tasks.matching import Tally
from bus import subjects
from schemas.tasks import Finished, InputAnswer, Progress, Subtask
from tests.agents.tasks.story import Story


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
        book = Book(ended_kept_max=2)
        write(book, *(ended(f"t{n}") for n in range(5)))
        assert list(book.ended) == ["t3", "t4"]
        assert book.tallies == {"nexus": {"debugging": Tally(5, 0)}}

    def test_open_tasks_are_counted_by_who_holds_them(self) -> None:
        story, book = Story(), Book(10)
        story.submitted()
        story.assigned("nexus", 1)
        write(book, story)
        assert book.open_by_agent() == {"nexus": 1}

    def test_one_that_waits_for_input_leaves_room_until_it_is_answered(self) -> None:
        story, book = Story(), Book(10)
        story.submitted()
        story.assigned("nexus", 1)
        story.tell(subjects.TASK_PROGRESS, Progress(fence=1, state="input_required"), "nexus")
        write(book, story)
        assert book.open_by_agent() == {}
        story.tell(subjects.TASK_INPUT, InputAnswer(message="go on"), "gateway")
        write(book, story)
        assert book.open_by_agent() == {"nexus": 1}

    def test_a_composite_task_runs_once_a_part_of_it_does(self) -> None:
        whole, book = Story("whole", subtasks=[Subtask(id="a", title="A")]), Book(10)
        whole.submitted()
        part = Story(child_id("whole", "a"), parent="whole")
        part.submitted()
        write(book, whole, part)
        assert book.open["whole"].status == "running"
        assert list(book.children(book.open["whole"])) == ["a"]

    def test_ended_parts_are_kept_as_long_as_the_whole_is_open(self) -> None:
        whole, book = Story("whole", subtasks=[Subtask(id="a", title="A")]), Book(1)
        whole.submitted()
        write(book, whole, Story(child_id("whole", "a"), parent="whole"))
        part = Story(child_id("whole", "a"), parent="whole")
        part.submitted()
        part.finished(Finished(status="succeeded"))
        write(book, part, ended("t1"), ended("t2"))
        assert child_id("whole", "a") in book.ended
