"""The law of membership."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agents.members import rules
from schemas.entry import Entry
from schemas.members import MembershipChange, Profile, Skill

T0 = 1_000_000.0
PROFILE = Profile(role="r", skills=["s"])


def logged(seq: int, status: Any, instance: str = "1", agent: str = "ops") -> Entry:
    return Entry(
        seq=seq,
        time=datetime.fromtimestamp(T0, UTC) + timedelta(seconds=seq),
        event_id=str(seq),
        subject="-",
        name="member",
        tokens={"agent": agent},
        body=MembershipChange(status=status, instance=instance, profile=PROFILE if status == "joined" else None),
    )


def roster(*entries: Entry) -> rules.Roster:
    found: rules.Roster = {}
    for entry in entries:
        found[entry.agent] = rules.apply(found.get(entry.agent), entry)
    return found


def seen(at: float, instance: str = "1", profile: Profile | None = PROFILE) -> rules.Sightings:
    return {("ops", instance): rules.Sighting(profile, at)}


def due(sightings: rules.Sightings, known: rules.Roster, now: float, since: float = T0) -> list[tuple[str, str]]:
    return [(agent, change.status) for agent, change in rules.due(sightings, known, now, since)]


class TestStatus:
    def test_two_seconds_of_silence_make_suspect_and_three_gone(self) -> None:
        assert [rules.status(T0, T0 + s) for s in (0, 1.9, 2, 2.9, 3, 100)] == [
            "active", "active", "suspect", "suspect", "gone", "gone",
        ]  # fmt: skip


class TestWhatMustBeLogged:
    def test_a_new_instance_joins(self) -> None:
        assert due(seen(T0), {}, T0 + 1) == [("ops", "joined")]

    def test_a_joined_instance_is_not_logged_again(self) -> None:
        assert due(seen(T0), roster(logged(1, "joined")), T0 + 1) == []

    def test_a_goodbye_is_left(self) -> None:
        assert due(seen(T0, profile=None), roster(logged(1, "joined")), T0) == [("ops", "left")]

    def test_silence_is_lost(self) -> None:
        assert due(seen(T0), roster(logged(1, "joined")), T0 + 3) == [("ops", "lost")]

    def test_silence_counts_only_since_we_listen(self) -> None:
        assert due({}, roster(logged(1, "joined")), T0 + 100, since=T0 + 99) == []
        assert due({}, roster(logged(1, "joined")), T0 + 103, since=T0 + 99) == [("ops", "lost")]

    def test_a_second_instance_joins_beside_the_first(self) -> None:
        both = seen(T0) | seen(T0, "2")
        assert due(both, roster(logged(1, "joined")), T0) == [("ops", "joined")]

    def test_an_instance_that_fell_silent_long_ago_does_not_join(self) -> None:
        assert due(seen(T0), {}, T0 + 10) == []


class TestViews:
    def test_a_gone_agent_is_listed_for_a_minute(self) -> None:
        known = roster(logged(1, "joined"), logged(2, "lost"))
        assert rules.views({}, known, T0 + 30)["ops"].status == "gone"
        assert rules.views({}, known, T0 + 63) == {}

    def test_an_agent_that_fell_silent_after_an_hour_is_listed_before_that_is_logged(self) -> None:
        gone = rules.views(seen(T0 + 3_600), roster(logged(1, "joined")), T0 + 3_604)["ops"]
        assert (gone.status, gone.last_seen) == ("gone", rules.rfc3339(rules.epoch(T0 + 3_600)))
        assert rules.views({}, roster(logged(1, "joined")), T0 + 3_604)["ops"].status == "gone"

    def test_instances_are_counted_and_their_load_is_averaged(self) -> None:
        busy = seen(T0, "2", Profile(role="r", load=1.0))
        view = rules.views(seen(T0) | busy, {}, T0)["ops"]
        assert (view.instances, view.load, view.status) == (2, 0.5, "active")


def other(**fields: Any) -> Profile:
    return Profile(**{"role": "r", "skills": ["s"], **fields})


class TestOneName:
    def test_instances_of_one_agent_may_differ_in_load_and_words(self) -> None:
        known = roster(logged(1, "joined"))
        described = other(skills=[Skill(name="s", description="in other words")], load=0.9, confidence_domains=["d"])
        assert rules.taken(known, "ops", "2", described) is None

    @pytest.mark.parametrize(
        "profile", [other(role="x"), other(skills=["s", "t"]), other(skills=[Skill(name="s", output_schema={"type": "null"})])]
    )
    def test_another_role_or_other_skills_are_another_agent(self, profile: Profile) -> None:
        known = roster(logged(1, "joined"))
        assert (rules.taken(known, "ops", "2", profile) or "").startswith("name_taken: ops.2")
        assert due(seen(T0, "2", profile), known, T0, since=T0) == []

    def test_once_those_that_came_first_are_gone_the_name_is_free(self) -> None:
        known = roster(logged(1, "joined"), logged(2, "lost"))
        assert rules.taken(known, "ops", "2", other(role="x")) is None
        assert due(seen(T0, "2", other(role="x")), known, T0) == [("ops", "joined")]

    def test_an_only_instance_that_becomes_something_else_is_logged_again(self) -> None:
        known = roster(logged(1, "joined"))
        assert due(seen(T0 + 10, profile=other(skills=["t"])), known, T0 + 10) == [("ops", "joined")]
        assert due(seen(T0 + 10, profile=other(takes=["tasks"])), known, T0 + 10) == [("ops", "joined")]

    def test_but_not_more_often_than_every_five_seconds(self) -> None:
        known = roster(logged(1, "joined"))
        assert due(seen(T0 + 5, profile=other(skills=["t"])), known, T0 + 5) == []

    def test_one_of_several_instances_cannot_become_something_else(self) -> None:
        known = roster(logged(1, "joined"), logged(2, "joined", "2"))
        assert rules.taken(known, "ops", "2", other(skills=["t"])) is not None
