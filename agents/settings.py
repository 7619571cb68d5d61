"""Settings of an agent. All agents have the same; who they are stands in their profile."""

from typing import Annotated

import msgspec
from msgspec import Meta

from agents.tasks.matching import Weights
from schemas.words import Token

Weight = Annotated[float, Meta(ge=0, le=1)]


class AgentSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How an agent works: its limits, its leases, and how tasks are scored."""

    profiles_dir: str = ""
    """Folder with further profiles (`<name>.json`), each one more agent. Empty: the three that come with the project."""
    instances: dict[Token, Annotated[int, Meta(ge=0, le=100)]] = {}
    """How many instances of an agent `cerebro up` starts, as in `{"nexus": 2}`; 1 where nothing is said. They share its tasks."""
    task_concurrency: Annotated[int, Meta(ge=1, le=100)] = 4
    """Most tasks one instance works on at a time, before the mesh's affect lowers it."""
    lease_s: Annotated[float, Meta(gt=0, le=3_600)] = 10.0
    """How long an assignment holds without a sign of life."""
    progress_s: Annotated[float, Meta(gt=0, le=600)] = 2.0
    """How often a worker shows that it lives."""
    steal_after_s: Annotated[float, Meta(gt=0, le=3_600)] = 5.0
    """How long an assigned task may wait without being begun before an idle agent takes it. From `lease_s` on: never."""
    skill_timeout_s: Annotated[float, Meta(gt=0, le=86_400)] = 600.0
    """Longest time one skill may work on one task; one that hangs fails as `timed_out`, and another agent may try.
    Skills that wait for others (`final_approval`) have the time of their task."""
    retry_first_s: Annotated[float, Meta(ge=0, le=600)] = 0.5
    """Pause before a task that failed is tried again; it doubles with each failure."""
    retry_max_s: Annotated[float, Meta(ge=0, le=3_600)] = 30.0
    """Longest such pause."""
    success_half_life_s: Annotated[float, Meta(ge=1)] = 7 * 86_400.0
    """Time in which an outcome loses half of its weight in the success rates. 7 days."""
    weight_skill: Weight = 0.35
    """Share of the skill match in the score of an assignment; the five are normalised to a sum of 1."""
    weight_similarity: Weight = 0.2
    """Share of the similarity between task and profile."""
    weight_success: Weight = 0.2
    """Share of the success rate on such tasks."""
    weight_load: Weight = 0.15
    """Share of the free capacity."""
    weight_affect: Weight = 0.1
    """Share of the agent's affect."""
    lessons_per_minute_max: Annotated[int, Meta(ge=1)] = 600
    """Most lessons of one agent that are taken within a minute of the log; more become dead letters. All agents need the same."""
    ended_kept_max: Annotated[int, Meta(ge=100)] = 10_000
    """Ended proposals, and ended tasks, kept in the fold; older ones are read from the log when asked for."""
    judge_timeout_s: Annotated[float, Meta(gt=0, le=60)] = 3.0
    """Longest time to gather what a vote rests on."""

    @property
    def weights(self) -> Weights:
        """The shares of the five parts of a score."""
        return Weights(**{name: getattr(self, f"weight_{name}") for name in Weights.__struct_fields__})
