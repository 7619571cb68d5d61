"""A mesh in virtual time whose agents succeed with hidden probabilities: how well tasks are routed, with and without what is learnt.

All chance comes from one seed, and every policy meets the same tasks, the same loads and the same luck: whether an agent succeeds on a
task is drawn for each pair before anybody chooses. Halfway through, the agents change places: who was good at something is it no more.
"""

import itertools
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, Literal

import msgspec

from agents.relevance import similarity
from agents.settings import AgentSettings
from agents.tasks import matching
from agents.tasks.matching import Candidate, Weights
from agents.tasks.success import Expected, SuccessBook
from schemas.members import Profile
from schemas.tasks import Submission

AGENTS: Final = ("ada", "ben", "cleo", "dan", "eve")
SKILLS: Final = ("build", "repair", "plan")
DOMAINS: Final = ("web", "data", "finance", "law")
EVERY_S: Final = 600.0
"""Virtual time between two tasks."""
START: Final = datetime(2026, 1, 1, tzinfo=UTC)
SPREAD: Final = (0.15, 0.15, 0.15)
"""Standard deviations of what makes agents differ: in all they do, by skill, and by domain within a skill."""
NO_DECAY_S: Final = 1e12
"""A half-life in which nothing fades."""
Loads = Literal["different", "equal"]
"""Whether agents are busy to different degrees, which by itself makes the mesh try one after the other."""

Ability = dict[tuple[str, str, str], float]


class Job(msgspec.Struct, frozen=True):
    """One task to come, with the load of each agent then and the luck each would have."""

    task: Submission
    now: datetime
    load: dict[str, float]
    luck: dict[str, float]
    ability: dict[str, float]


class Unhoped(Expected, frozen=True):
    """What is expected, without hoping for more of whom little is known."""

    @property
    def hoped(self) -> float:
        return self.mean


class Policy(msgspec.Struct, frozen=True):
    """How tasks are routed."""

    weights: Weights
    half_life_s: float
    hopes: bool = True


class Course(msgspec.Struct, frozen=True):
    """How one policy did: for each task the hidden probability of who was chosen and of the best, and whether it succeeded."""

    chosen: list[float]
    best: list[float]
    successes: list[bool]

    def success(self, first: int, last: int) -> float:
        """The share of tasks first … last-1 that succeeded."""
        some = self.successes[first:last]
        return sum(some) / len(some)

    def regret(self, first: int, last: int) -> float:
        """Expected successes lost, per task, against whoever was the best for each."""
        pairs = list(zip(self.best, self.chosen, strict=True))[first:last]
        return sum(best - chosen for best, chosen in pairs) / len(pairs)


def abilities(rng: random.Random) -> Ability:
    """The hidden probabilities: agents differ in general, by skill and by domain."""
    of_agent, of_skill, of_domain = SPREAD
    found: Ability = {}
    for agent in AGENTS:
        general = rng.gauss(0.6, of_agent)
        for skill in SKILLS:
            in_skill = rng.gauss(general, of_skill)
            for domain in DOMAINS:
                found[agent, skill, domain] = min(0.98, max(0.02, rng.gauss(in_skill, of_domain)))
    return found


def changed(before: Ability) -> Ability:
    """Each agent gets what its neighbour had."""
    successor = dict(zip(AGENTS, AGENTS[1:] + AGENTS[:1], strict=True))
    return {(agent, skill, domain): before[successor[agent], skill, domain] for agent, skill, domain in before}


def jobs(seed: int, count: int, loads: Loads) -> Iterator[Job]:
    """The tasks of one history."""
    rng = random.Random(seed)
    first = abilities(rng)
    second = changed(first)
    for n in range(count):
        skill, domain = rng.choice(SKILLS), rng.choice(DOMAINS)
        ability = first if n < count // 2 else second
        yield Job(
            task=Submission(title="Do it", required_skills=[skill], domain=domain),
            now=START + timedelta(seconds=n * EVERY_S),
            load={agent: rng.uniform(0, 0.5) if loads == "different" else 0.0 for agent in AGENTS},
            luck={agent: rng.random() for agent in AGENTS},
            ability={agent: ability[agent, skill, domain] for agent in AGENTS},
        )


def play(history: list[Job], policy: Policy) -> Course:
    """Route every task as the mesh would, and let its outcome be counted."""
    books = {agent: SuccessBook(policy.half_life_s) for agent in AGENTS}
    course = Course([], [], [])
    for job in history:
        choice = matching.choose(job.task, _candidates(job, books, policy), frozenset(), policy.weights, similarity)
        assert choice is not None
        success = job.luck[choice.agent] < job.ability[choice.agent]
        books[choice.agent].count(job.task.required_skills, job.task.domain, job.now, success=success)
        course.chosen.append(job.ability[choice.agent])
        course.best.append(max(job.ability.values()))
        course.successes.append(success)
    return course


def _candidates(job: Job, books: dict[str, SuccessBook], policy: Policy) -> list[Candidate]:
    profile = Profile(skills=list(SKILLS))

    def expected(book: SuccessBook, skill: str, domain: str | None) -> Expected:
        found = book.expected(skill, domain, job.now)
        return found if policy.hopes else Unhoped(found.prior, found.successes, found.failures)

    return [
        Candidate(
            agent=agent,
            profile=msgspec.structs.replace(profile, load=job.load[agent]),
            success=partial(expected, book),
        )
        for agent, book in books.items()
    ]


def policies() -> dict[str, Policy]:
    """What is compared."""
    usual, half_life_s = AgentSettings().weights, AgentSettings().success_half_life_s
    return {
        "nothing is learnt": Policy(msgspec.structs.replace(usual, success=0.0), half_life_s),
        "learnt, nothing fades": Policy(usual, NO_DECAY_S),
        "learnt and fading, nothing is hoped": Policy(usual, half_life_s, hopes=False),
        "as it is: learnt, fading, hoping": Policy(usual, half_life_s),
    }


def compared(seeds: int, count: int, loads: Loads) -> dict[str, list[Course]]:
    """Every policy on every history."""
    histories = [list(jobs(seed, count, loads)) for seed in range(seeds)]
    return {name: [play(h, policy) for h in histories] for name, policy in policies().items()}


def mean(courses: list[Course], measure: str, first: int, last: int) -> float:
    """The mean of a measure over all histories."""
    return sum(getattr(course, measure)(first, last) for course in courses) / len(courses)


def spans(count: int) -> dict[str, tuple[int, int]]:
    """The parts of a history that are told: while it learns, when it has learnt, right after the change, and long after."""
    quarters = [count * n // 4 for n in range(5)]
    names = ("first quarter", "second quarter", "after the change", "last quarter")
    return dict(zip(names, itertools.pairwise(quarters), strict=True))
