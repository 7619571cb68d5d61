"""How a task is told to those who ask."""

from agents.tasks.rules import TaskState
from schemas.tasks import TaskDetail, TaskView
from schemas.words import rfc3339


def view(state: TaskState) -> TaskView:
    """A task as lists show it."""
    end = state.finished
    return TaskView(
        task_id=state.task_id,
        title=state.task.title,
        description=state.task.description,
        required_skills=state.task.required_skills,
        priority=state.task.priority,
        timeout_s=state.task.timeout_s,
        parent=state.task.parent,
        domain=state.task.domain,
        status=state.status,
        assigned_to=state.agent,
        instance=state.instance,
        fence=state.fence,
        scores=list(state.scores),
        fraction=state.fraction,
        result=end.output if end else None,
        error=state.error,
        submitted_at=rfc3339(state.submitted_at),
        finished_at=rfc3339(state.finished_at) if state.finished_at else None,
        context=state.task.context,
    )


def detail(state: TaskState) -> TaskDetail:
    """A task with what the log says of it."""
    shown = view(state)
    fields = {name: getattr(shown, name) for name in TaskView.__struct_fields__}
    return TaskDetail(**fields, history=list(state.history))
