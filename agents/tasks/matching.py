"""Who gets a task, and why, in numbers. Pure: similarity, affect and what the log says of the agents are arguments."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from agents.tasks.success import Expected
from schemas.emotion import Affect
from schemas.members import Profile, Skill
from schemas.tasks import Score, Submission, SuccessRecord, TaskError, Why

SKILL_FIT_MIN = 0.05
"""Least similarity at which a skill that nobody required is taken to fit a task."""
SCORES_LEN_MAX = 20
"""Most scores that one assignment carries."""
DIGITS = 4
"""Decimal places of a score and of its parts."""

Similarity = Callable[[str, str], float]
Success = Callable[[str, str | None], Expected]
"""What is to be expected of an agent's work with a skill, in a domain or in any."""


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """The share of each part in the score; they need not sum to 1."""

    skill: float
    similarity: float
    success: float
    load: float
    affect: float


def unknown(_skill: str, _domain: str | None) -> Expected:
    """What is to be expected of an agent that has done nothing yet."""
    return Expected()


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """An agent that is there and takes tasks. `open_tasks` of at most `capacity` are with it."""

    agent: str
    profile: Profile
    open_tasks: int = 0
    capacity: int = 1
    affect: Affect | None = None
    success: Success = unknown

    @property
    def has_room(self) -> bool:
        return self.open_tasks < self.capacity

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do."""
        return self.open_tasks == 0


class Choice(msgspec.Struct, frozen=True):
    """Who gets it, with which skill, and how all that could have had it scored."""

    agent: str
    skill: str | None
    scores: list[Score]


def choose(
    task: Submission, candidates: Sequence[Candidate], tried: frozenset[str], weights: Weights, similarity: Similarity
) -> Choice | None:
    """The best of those with all required skills and with room, or None. Who has tried it before comes last."""
    judged = [judge(task, c, weights, similarity) for c in candidates if eligible(task, c)]
    if not judged:
        return None
    order = ranking(score for _, score in judged)
    best = first(order, tried)
    skill = next(skill for skill, score in judged if score.agent == best.agent)
    return Choice(best.agent, skill, order[:SCORES_LEN_MAX])


def ranking(scores: Iterable[Score]) -> list[Score]:
    """The best first; ties by name."""
    return sorted(scores, key=lambda s: (-s.score, s.agent))


def first(order: Sequence[Score], tried: frozenset[str]) -> Score:
    """The best of a ranking that has not tried it; if all have, the best."""
    return min(order, key=lambda s: s.agent in tried)


def eligible(task: Submission, candidate: Candidate) -> bool:
    """Whether this agent may have the task now."""
    return (
        candidate.has_room and task.agent in {None, candidate.agent} and set(task.required_skills) <= set(candidate.profile.skill_names())
    )


def judge(task: Submission, c: Candidate, weights: Weights, similarity: Similarity) -> tuple[str | None, Score]:
    """The skill this agent would do the task with, and its score."""
    skill, match = _skill(task, c.profile, similarity)
    expected = weakest(task, skill, c.success)
    why = Why(
        skill=_round(match),
        similarity=_round(similarity(task_text(task), profile_text(c.profile))),
        success=_round(expected.hoped),
        load=_round(1 - max(c.profile.load, c.open_tasks / c.capacity)),
        affect=_round(fitness(c.affect)),
    )
    return skill, Score(agent=c.agent, score=_round(score(why, weights)), why=why, record=_record(expected))


def weakest(task: Submission, skill: str | None, success: Success) -> Expected:
    """What is to be expected of the skill that the task needs and of which the least is to be expected."""
    needed = sorted(set(task.required_skills)) or [skill or ""]
    return min((success(name, task.domain) for name in needed), key=lambda e: e.hoped)


def _record(expected: Expected) -> SuccessRecord:
    names = SuccessRecord.__struct_fields__
    return SuccessRecord(**{name: round(getattr(expected, name), DIGITS) for name in names})


def score(why: Why, weights: Weights) -> float:
    """The weighted mean of the parts, 0…1."""
    shares = {name: getattr(weights, name) for name in Weights.__struct_fields__}
    total = sum(shares.values())
    return sum(share * getattr(why, name) for name, share in shares.items()) / total if total else 0.0


def fitness(affect: Affect | None) -> float:
    """How fit for work an affect makes: 1 content and in control, 0 the opposite, 0.5 neutral or unknown."""
    return 0.5 if affect is None else (2 + affect.valence + affect.dominance) / 4


def _skill(task: Submission, profile: Profile, similarity: Similarity) -> tuple[str | None, float]:
    if task.required_skills:
        return task.required_skills[0], 1.0
    text = task_text(task)
    fits = sorted(((similarity(text, skill_text(s)), s.name) for s in profile.skill_list()), key=lambda f: (-f[0], f[1]))
    if not fits or fits[0][0] < SKILL_FIT_MIN:
        return None, 0.0
    return fits[0][1], fits[0][0]


def task_text(task: Submission) -> str:
    """What is said of a task in words."""
    return f"{task.title} {task.description} {' '.join(_words(s) for s in task.required_skills)}"


def skill_text(skill: Skill) -> str:
    return f"{_words(skill.name)} {skill.description}"


def profile_text(profile: Profile) -> str:
    """What is said of an agent in words."""
    return " ".join([_words(profile.role), *profile.confidence_domains, *(skill_text(s) for s in profile.skill_list())])


def _words(name: str) -> str:
    return name.replace("_", " ").replace("-", " ")


def _round(x: float) -> float:
    return round(min(1.0, max(0.0, x)), DIGITS)


def impossible(task: Submission, listed: Mapping[str, Profile]) -> TaskError | None:
    """Why it cannot be done: skills that no agent has, those included that are gone for a moment only; None where each is there."""
    if task.agent is not None and task.agent not in listed:
        return TaskError(code="no_such_agent", message=f"there is no agent {task.agent} that takes tasks")
    missing = [skill for skill, agents in having(task, listed).items() if not agents]
    who = f"agent {task.agent} has not" if task.agent else "no agent has"
    return TaskError(code="no_such_skill", message=f"{who} {', '.join(missing)}") if missing else None


def having(task: Submission, listed: Mapping[str, Profile]) -> dict[str, list[str]]:
    """Who has each required skill and may do the task, by name, in the order in which they are required."""
    able = {a: p for a, p in listed.items() if task.agent in {None, a}}
    return {skill: sorted(a for a, p in able.items() if skill in p.skill_names()) for skill in task.required_skills}
