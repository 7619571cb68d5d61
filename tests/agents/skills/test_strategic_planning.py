"""Schedules by the critical path method."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.skills.skill import SkillError
from agents.skills.strategic_planning import PlannedTask, Schedule, schedule


def plan(**tasks: tuple[float, list[str]]) -> Schedule:
    return schedule([PlannedTask(id=i, estimate=e, depends_on=d) for i, (e, d) in tasks.items()])


class TestKnownPlan:
    """A textbook network: A 3 → C 4 → E 5; B 2 → D 1 → E."""

    PLAN = plan(A=(3, []), B=(2, []), C=(4, ["A"]), D=(1, ["B"]), E=(5, ["C", "D"]))

    def test_the_longest_chain_is_critical(self) -> None:
        assert self.PLAN.critical_path == ["A", "C", "E"]
        assert self.PLAN.length == 12

    def test_each_task_starts_as_early_as_it_can(self) -> None:
        assert {r.id: (r.start, r.end) for r in self.PLAN.schedule} == {"A": (0, 3), "B": (0, 2), "C": (3, 7), "D": (2, 3), "E": (7, 12)}

    def test_slack_is_how_far_it_may_slip(self) -> None:
        assert {r.id: r.slack for r in self.PLAN.schedule} == {"A": 0, "B": 4, "C": 0, "D": 4, "E": 0}


class TestRefusals:
    def test_a_circle_is_no_plan(self) -> None:
        with pytest.raises(SkillError, match=r"circle: a, b - at `\$\.tasks`") as e:
            plan(a=(1, ["b"]), b=(1, ["a"]), c=(1, []))
        assert e.value.code == "bad_input"

    def test_an_unknown_dependency_is_named_with_its_path(self) -> None:
        with pytest.raises(SkillError, match=r"a depends on unknown z - at `\$\.tasks\[0\]\.depends_on\[0\]`"):
            plan(a=(1, ["z"]))

    def test_a_task_cannot_depend_on_itself(self) -> None:
        with pytest.raises(SkillError, match="circle"):
            plan(a=(1, ["a"]))

    def test_two_tasks_of_one_name_are_refused(self) -> None:
        with pytest.raises(SkillError, match="two tasks are called a"):
            schedule([PlannedTask(id="a", estimate=1), PlannedTask(id="a", estimate=2)])

    def test_nothing_to_do_takes_no_time(self) -> None:
        assert schedule([]) == Schedule(schedule=[], critical_path=[], length=0.0)


@st.composite
def networks(draw: st.DrawFn) -> list[PlannedTask]:
    count = draw(st.integers(1, 12))
    tasks = []
    for n in range(count):
        needed = draw(st.sets(st.integers(0, n - 1), max_size=4)) if n else set()
        tasks.append(PlannedTask(id=f"t{n}", estimate=draw(st.integers(0, 9)), depends_on=[f"t{m}" for m in sorted(needed)]))
    return draw(st.permutations(tasks))


class TestAnyNetwork:
    @given(networks())
    def test_nothing_starts_before_what_it_depends_on_has_ended(self, tasks: list[PlannedTask]) -> None:
        rows = {r.id: r for r in schedule(tasks).schedule}
        for task in tasks:
            assert rows[task.id].start == max((rows[d].end for d in task.depends_on), default=0)
            assert rows[task.id].end - rows[task.id].start == task.estimate

    @given(networks())
    def test_the_critical_path_is_as_long_as_the_whole(self, tasks: list[PlannedTask]) -> None:
        found = schedule(tasks)
        rows, by_id = {r.id: r for r in found.schedule}, {t.id: t for t in tasks}
        path = found.critical_path
        assert sum(by_id[i].estimate for i in path) == found.length == max(r.end for r in rows.values())
        assert all(rows[i].slack == 0 for i in path)
        assert all(a in by_id[b].depends_on for a, b in pairwise(path))

    @given(networks(), st.data())
    def test_slipping_by_its_slack_does_not_make_it_longer_and_more_does(self, tasks: list[PlannedTask], data: st.DataObject) -> None:
        found = schedule(tasks)
        row = data.draw(st.sampled_from(found.schedule))

        def slipped(by: float) -> float:
            longer = {t.id: t.estimate + by * (t.id == row.id) for t in tasks}
            return schedule([PlannedTask(id=t.id, estimate=longer[t.id], depends_on=t.depends_on) for t in tasks]).length

        assert slipped(row.slack) == found.length
        assert slipped(row.slack + 1) == found.length + 1
