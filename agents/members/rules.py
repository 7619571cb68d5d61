"""The law of membership: from what was heard and what is logged to who is there, and what must be logged."""

from typing import Any

import msgspec
from msgspec.structs import replace

from schemas.entry import Entry
from schemas.members import AgentView, MembershipChange, MemberStatus, Profile
from schemas.words import epoch, rfc3339

SUSPECT_S = 2.0
"""Silence after which an agent is suspect."""
GONE_S = 3.0
"""Silence after which an agent is gone: the time to live of its key in the bucket."""
LISTED_S = 60.0
"""How long a gone agent is still listed."""
CONTEST_S = GONE_S + 1.0
"""How long somebody must bear the name of another before it is told: who was killed and started again is not beside itself."""
NAME_TAKEN = "name_taken"
"""The code of that refusal."""
REANNOUNCED_S = 5.0
"""Least time between two entries of one agent that says something else of itself."""


class Sighting(msgspec.Struct, frozen=True):
    """An instance as it was last heard; `seen` in seconds since 1970; `profile` None where it said goodbye."""

    profile: Profile | None
    seen: float


class Known(msgspec.Struct, frozen=True):
    """What the log says of an agent: its instances now, its last profile, and the last entry about it."""

    instances: frozenset[str]
    profile: Profile
    seq: int
    changed: float


Sightings = dict[tuple[str, str], Sighting]
Roster = dict[str, Known]


def apply(known: Known | None, entry: Entry) -> Known:
    """Fold a change of membership."""
    change: MembershipChange = entry.body
    before = known or Known(frozenset(), Profile(), 0, 0.0)
    instances = before.instances | {change.instance} if change.status == "joined" else before.instances - {change.instance}
    return Known(instances, change.profile or before.profile, entry.seq, entry.time.timestamp())


def status(seen: float, now: float) -> MemberStatus:
    """How an instance heard at `seen` stands at `now`."""
    silence = now - seen
    return "active" if silence < SUSPECT_S else "suspect" if silence < GONE_S else "gone"


def same_agent(one: Profile, other: Profile) -> bool:
    """Whether two profiles can be those of instances of one agent: the same role and skills, schemas included."""
    return one.role == other.role and _skills(one) == _skills(other)


def _skills(profile: Profile) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    return {skill.name: (skill.input_schema, skill.output_schema) for skill in profile.skill_list()}


def taken(roster: Roster, agent: str, instance: str, profile: Profile) -> str | None:
    """Why `instance` cannot be one of `agent`: others that came first are something else. None where it can."""
    known = roster.get(agent)
    if known is None or not known.instances - {instance} or same_agent(profile, known.profile):
        return None
    others = ", ".join(sorted(known.instances - {instance}))
    return f"{NAME_TAKEN}: {agent}.{instance} announces another role or other skills than {others}, which came first"


def due(sightings: Sightings, roster: Roster, now: float, listening_since: float) -> list[tuple[str, MembershipChange]]:
    """The changes that are not logged yet. Silence counts only from `listening_since`, when we began to hear."""
    changes = [
        (agent, MembershipChange(status="joined", instance=instance, profile=s.profile))
        for (agent, instance), s in sightings.items()
        if s.profile and status(s.seen, now) == "active" and _is_news(roster, agent, instance, s.profile, now)
    ]
    for agent, known in roster.items():
        for instance in sorted(known.instances):
            sighting = sightings.get((agent, instance))
            if sighting and sighting.profile is None:
                changes.append((agent, MembershipChange(status="left", instance=instance)))
            elif status(max(sighting.seen if sighting else 0.0, listening_since), now) == "gone":
                changes.append((agent, MembershipChange(status="lost", instance=instance)))
    return changes


def _is_news(roster: Roster, agent: str, instance: str, profile: Profile, now: float) -> bool:
    """Whether the log does not know this instance, or an only instance as something else."""
    known = roster.get(agent)
    if known is None or instance not in known.instances:
        return taken(roster, agent, instance, profile) is None
    changed = profile.takes != known.profile.takes or not same_agent(profile, known.profile)
    return changed and known.instances == {instance} and now - known.changed >= REANNOUNCED_S


def present(sightings: Sightings, now: float) -> dict[str, list[Sighting]]:
    """The agents that are active or suspect, each with its living instances, the last heard first."""
    found: dict[str, list[Sighting]] = {}
    for (agent, _), s in sorted(sightings.items(), key=lambda item: -item[1].seen):
        if s.profile and status(s.seen, now) != "gone":
            found.setdefault(agent, []).append(s)
    return dict(sorted(found.items()))


def profile_of(living: list[Sighting]) -> Profile | None:
    """The profile of an agent that is there: that of the instance heard last, with the mean load of all. None without any."""
    known = [s.profile for s in living if s.profile]
    return replace(known[0], load=sum(p.load for p in known) / len(known)) if known else None


def view(profile: Profile, seen: float, state: MemberStatus, instances: int, load: float) -> AgentView:
    """An agent as it is shown."""
    return AgentView(
        role=profile.role,
        status=state,
        specialization=list(profile.confidence_domains),
        skills=profile.skill_names(),
        communication_patterns=list(profile.communication_patterns),
        last_seen=rfc3339(epoch(seen)),
        instances=instances,
        neural_mesh_version=profile.neural_mesh_version,
        takes=list(profile.takes),
        load=load,
    )


def views(sightings: Sightings, roster: Roster, now: float) -> dict[str, AgentView]:
    """Every agent that is listed: those present, those gone for less than `LISTED_S`, and those whose silence is not logged yet."""
    found: dict[str, AgentView] = {}
    for agent, living in present(sightings, now).items():
        newest, profile = living[0], profile_of(living) or Profile()
        found[agent] = view(profile, newest.seen, status(newest.seen, now), len(living), profile.load)
    for agent, known in roster.items():
        if agent not in found and (known.instances or now - known.changed < LISTED_S):
            seen = max(known.changed, *(s.seen for (heard, _), s in sightings.items() if heard == agent), 0.0)
            found[agent] = view(known.profile, seen, "gone", 0, 0.0)
    return dict(sorted(found.items()))
