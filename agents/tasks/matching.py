"""Who gets a task, and why, in numbers. Pure: similarity, affect and what the log says of the agents are arguments."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from schemas.emotion import Affect
from schemas.members import Profile, Skill
from schemas.tasks import Score, Submission, TaskError, Why

SKILL_FIT_MIN = 0.05
"""Least similarity at which a skill that nobody required is taken to fit a task."""
SCORES_LEN_MAX = 20
"""Most scores that one assignment carries."""
DIGITS = 4
"""Decimal places of a score and of its parts."""

Similarity = Callable[[str, str], float]


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """The share of each part in the score; they need not sum to 1."""

    skill: float
    similarity: float
    success: float
    load: float
    affect: float


class Tally(msgspec.Struct, frozen=True):
    """How an agent did on tasks of one skill."""

    successes: int = 0
    failures: int = 0

    @property
    def rate(self) -> float:
        """The mean of Beta(1 + successes, 1 + failures): 0.5 for who has never tried."""
        return (1 + self.successes) / (2 + self.successes + self.failures)

    def counted(self, *, success: bool) -> "Tally":
        return Tally(self.successes + success, self.failures + (not success))


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """An agent that is there and takes tasks. `open_tasks` of at most `capacity` are with it; `tallies` by skill."""

    agent: str
    profile: Profile
    open_tasks: int = 0
    capacity: int = 1
    affect: Affect | None = None
    tallies: Mapping[str, Tally] = {}

    @property
    def has_room(self) -> bool:
        return self.open_tasks < self.capacity


class Choice(msgspec.Struct, frozen=True):
    """Who gets it, with which skill, and how all that could have had it scored."""

    agent: str
    skill: str | None
    scores: list[Score]


def choose(
    task: Submission, candidates: Sequence[Candidate], tried: frozenset[str], weights: Weights, similarity: Similarity
) -> Choice | None:
    """The best of those with all required skills and with room, or None. Who has tried it before comes last."""
    judged = [(c, *judge(task, c, weights, similarity)) for c in candidates if eligible(task, c)]
    if not judged:
        return None
    judged.sort(key=lambda j: (-j[2].score, j[0].agent))
    best, skill, _ = min(judged, key=lambda j: j[0].agent in tried)
    return Choice(best.agent, skill, [score for _, _, score in judged][:SCORES_LEN_MAX])


def eligible(task: Submission, candidate: Candidate) -> bool:
    """Whether this agent may have the task now."""
    return (
        candidate.has_room and task.agent in {None, candidate.agent} and set(task.required_skills) <= set(candidate.profile.skill_names())
    )


def judge(task: Submission, c: Candidate, weights: Weights, similarity: Similarity) -> tuple[str | None, Score]:
    """The skill this agent would do the task with, and its score."""
    skill, match = _skill(task, c.profile, similarity)
    why = Why(
        skill=_round(match),
        similarity=_round(similarity(task_text(task), profile_text(c.profile))),
        success=_round(c.tallies.get(skill or "", Tally()).rate),
        load=_round(1 - max(c.profile.load, c.open_tasks / c.capacity)),
        affect=_round(fitness(c.affect)),
    )
    return skill, Score(agent=c.agent, score=_round(score(why, weights)), why=why)


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
    """Why no agent can do it, those included that are gone for a moment only; None if one could, if it were there."""
    if task.agent is not None and task.agent not in listed:
        return TaskError(code="no_such_agent", message=f"there is no agent {task.agent} that takes tasks")
    able = listed if task.agent is None else {task.agent: listed[task.agent]}
    having = {skill: sorted(a for a, p in able.items() if skill in p.skill_names()) for skill in task.required_skills}
    missing = [skill for skill, agents in having.items() if not agents]
    if missing:
        who = f"agent {task.agent} has not" if task.agent else "no agent has"
        return TaskError(code="no_such_skill", message=f"{who} {', '.join(missing)}")
    if having and not set.intersection(*(set(agents) for agents in having.values())):
        shares = "; ".join(f"{skill}: {', '.join(agents)}" for skill, agents in having.items())
        return TaskError(code="no_single_agent", message=f"no one agent has all required skills ({shares}); make them subtasks")
    return None
