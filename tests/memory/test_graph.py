"""The graph as it is kept and shown: what stands around a thing, how far, and what vanishes when it is forgotten."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from bus import subjects
from bus.errors import Refused
from bus.ids import affect_answer_id
from memory import graph
from memory.database import Database
from memory.edges import Edge
from memory.episode_row import EpisodeRow
from memory.graph import erase_edges, graph_around
from schemas.concepts import ConceptFormed
from schemas.consensus import Decision, Proposal, Vote
from schemas.emotion import Affect, Stimulus
from schemas.graph import GraphRequest, GraphView
from schemas.learning import Lesson
from schemas.tasks import AssignedTask, Assignment, Finished, Result, Submission
from tests.memory.logged import START, logged

MakeRow = Callable[..., EpisodeRow]
Remember = Callable[[Sequence[EpisodeRow]], Any]


async def around(database: Database, ident: str, **fields: Any) -> GraphView:
    return await graph_around(database, GraphRequest(id=ident, **fields))


def ids(view: GraphView) -> list[str]:
    return [node.id for node in view.nodes]


def edges(view: GraphView) -> set[tuple[str, str, str]]:
    return {(e.source, e.kind, e.target) for e in view.edges}


def chain(make_row: MakeRow, length: int) -> list[EpisodeRow]:
    """Episodes that each name the one before."""
    return [make_row(n, f"note {n}", action_details={"text": f"note {n}", "episode": f"event-{n - 1}"}) for n in range(1, length + 1)]


def edge_to(target: str, source: str, seq: int) -> Edge:
    return Edge(
        source=source,
        source_kind=None,
        kind="mentions",
        target=target,
        target_kind=None,
        agent_id="nexus",
        stream_seq=seq,
        recorded_at=START,
    )


def a_vote() -> list[EpisodeRow]:
    """A proposal on the evidence of an episode, two votes of which one recalled a lesson, and the decision."""
    return [
        logged(11, subjects.LESSON, Lesson(topic="locks", content="take them late"), agent="aria"),
        logged(12, subjects.PROPOSAL, Proposal(title="Migrate at night", evidence=["event-1"]), proposal="p1", agent="ops"),
        logged(
            13, subjects.VOTE, Vote(choice="approve", evidence=["event-1"], recalled=["event-11", "event-1"]), proposal="p1", agent="aria"
        ),
        logged(14, subjects.VOTE, Vote(choice="approve", recalled=["event-11"]), proposal="p1", agent="ricardo"),
        logged(15, subjects.DECISION, Decision(status="accepted", choice="approve", tally={}, votes=[], decided_at_seq=14), proposal="p1"),
    ]


def a_task() -> list[EpisodeRow]:
    assignment = Assignment(fence=1, lease_s=1, task=AssignedTask(title="Migrate", task_id="t1"))
    return [
        logged(21, subjects.TASK_SUBMITTED, Submission(title="Migrate"), task="t1"),
        logged(22, subjects.TASK_ASSIGNED, assignment, task="t1", agent="nexus"),
        logged(23, subjects.TASK_RESULT, Result(fence=1, output="done", recalled=["event-11"]), task="t1", agent="nexus"),
        logged(24, subjects.TASK_FINISHED, Finished(status="succeeded", agent="nexus"), task="t1"),
    ]


class TestWhatStandsAround:
    async def test_the_nearest_come_first_up_to_the_depth(self, database: Database, make_row: MakeRow, remember: Remember) -> None:
        await remember(chain(make_row, 9))
        view = await around(database, "event-5", depth=2)
        assert [(n.id, n.distance) for n in view.nodes] == [
            ("event-5", 0),
            ("event-6", 1),
            ("event-4", 1),
            ("event-7", 2),
            ("event-3", 2),
        ]
        assert edges(view) == {(f"event-{n}", "mentions", f"event-{n - 1}") for n in range(4, 8)}
        assert not view.truncated

    async def test_a_node_says_what_it_is(self, database: Database, make_row: MakeRow, remember: Remember) -> None:
        await remember([make_row(1, "x" * 1000, agent="aria")])
        (node,) = (await around(database, "event-1")).nodes
        assert (node.kind, node.text, node.agent_id) == ("episode", "x" * graph.TEXT_LEN_MAX, "aria")
        assert node.timestamp == "2026-11-22T10:00:01.000000Z"

    async def test_more_than_the_limit_is_told(self, database: Database, make_row: MakeRow, remember: Remember) -> None:
        await remember([make_row(n, action_details={"episode": "event-1"}) for n in range(1, 12)])
        view = await around(database, "event-1", limit=5)
        assert ids(view) == ["event-1", "event-11", "event-10", "event-9", "event-8"]
        assert view.truncated
        assert not (await around(database, "event-1", limit=11)).truncated

    async def test_a_hub_is_looked_at_until_there_is_no_room(self, database: Database, make_row: MakeRow, remember: Remember) -> None:
        """The newest that name it are not here; what is here stands far behind them."""
        await remember([make_row(n, action_details={"episode": "event-1"}) for n in range(1, 4)])
        absent = [edge_to("event-1", f"absent-{n}", 100 + n) for n in range(graph.LOOKED_UP_MAX)]
        async with database.transaction() as connection:
            columns = [[getattr(edge, column) for edge in absent] for column in Edge.__struct_fields__]
            await database.run(connection, graph.PUT, *columns)
        assert ids(await around(database, "event-1")) == ["event-1", "event-3", "event-2"]

    async def test_nothing_has_that_id(self, database: Database, make_row: MakeRow, remember: Remember) -> None:
        await remember([make_row(1, action_details={"episode": "nowhere"})])
        for ident in ("nowhere", "no\0where", "never heard of it"):
            with pytest.raises(Refused) as e:
                await around(database, ident)
            assert e.value.problem().status == 404

    async def test_what_is_not_here_yet_is_shown_when_it_is(self, database: Database, make_row: MakeRow, remember: Remember) -> None:
        await remember([make_row(1, action_details={"episode": "event-2"})])
        assert ids(await around(database, "event-1")) == ["event-1"]
        await remember([make_row(2)])
        assert ids(await around(database, "event-1")) == ["event-1", "event-2"]

    async def test_a_concept_stands_with_its_sources_and_what_it_contradicts(
        self, database: Database, make_row: MakeRow, remember: Remember
    ) -> None:
        await remember([make_row(1), make_row(2)])
        formed = ConceptFormed(concept="locks", content="…", source_episodes=["event-1"], contradicts=["event-2"])
        ident = "0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000"
        await remember([logged(3, subjects.CONCEPT, formed, concept=ident)])
        view = await around(database, ident, depth=1)
        assert edges(view) == {(ident, "derived_from", "event-1"), (ident, "contradicts", "event-2")}
        assert [(n.kind, n.text) for n in view.nodes if n.id == ident] == [("concept", "locks: …")]

    async def test_a_stimulus_leads_to_what_it_made_the_agent_feel(self, database: Database, remember: Remember) -> None:
        answer = affect_answer_id("aria", "event-1", 1)
        felt = Affect(valence=0.5, arousal=0.1, dominance=0.0, cause="praise")
        await remember(
            [
                logged(1, subjects.STIMULUS, Stimulus(cause="well done", event="praise"), agent="aria"),
                logged(2, subjects.AFFECT, felt, event_id=answer, agent="aria"),
            ]
        )
        assert edges(await around(database, answer)) == {("event-1", "caused", answer)}


class TestIds:
    """Over REST a proposal or task has the id of the entry that opened it."""

    async def test_a_proposal_with_the_id_of_its_entry_is_a_proposal(self, database: Database, remember: Remember) -> None:
        await remember([logged(1, subjects.PROPOSAL, Proposal(title="Migrate"), event_id="p1", proposal="p1", agent="ops")])
        view = await around(database, "p1")
        assert [(n.kind, n.text, n.agent_id) for n in view.nodes] == [("proposal", "Migrate", "ops")]
        assert view.edges == []

    async def test_a_task_whose_submission_is_not_held_is_named(self, database: Database, remember: Remember) -> None:
        await remember(a_task()[1:])
        assert next((n.kind, n.text) for n in (await around(database, "t1")).nodes) == ("task", "")


class TestReceipts:
    async def test_from_the_proposal_to_what_entered_it(self, database: Database, make_row: MakeRow, remember: Remember) -> None:
        await remember([make_row(1), *a_vote()])
        view = await around(database, "p1")
        assert {n.kind for n in view.nodes} == {"proposal", "episode", "lesson", "agent"}
        assert (view.nodes[0].text, view.nodes[0].agent_id) == ("Migrate at night", "ops")
        informed = {(e.source, e.agent_id) for e in view.edges if e.kind == "informed"}
        assert informed == {("event-1", "aria"), ("event-11", "aria"), ("event-11", "ricardo")}
        assert {("aria", "voted_on", "p1"), ("event-1", "caused", "p1"), ("p1", "caused", "event-15")} <= edges(view)

    async def test_from_the_memory_to_what_it_entered(self, database: Database, make_row: MakeRow, remember: Remember) -> None:
        await remember([make_row(1), *a_vote(), *a_task()])
        view = await around(database, "event-11", depth=1)
        assert [(n.id, n.kind) for n in view.nodes] == [("event-11", "lesson"), ("t1", "task"), ("p1", "proposal")]
        assert [(e.target, e.agent_id) for e in view.edges] == [("p1", "aria"), ("p1", "ricardo"), ("t1", "nexus")]

    async def test_what_a_vote_recalled_is_kept_but_not_searched_as_words(self, database: Database, remember: Remember) -> None:
        rows = a_vote()
        assert "event-11" in rows[2].action_details
        assert "event-11" not in rows[2].content


class TestAgents:
    async def test_an_agent_is_shown_and_not_passed_through(self, database: Database, make_row: MakeRow, remember: Remember) -> None:
        await remember([make_row(1), *a_vote()])
        await remember([logged(31, subjects.VOTE, Vote(choice="approve"), proposal="p2", agent="aria")])
        assert "aria" in ids(await around(database, "p1", depth=4))
        assert "p2" not in ids(await around(database, "p1", depth=4))
        assert {"p1", "p2"} <= set(ids(await around(database, "aria", depth=1)))

    async def test_one_that_only_remembered_something_is_one(self, database: Database, make_row: MakeRow, remember: Remember) -> None:
        await remember([make_row(1, agent="ops")])
        (node,) = (await around(database, "ops")).nodes
        assert (node.kind, node.text, node.timestamp) == ("agent", "", None)


class TestForgetting:
    async def test_what_is_forgotten_has_no_edges(self, database: Database, make_row: MakeRow, remember: Remember) -> None:
        await remember(chain(make_row, 3))
        async with database.transaction() as connection:
            await erase_edges(database, connection, ["event-2"])
        assert await all_edges(database) == {("event-1", "mentions", "event-0", 1)}

    async def test_what_a_forgotten_entry_drew_goes_with_it_and_what_others_drew_stays(
        self, database: Database, make_row: MakeRow, remember: Remember
    ) -> None:
        await remember([make_row(1), *a_vote()])
        async with database.transaction() as connection:
            await erase_edges(database, connection, ["event-13"], [13])
        assert {(s, a) for s, a in await informers(database)} == {("event-11", "ricardo")}


class TestProjection:
    async def test_taking_everything_again_changes_no_row(self, database: Database, make_row: MakeRow, remember: Remember) -> None:
        rows = [*chain(make_row, 3), *a_vote(), *a_task()]
        await remember(rows)
        before = await all_edges(database)
        assert before
        await remember(rows)
        async with database.transaction() as connection:
            await graph.EdgeProjection(database).take(connection, rows)
        assert await all_edges(database) == before

    async def test_batches_of_any_size_give_the_same_rows(self, database: Database, make_row: MakeRow, remember: Remember) -> None:
        rows = [*chain(make_row, 3), *a_vote(), *a_task()]
        await remember(rows)
        whole = await all_edges(database)
        async with database.transaction() as connection:
            await connection.execute("TRUNCATE memory_system.edges")
            for row in rows:
                await graph.EdgeProjection(database).take(connection, [row])
        assert await all_edges(database) == whole


async def all_edges(database: Database) -> set[tuple[str, str, str, int]]:
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT source, kind, target, stream_seq FROM memory_system.edges")
    return {tuple(r) for r in rows}


async def informers(database: Database) -> list[tuple[str, str]]:
    async with database.connection() as connection:
        rows = await connection.fetch("SELECT source, agent_id FROM memory_system.edges WHERE kind = 'informed'")
    return [tuple(r) for r in rows]
