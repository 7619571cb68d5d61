"""What the state of things calls for."""

from typing import Any

from agents.skills.infrastructure_management import ActorState, Advice, Consumer, Infrastructure, Part, Stream, advise

WELL = Part(status="healthy")


def advice(**found: Any) -> list[Advice]:
    known: dict[str, Any] = {"streams": [], "consumers": [], "postgres": WELL, "redis": WELL, "actors": {}}
    return advise(Infrastructure(**{**known, **found}), "DEAD")


def consumer(**fields: Any) -> Consumer:
    known: dict[str, Any] = {
        "stream": "MESH", "name": "memory", "durable": True, "pending": 0, "unsettled": 0, "unsettled_max": 100, "redelivered": 0,
    }  # fmt: skip
    return Consumer(**{**known, **fields})


class TestAdvice:
    def test_where_all_is_well_there_is_none(self) -> None:
        assert (
            advice(streams=[Stream(name="MESH", messages=9)], consumers=[consumer()], actors={"nexus": ActorState(status="active")}) == []
        )

    def test_a_consumer_far_behind_is_told(self) -> None:
        [told] = advice(consumers=[consumer(pending=5_000)])
        assert (told.about, told.finding) == ("consumer memory of MESH", "5000 entries behind")

    def test_a_reader_that_keeps_its_own_place_is_not_behind(self) -> None:
        assert advice(consumers=[consumer(pending=5_000, durable=False)]) == []

    def test_a_stuck_consumer_is_urgent(self) -> None:
        assert advice(consumers=[consumer(unsettled=95)])[0].urgency == "now"

    def test_dead_letters_are_told(self) -> None:
        [told] = advice(streams=[Stream(name="DEAD", messages=3)])
        assert "cerebro dead list" in told.action

    def test_a_stream_near_its_limit_is_told(self) -> None:
        [told] = advice(streams=[Stream(name="MESH", bytes=85, bytes_max=100)])
        assert told.finding == "85% of its 100 bytes are used"

    def test_a_missing_stream_is_urgent(self) -> None:
        assert advice(streams=[Stream(name="MESH", error="stream not found")])[0].urgency == "now"

    def test_redis_away_is_less_urgent_than_postgres_away(self) -> None:
        down = Part(status="unhealthy", detail="refused")
        assert [(a.about, a.urgency) for a in advice(redis=down, postgres=down)] == [("postgres", "now"), ("redis", "soon")]

    def test_an_actor_that_is_missing_or_gone_is_told_with_what_to_do(self) -> None:
        told = advice(actors={"aria": ActorState(status="missing"), "nexus": ActorState(status="gone", last_seen="10:00")})
        assert [a.about for a in told] == ["actor aria", "actor nexus"]
        assert "cerebro run aria" in told[0].action
        assert "last seen 10:00" in told[1].finding

    def test_many_episodes_without_vector_are_noted(self) -> None:
        assert advice(postgres=Part(status="healthy", facts={"unembedded": 2_000}))[0].urgency == "note"
