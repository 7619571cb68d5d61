"""Settings of an agent. All agents have the same; who they are stands in their profile."""

from typing import Annotated

import msgspec
from msgspec import Meta

Weight = Annotated[float, Meta(ge=0, le=1)]


class AgentSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How an agent works: its limits, its leases, and how tasks are scored."""

    profiles_dir: str = ""
    """Folder with further profiles (`<name>.json`), each one more agent. Empty: the three that come with the project."""
    task_concurrency: Annotated[int, Meta(ge=1, le=100)] = 4
    """Most tasks one instance works on at a time, before the mesh's affect lowers it."""
    lease_s: Annotated[float, Meta(gt=0, le=3_600)] = 10.0
    """How long an assignment holds without a sign of life."""
    progress_s: Annotated[float, Meta(gt=0, le=600)] = 2.0
    """How often a worker shows that it lives."""
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
