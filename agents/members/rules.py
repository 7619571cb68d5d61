"""The law of membership: from what was heard and what is logged to who is there, and what must be logged."""

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


def due(sightings: Sightings, roster: Roster, now: float, listening_since: float) -> list[tuple[str, MembershipChange]]:
    """The changes that are not logged yet. Silence counts only from `listening_since`, when we began to hear."""
    changes = [
        (agent, MembershipChange(status="joined", instance=instance, profile=s.profile))
        for (agent, instance), s in sightings.items()
        if s.profile and status(s.seen, now) == "active" and instance not in _instances(roster, agent)
    ]
    for agent, known in roster.items():
        for instance in sorted(known.instances):
            sighting = sightings.get((agent, instance))
            if sighting and sighting.profile is None:
                changes.append((agent, MembershipChange(status="left", instance=instance)))
            elif status(max(sighting.seen if sighting else 0.0, listening_since), now) == "gone":
                changes.append((agent, MembershipChange(status="lost", instance=instance)))
    return changes


def _instances(roster: Roster, agent: str) -> frozenset[str]:
    return roster[agent].instances if agent in roster else frozenset()


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
    """Every agent that is listed: those present, and those gone for less than `LISTED_S`."""
    found: dict[str, AgentView] = {}
    for agent, living in present(sightings, now).items():
        newest, profile = living[0], profile_of(living) or Profile()
        found[agent] = view(profile, newest.seen, status(newest.seen, now), len(living), profile.load)
    for agent, known in roster.items():
        if agent not in found and now - known.changed < LISTED_S:
            found[agent] = view(known.profile, known.changed, "gone", 0, 0.0)
    return dict(sorted(found.items()))
