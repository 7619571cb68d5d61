"""What an agent shows on the wire, the same for all: built-in ones, the SDK's, and the examples in other ways and languages.

Every test is played against the same running mesh, by each kind of agent in a process of its own.
"""

import asyncio
import uuid
from typing import Any

import pytest

from agents.sound_schema import unsound
from bus import presence, subjects
from bus.ids import uuid7
from schemas.consensus import Attributes, Proposal
from schemas.emotion import Affect, StimulusRequest
from schemas.learning import Integrated, Lesson, LessonView
from schemas.members import Ask, Profile
from schemas.tasks import AssignedTask, Assignment, Cancel
from tests.contract.conftest import LEASE_S, Looker, Player

pytestmark = pytest.mark.asyncio(loop_scope="module")
TEXT = {"text": "the longest of these words"}


def new(what: str) -> str:
    return f"{what}-{uuid.uuid4().hex[:8]}"


async def integrated(looker: Looker, lesson_id: str, agent: str) -> None:
    async def look() -> bool:
        view: LessonView = await looker.bus.ask(subjects.ASK_LESSON, Ask(id=lesson_id))
        return agent in view.integrated_by

    await looker.until(look, f"{agent} integrates {lesson_id}")


async def told(looker: Looker) -> str:
    lesson = Lesson(topic=new("topic"), content="Alert on the growth rate, not on the level.")
    return (await looker.bus.publish(subjects.LESSON, lesson, msg_id=uuid7(), agent="tester")).event_id


async def receipts(looker: Looker, agent: str, lesson_id: str) -> int:
    said = await looker.said(subjects.INTEGRATED, agent=agent)
    return sum(isinstance(e.body, Integrated) and e.body.lesson_id == lesson_id for e in said)


async def proposed(looker: Looker, agent: str, **fields: Any) -> str:
    ident = new("proposal")
    proposal = Proposal(title="Roll the fix out", electorate=[agent], timeout_s=20.0, **fields)
    await looker.bus.publish(subjects.PROPOSAL, proposal, proposal=ident, agent="tester")
    return ident


async def voted(looker: Looker, agent: str, ident: str) -> list[str]:
    async def look() -> list[str]:
        return [e.body.choice for e in await looker.said(subjects.VOTE, proposal=ident, agent=agent)]

    found: list[str] = await looker.until(look, f"{agent} votes on {ident}")
    return found


async def begun(looker: Looker, task: str, agent: str) -> None:
    async def look() -> bool:
        found = await looker.task(task)
        return found.status == "running" and found.assigned_to == agent

    await looker.until(look, f"{agent} works on {task}")


async def test_it_says_each_second_that_it_is_there_with_a_valid_profile(looker: Looker, agent: Player) -> None:
    heard: list[Profile] = []
    twice = asyncio.Event()

    async def hear(who: str, _: str, profile: Profile | None) -> None:
        if who == agent.name and profile:
            heard.append(profile)
            if len(heard) == 2:
                twice.set()

    async def unread(who: str, _: str, data: bytes, reason: str) -> None:
        assert who != agent.name, (data, reason)

    await presence.listen(looker.bus, hear, unread)
    await asyncio.wait_for(twice.wait(), 10)
    assert heard[0].role == "wordsmith"
    assert heard[0].skill_names() == ["count_words", "countdown"]
    for skill in heard[0].skill_list():
        assert skill.input_schema
        assert (unsound(skill.input_schema), unsound(skill.output_schema)) == (None, None)


async def test_it_is_listed_with_its_role_and_skills(looker: Looker, agent: Player) -> None:
    shown = (await looker.agents()).agents[agent.name]
    assert (shown.role, shown.skills, shown.instances) == ("wordsmith", ["count_words", "countdown"], 1)


async def test_it_votes_once_and_within_the_options(looker: Looker, agent: Player) -> None:
    good = Attributes(benefit=0.9, cost=0.1, risk=0.1, urgency=0.5, reversible=True)
    ident = await proposed(looker, agent.name, attributes=good)
    assert await voted(looker, agent.name, ident) == ["approve"]
    assert await voted(looker, agent.name, ident) == ["approve"]


async def test_it_votes_within_options_that_are_not_the_usual_ones(looker: Looker, agent: Player) -> None:
    ident = await proposed(looker, agent.name, options=["now", "later"], attributes=Attributes(benefit=0.9, risk=0.1))
    [choice] = await voted(looker, agent.name, ident)
    assert choice in {"now", "later", "abstain"}


async def test_it_integrates_a_lesson_once(looker: Looker, agent: Player) -> None:
    first = await told(looker)
    await integrated(looker, first, agent.name)
    second = await told(looker)
    await integrated(looker, second, agent.name)
    assert (await receipts(looker, agent.name, first), await receipts(looker, agent.name, second)) == (1, 1)


async def test_it_integrates_a_lesson_that_came_without_any_header(looker: Looker, agent: Player) -> None:
    topic = new("topic")
    await looker.bus.nc.publish(subjects.LESSON.subject(agent="tester"), f'{{"topic": "{topic}", "content": "c"}}'.encode())

    async def look() -> str | None:
        said = await looker.said(subjects.LESSON, agent="tester")
        return next((e.event_id for e in said if e.body.topic == topic), None)

    await integrated(looker, await looker.until(look, "the lesson stands in the log"), agent.name)


async def test_it_says_what_it_feels_when_it_comes_and_when_it_is_moved(looker: Looker, agent: Player) -> None:
    before = await looker.said(subjects.AFFECT, agent=agent.name)
    assert before
    request = StimulusRequest(agent=agent.name, event="praise", cause="the fix held")
    await looker.bus.ask(subjects.ASK_STIMULUS, request)
    after = (await looker.said(subjects.AFFECT, agent=agent.name))[len(before) :]
    assert isinstance(after[0].body, Affect)
    assert after[0].body.valence > before[-1].body.valence
    assert after[0].body.cause == "the fix held"


async def test_it_takes_a_task_and_gives_the_result_under_its_fence(looker: Looker, agent: Player) -> None:
    task = new("task")
    await looker.submit(task, required_skills=["count_words"], input=TEXT)
    end = await looker.ended(task)
    assert (end.status, end.assigned_to, end.result) == ("succeeded", agent.name, {"words": 5, "longest": "longest"})
    [result] = await looker.said(subjects.TASK_RESULT, task=task, agent=agent.name)
    assert result.body.fence == 1


async def test_it_performs_several_required_skills_in_turn(looker: Looker, agent: Player) -> None:
    task = new("task")
    given = {"text": "two words", "countdown": {"seconds": 0.5}}
    await looker.submit(task, required_skills=["count_words", "countdown"], input=given)
    end = await looker.ended(task)
    assert (end.status, end.assigned_to) == ("succeeded", agent.name)
    assert end.result == {"count_words": {"words": 2, "longest": "words"}, "countdown": 0.5}


async def test_it_extends_its_lease_by_progress(looker: Looker, agent: Player) -> None:
    task = new("task")
    await looker.submit(task, required_skills=["countdown"], input={"seconds": LEASE_S * 1.75})
    end = await looker.ended(task)
    assert (end.status, end.fence, end.result) == ("succeeded", 1, LEASE_S * 1.75)
    assert len(await looker.said(subjects.TASK_PROGRESS, task=task, agent=agent.name)) >= 2


async def test_it_reports_a_skill_that_fails(looker: Looker, agent: Player) -> None:
    task = new("task")
    await looker.submit(task, required_skills=["count_words"], input={"text": " "})
    assert (await looker.ended(task)).status == "failed"
    [failure] = await looker.said(subjects.TASK_FAILED, task=task, agent=agent.name)
    error = failure.body.error
    assert (failure.body.fence, error.code, error.message, error.retryable) == (1, "nothing_to_count", "the text has no words", False)


@pytest.mark.parametrize("given", [{}, {"text": 5}])
async def test_it_refuses_malformed_input(looker: Looker, agent: Player, given: dict[str, Any]) -> None:
    task = new("task")
    await looker.submit(task, required_skills=["count_words"], input=given)
    end = await looker.ended(task)
    assert end.error is not None
    assert (end.status, end.error.code, end.error.retryable) == ("failed", "bad_input", False)
    assert "$" in end.error.message, "it says where"


async def test_it_ignores_an_assignment_under_an_old_fence(looker: Looker, agent: Player) -> None:
    task, given = new("task"), {"seconds": LEASE_S / 2}
    await looker.submit(task, required_skills=["countdown"], input=given)
    await looker.ended(task)
    assigned = AssignedTask(title="again", task_id=task, required_skills=["countdown"], input=given)
    old = Assignment(fence=1, lease_s=LEASE_S, task=assigned, skill="countdown")
    again = await looker.bus.publish(subjects.TASK_ASSIGNED, old, task=task, agent=agent.name)
    await looker.settled(agent.name)
    words = [subjects.TASK_PROGRESS, subjects.TASK_RESULT, subjects.TASK_FAILED]
    assert [e.name for row in words for e in await looker.said(row, task=task, agent=agent.name) if e.seq > again.seq] == []


async def test_it_stops_when_its_task_is_cancelled(looker: Looker, agent: Player) -> None:
    task = new("task")
    await looker.submit(task, required_skills=["countdown"], input={"seconds": 600})
    await begun(looker, task, agent.name)
    await looker.bus.publish(subjects.TASK_CANCEL, Cancel(reason="not needed"), task=task, agent="tester")
    assert (await looker.ended(task)).status == "cancelled"
    await looker.settled(agent.name)
    assert await looker.said(subjects.TASK_RESULT, task=task, agent=agent.name) == []


async def test_it_goes_on_when_the_server_was_away(looker: Looker, agent: Player) -> None:
    await looker.server.stop()
    await looker.server.start()
    await looker.active(agent.name)
    task = new("task")

    async def submitted() -> bool:
        await looker.submit(task, required_skills=["count_words"], input=TEXT)
        return True

    await looker.until(submitted, "the log takes a task again")
    assert (await looker.ended(task)).assigned_to == agent.name
    lesson = await told(looker)
    await integrated(looker, lesson, agent.name)
    ident = await proposed(looker, agent.name, attributes=Attributes(benefit=0.9, cost=0.1, risk=0.1))
    assert len(await voted(looker, agent.name, ident)) == 1


async def test_it_says_goodbye_and_learns_what_it_missed_when_it_is_back(looker: Looker, agent: Player) -> None:
    assert agent.stop() == 0

    async def left() -> bool:
        said = await looker.said(subjects.MEMBER, agent=agent.name)
        return [e.body.status for e in said][-1] == "left"

    await looker.until(left, f"{agent.name} has left")
    missed = await told(looker)
    agent.start()
    await integrated(looker, missed, agent.name)
    assert await receipts(looker, agent.name, missed) == 1


async def test_who_falls_silent_is_lost_and_its_task_goes_to_its_next_instance(looker: Looker, agent: Player) -> None:
    await looker.active(agent.name)
    task = new("task")
    await looker.submit(task, required_skills=["countdown"], input={"seconds": 3})
    await begun(looker, task, agent.name)
    agent.stop(how=9)

    async def lost() -> bool:
        said = await looker.said(subjects.MEMBER, agent=agent.name)
        return [e.body.status for e in said][-1] == "lost"

    await looker.until(lost, f"{agent.name} is lost")
    agent.start()
    end = await looker.ended(task)
    assert (end.status, end.assigned_to, end.result) == ("succeeded", agent.name, 3)
    assert len([line for line in end.history if line.entry == "result" and line.ignored is None]) == 1, "its effect happens once"
