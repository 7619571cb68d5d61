"""Cross-learning: broadcast a lesson, see its receipts, list lessons."""

import msgspec

from bus.errors import TimedOut, Unavailable
from bus.subjects import ASK_LESSON, ASK_LESSONS, LESSON
from gateway.call import Answer, Call, reply
from gateway.waiting import until
from schemas.learning import Lesson, LessonReceipt, LessonView
from schemas.members import Ask
from schemas.words import EventId


class LessonPath(msgspec.Struct, frozen=True):
    lesson_id: EventId


async def broadcast_lesson(call: Call) -> Answer:
    """Publish a lesson as `agent` for all others to keep.

    Answers as soon as all recipients that are active have integrated it, or after `wait_s`. `stored` says that it is
    on the log; agents that are away integrate it when they are back, see the receipts under its id.
    """
    request = call.body
    lesson = Lesson(**{name: getattr(request, name) for name in Lesson.__struct_fields__})
    stored = await call.bus.publish(LESSON, lesson, msg_id=call.ids.new(), headers=call.via, agent=request.agent)
    try:
        view = await until(call, ASK_LESSON, stored.event_id, _integrated_by_all, request.wait_s, early_ends=True)
    except (Unavailable, TimedOut):
        view = None  # acknowledged is acknowledged: the agents will find it in the log
    recipients, integrated_by = (view.recipients, view.integrated_by) if view else ([], [])
    receipt = LessonReceipt(
        lesson_id=stored.event_id, stored=True, stream_seq=stored.seq, recipients=recipients, integrated_by=integrated_by
    )
    return reply(receipt, 202, {"location": f"/neural-mesh/cross-learning/{stored.event_id}"})


def _integrated_by_all(view: LessonView) -> bool:
    return bool(view.recipients) and set(view.recipients) <= set(view.integrated_by)


async def lesson(call: Call) -> Answer:
    """A lesson with its receipts: for whom it is, and who has made it its own."""
    return reply(await call.ask(ASK_LESSON, Ask(id=call.path.lesson_id)))


async def lessons(call: Call) -> Answer:
    """Lessons, newest first. `before` goes on where `next_before` of the page before ended."""
    return reply(await call.ask(ASK_LESSONS, call.query))
