"""Evidence: what the recorded outcomes of episodes say, of those the proposal names and of those recall found alike.

A failure weighs more than a success: success is what a proposer expects and cites, failure is what he would rather not
have found (diagnosticity of negative information, Skowronski and Carlston 1989).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agents.minds import options
from agents.minds.case import Case, Outcome
from agents.minds.reasons import Reason, capped
from agents.relevance import TEXT_LEN_MAX, similarity
from schemas.memory import SearchHit

SUCCESS_WEIGHT = 1.5
"""Log-odds of one named episode that went well."""
FAILURE_WEIGHT = 3.0
"""Log-odds of one named episode that failed."""
RECALLED_SHARE = 0.5
"""What a recalled episode counts beside a named one, before its similarity to the case."""
SIMILARITY_MIN = 0.2
"""Below this similarity (0…1) a recalled episode is about something else."""
NAMED_FORCE_MAX = 5.0
"""Most log-odds that all named episodes make together."""
RECALLED_FORCE_MAX = 3.0
"""Most log-odds that all recalled episodes make together."""
TASK_FINISHED = "task.finished"
"""The action type under which memory keeps how a task ended."""
OUTCOMES: Mapping[str, Outcome] = {"success": "success", "failure": "failure"}
TASK_OUTCOMES: Mapping[str, Outcome] = {"succeeded": "success", "failed": "failure", "expired": "failure"}


def named(case: Case) -> list[Reason]:
    """Reasons from the outcomes of the episodes that the proposal names."""
    found: list[Reason] = []
    for episode in case.evidence:
        if outcome := outcome_of(episode.action_type, episode.action_details):
            reason = _reason(outcome, 1.0, f"evidence {episode.episode_id} ({outcome})", episode.episode_id)
            found += options.apply(case, reason, text_of(episode.action_details))
    return capped(found, NAMED_FORCE_MAX)


def recalled(case: Case) -> list[Reason]:
    """Reasons from the outcomes of similar episodes and tasks that recall found, weighed by their similarity."""
    already = {e.episode_id for e in case.evidence}
    near = _similarities(case)
    found: list[Reason] = []
    for hit in case.similar:
        outcome = outcome_of(hit.action_type, hit.action_details)
        share = near[_subject(hit)]
        if outcome and share >= SIMILARITY_MIN and hit.id not in already:
            phrase = f"similar {hit.action_type} {hit.id} ({outcome}, similarity {share:.2f})"
            found += options.apply(case, _reason(outcome, RECALLED_SHARE * share, phrase, hit.id), hit.text)
    return capped(found, RECALLED_FORCE_MAX)


def outcome_of(action_type: str, details: Mapping[str, Any]) -> Outcome | None:
    """The outcome that an episode records: `outcome` in its details, or how the task ended that it tells of."""
    recorded = details.get("outcome")
    if isinstance(recorded, str) and recorded in OUTCOMES:
        return OUTCOMES[recorded]
    status = details.get("status")
    return TASK_OUTCOMES.get(status) if action_type == TASK_FINISHED and isinstance(status, str) else None


def text_of(details: Mapping[str, Any]) -> str:
    """What an episode says: its `text`, or every string in its details; cut at `TEXT_LEN_MAX` characters."""
    text = details.get("text")
    return text[:TEXT_LEN_MAX] if isinstance(text, str) else " ".join(_strings(details))[:TEXT_LEN_MAX]


def _strings(details: Mapping[str, Any]) -> Iterator[str]:
    waiting: list[Any] = [details]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            waiting.extend(reversed(list(value.values())))
        elif isinstance(value, Sequence):
            waiting.extend(reversed(value))


def _reason(outcome: Outcome, share: float, phrase: str, ident: str) -> Reason:
    good = outcome == "success"
    return Reason(1.0 if good else -1.0, (SUCCESS_WEIGHT if good else FAILURE_WEIGHT) * share, phrase, (ident,))


def _subject(hit: SearchHit) -> str:
    """What a hit is about: its task where it tells of one, so that a title and an outcome of one task meet; else itself."""
    task = hit.action_details.get("task")
    return task if isinstance(task, str) else hit.id


def _similarities(case: Case) -> dict[str, float]:
    near: dict[str, float] = {}
    for hit in case.similar:
        about = _subject(hit)
        near[about] = max(near.get(about, 0.0), similarity(case.text, hit.text))
    return near
