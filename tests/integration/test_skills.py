"""Skills that ask memory, on a real server, with a memory whose answers the test decides; and aria's, by REST on the whole mesh."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio

from agents.recall import Recall
from agents.skills import SKILLS
from agents.skills.data_consolidation import SPARE_S, Consolidated, Wanted
from agents.skills.episodes import gather
from agents.skills.final_approval import Approving
from agents.skills.skill import SkillContext, SkillError
from bus import streams, subjects
from bus.connection import Bus
from bus.errors import CerebroError, Unavailable, conflict, not_found
from bus.log import entries
from bus.service import Service
from bus.settings import BusSettings
from schemas.concepts import ConsolidateRequest, ConsolidationReport
from schemas.consensus import ProposalView
from schemas.entry import Entry
from schemas.members import Ask
from schemas.memory import EpisodePage, RecentFilter
from tests.agents.skills.hits import episode
from tests.integration.rest import BAD, GOOD, client, get, post

Answer = Callable[[Any], Awaitable[Any]]


class Place:
    """A bus with an agent's skills on it, and memories that answer as they are told to."""

    def __init__(self, bus: Bus, stack: AsyncExitStack) -> None:
        self.bus = bus
        self._stack = stack
        self.left_s = 60.0
        self.told: list[str] = []

    async def answer(self, row: subjects.Subject, answer: Answer) -> None:
        service = Service(self.bus, "memory", "a memory of the test's")
        service.answer(row, answer)
        await service.start()
        self._stack.push_async_callback(service.stop)

    @property
    def context(self) -> SkillContext:
        return SkillContext(
            agent="aria",
            task_id="t1",
            bus=self.bus,
            recall=Recall(self.bus),
            lessons=lambda *_: [],
            builtin=frozenset(),
            now=datetime.now(UTC),
            left_s=lambda: self.left_s,
            tell=self._tell,
            checkpoint=self._checkpoint,
        )

    async def _checkpoint(self, packet: dict[str, Any]) -> None:
        raise AssertionError(f"none of these skills leaves a packet: {packet}")

    async def _tell(self, message: str) -> None:
        self.told.append(message)

    async def consolidate(self, **wanted: Any) -> Consolidated:
        done: Consolidated = await SKILLS["data_consolidation"].run(self.context, Wanted(**wanted))
        return done


@pytest_asyncio.fixture
async def place(nats_url: str, prefix: str) -> AsyncIterator[Place]:
    settings = BusSettings(nats_url=nats_url, prefix=prefix)
    await streams.declare(settings)
    async with AsyncExitStack() as stack:
        bus = await Bus.connect(settings, "test")
        stack.push_async_callback(bus.close)
        yield Place(bus, stack)


class Runs:
    """A consolidation that takes so many runs; each examines a hundred episodes and forms a concept."""

    def __init__(self, runs: int) -> None:
        self.runs = runs
        self.asked: list[ConsolidateRequest] = []

    async def __call__(self, asked: ConsolidateRequest) -> ConsolidationReport:
        self.asked.append(asked)
        n = len(self.asked)
        return ConsolidationReport(
            run=f"r{n}", examined=100, formed=1, joined=0, contradictions=0, concepts=[f"c{n}"], complete=n >= self.runs, took_ms=1.0
        )


class TestConsolidation:
    async def test_it_asks_until_nothing_is_left_and_tells_how_far_it_is(self, place: Place) -> None:
        runs = Runs(3)
        await place.answer(subjects.MEMORY_CONSOLIDATE, runs)
        done = await place.consolidate(agent_id="nexus")
        assert (done.runs, done.examined, done.concepts, done.complete, done.ended) == (
            ["r1", "r2", "r3"], 300, ["c1", "c2", "c3"], True, "complete",
        )  # fmt: skip
        assert {asked.agent_id for asked in runs.asked} == {"nexus"}
        assert place.told[-1] == "3 runs: 300 episodes examined"

    async def test_it_ends_before_the_time_of_its_task_does(self, place: Place) -> None:
        async def run(asked: ConsolidateRequest) -> ConsolidationReport:
            place.left_s -= 20.0
            return await runs(asked)

        runs = Runs(100)
        await place.answer(subjects.MEMORY_CONSOLIDATE, run)
        done = await place.consolidate()
        assert (len(done.runs), done.complete, done.ended) == (3, False, "time")

    @pytest.mark.parametrize("busy", [conflict("a run is under way"), Unavailable("a run is under way")])
    async def test_another_run_under_way_is_waited_for(self, place: Place, busy: CerebroError) -> None:
        async def run(asked: ConsolidateRequest) -> ConsolidationReport:
            report = await runs(asked)
            if len(runs.asked) == 1:
                raise busy
            return report

        runs = Runs(2)
        await place.answer(subjects.MEMORY_CONSOLIDATE, run)
        assert (await place.consolidate()).runs == ["r2"]

    async def test_where_it_is_under_way_until_the_time_is_over_the_task_fails_and_says_so(self, place: Place) -> None:
        async def run(_: ConsolidateRequest) -> ConsolidationReport:
            place.left_s -= 40.0
            raise Unavailable("a run is under way")

        await place.answer(subjects.MEMORY_CONSOLIDATE, run)
        with pytest.raises(SkillError, match="a run is under way") as e:
            await place.consolidate()
        assert (e.value.code, e.value.retryable) == ("consolidation_late", True)

    async def test_without_memory_it_asks_until_the_time_is_over_then_fails_and_may_be_tried_again(self, place: Place) -> None:
        place.left_s = SPARE_S + 0.1
        asking = asyncio.create_task(place.consolidate(), name="consolidate")
        await asyncio.sleep(0)
        place.left_s = 0.0
        with pytest.raises(SkillError, match="nobody answers") as e:
            await asking
        assert (e.value.code, e.value.retryable) == ("consolidation_late", True)

    async def test_what_was_done_before_memory_went_away_is_told(self, place: Place) -> None:
        async def run(asked: ConsolidateRequest) -> ConsolidationReport:
            report = await runs(asked)
            if len(runs.asked) == 3:
                raise RuntimeError
            return report

        runs = Runs(9)
        await place.answer(subjects.MEMORY_CONSOLIDATE, run)
        done = await place.consolidate()
        assert (done.examined, done.complete, done.ended) == (200, False, "memory")


class TestGathering:
    async def test_pages_that_are_too_large_for_a_message_are_asked_for_in_parts(self, place: Place) -> None:
        asked_for: list[int] = []
        held = [episode(f"e{n}", "x" * 100_000) for n in range(40)]

        async def recent(asked: RecentFilter) -> EpisodePage:
            asked_for.append(asked.limit)
            first = int(asked.before or 0)
            after = first + asked.limit
            return EpisodePage(episodes=held[first:after], next_before=str(after) if after < len(held) else None)

        await place.answer(subjects.MEMORY_RECENT, recent)
        found, whole = await gather(place.context, RecentFilter(), 1_000)
        assert ([e.episode_id for e in found], whole) == ([e.episode_id for e in held], True)
        assert asked_for[:5] == [200, 100, 50, 25, 12]
        assert len((await gather(place.context, RecentFilter(), 7))[0]) == 7

    @pytest.mark.parametrize(("skill", "given"), [("pattern_recognition", {}), ("memory_management", {})])
    async def test_without_memory_the_skill_fails_and_may_be_tried_again(self, place: Place, skill: str, given: dict[str, Any]) -> None:
        with pytest.raises(SkillError) as e:
            await SKILLS[skill].run(place.context, msgspec.convert(given, SKILLS[skill].input))
        assert (e.value.code, e.value.retryable) == ("memory_unavailable", True)


@pytest_asyncio.fixture
async def http(mesh: dict[str, Any]) -> AsyncIterator[httpx.AsyncClient]:
    async with client(mesh["http"]) as http:
        yield http


@pytest.fixture
def word() -> str:
    """A word that nobody else uses, fit for an agent's name."""
    return "w" + secrets.token_hex(8)


async def perform(http: httpx.AsyncClient, skill: str, given: dict[str, Any], by: str = "aria") -> Any:
    body = {"title": skill, "required_skills": [skill], "input": given, "wait": True, "timeout_s": 30}
    receipt = await post(http, "/neural-mesh/task-distribute", body, 200)
    assert (receipt["status"], receipt["assigned_to"]) == ("succeeded", by), receipt
    return receipt["result"]


class TestMesh:
    async def test_patterns_of_what_was_remembered(self, http: httpx.AsyncClient, word: str) -> None:
        batch = [
            {"agent_id": word, "action_type": kind, "action_details": {"outcome": "failure" if s % 2 else "success"},
             "tags": ["friday"] if s % 2 else [], "session_id": f"{word}-{s}", "timestamp": f"2026-11-{s + 1:02}T10:{n:02}:00Z"}
            for s in range(10)
            for n, kind in enumerate(["plan", "code", "test"])
        ]  # fmt: skip
        items = (await post(http, "/memory/actions?wait=persisted", batch, 201))["items"]
        found = await perform(http, "pattern_recognition", {"agent_id": word})
        assert (found["examined"], found["sessions"], found["complete"]) == (30, 10, True)
        [sequence] = found["sequences"]
        assert (sequence["steps"], sequence["support"], sequence["q"] < 0.001) == (["plan", "code", "test"], 10, True)
        assert set(sequence["episodes"]) <= {item["episode_id"] for item in items}
        assert ("tag friday", "outcome failure") in {(a["premises"][0], a["conclusion"]) for a in found["associations"]}
        part = await perform(http, "pattern_recognition", {"agent_id": [word], "action_types": ["plan", "test"], "limit": 10})
        assert (part["examined"], part["complete"]) == (7, False)  # of the ten latest episodes, seven are of these types

    async def test_what_memory_holds_and_what_to_do_about_it(self, http: httpx.AsyncClient, word: str) -> None:
        same = {"agent_id": word, "action_type": "note", "action_details": {"text": "the disk is full"}}
        items = (await post(http, "/memory/actions?wait=persisted", [same, same, {**same, "tags": ["other"]}], 201))["items"]
        told = await perform(http, "memory_management", {"agent_id": word})
        held = told["held"]
        assert (held["episodes"], held["unconsolidated"], [s["agent_id"] for s in held["largest"]]) == (3, 3, [word])
        assert (held["importance"], told["applied"]) == ([0, 0, 0, 0, 0, 3, 0, 0, 0, 0], None)
        [advice] = told["advice"]
        assert (advice["action"], advice["call"]) == ("forget", f"DELETE /memory/episodic/{items[1]['episode_id']}")

    async def test_consolidation_to_its_end(self, http: httpx.AsyncClient, word: str) -> None:
        batch = [
            {"agent_id": word, "action_type": "note", "action_details": {"text": f"the nightly backup of {word} failed: disk full"}}
            for _ in range(6)
        ]
        await post(http, "/memory/actions?wait=searchable", batch, 201)
        done = await perform(http, "data_consolidation", {"agent_id": word})
        assert (done["complete"], done["ended"], done["examined"] >= 6) == (True, "complete", True)
        assert done["formed"] + done["joined"] >= 1
        assert (await perform(http, "data_consolidation", {"agent_id": word}))["examined"] == 0
        applied = (await perform(http, "memory_management", {"agent_id": word, "apply": ["consolidate"]}))["applied"]
        assert applied["complete"] is True

    async def test_acceptance_of_what_another_task_gave(self, http: httpx.AsyncClient) -> None:
        schedule = {
            "id": "plan",
            "title": "plan",
            "required_skills": ["strategic_planning"],
            "input": {"tasks": [{"id": "a", "estimate": 3}]},
        }
        criteria = [
            {"id": "short", "check": "range", "path": "/plan/length", "at_most": 5},
            {"id": "named", "check": "regex", "path": "/plan/critical_path/0", "pattern": "^a$"},
        ]
        check = {
            "id": "check",
            "title": "check",
            "required_skills": ["quality_assurance"],
            "depends_on": ["plan"],
            "input": {"criteria": criteria},
        }
        body = {"title": "plan and check", "subtasks": [schedule, check], "wait": True, "timeout_s": 30}
        receipt = await post(http, "/neural-mesh/task-distribute", body, 200)
        assert receipt["status"] == "succeeded", receipt
        assert (receipt["result"]["check"]["accepted"], receipt["result"]["check"]["passed"]) == (True, 2)

    async def test_alignment_and_a_profile(self, http: httpx.AsyncClient) -> None:
        objectives = [{"id": "fast", "text": "answer searches faster"}, {"id": "hire", "text": "two engineers"}]
        asked = {"objectives": objectives, "items": [{"id": "cache", "text": "a cache for searches"}]}
        assert (await perform(http, "business_alignment", asked, "ricardo"))["uncovered"] == ["hire"]
        spots = (await perform(http, "performance_optimization", {"stacks": ["main;parse 9", "main 1"]}, "nexus"))["hot_spots"]
        assert (spots[0]["function"], spots[0]["free"]) == ("parse", 10.0)

    async def test_an_approval_is_the_decision_of_the_mesh(self, http: httpx.AsyncClient) -> None:
        approval = await perform(http, "final_approval", {"title": "ship it", "attributes": GOOD}, "ricardo")
        assert (approval["approved"], approval["status"]) == (True, "accepted")
        decided = await get(http, f"/neural-mesh/consensus/{approval['proposal_id']}")
        assert (decided["proposer"], decided["status"], decided["tally"]) == ("ricardo", "accepted", approval["tally"])
        refused = await perform(http, "final_approval", {"title": "break it", "attributes": BAD}, "ricardo")
        assert (refused["approved"], refused["status"]) == (False, "rejected")
        assert {vote["choice"] for vote in refused["votes"]} >= {"reject"}

    async def test_what_does_not_meet_its_criteria_is_not_put_to_a_vote(self, http: httpx.AsyncClient, word: str) -> None:
        criteria = [{"id": "tested", "check": "equals", "path": "/tests", "value": "green"}]
        asked = {"title": f"ship {word}", "attributes": GOOD, "criteria": criteria}
        refused = await perform(http, "final_approval", asked | {"artefact": {"tests": "red"}}, "ricardo")
        assert (refused["status"], refused["proposal_id"], refused["assurance"]["unmet"]) == ("criteria_unmet", None, ["tested"])
        met = await perform(http, "final_approval", asked | {"artefact": {"tests": "green"}}, "ricardo")
        assert (met["approved"], met["assurance"]["passed"]) == (True, 1)
        titles = [p["title"] for p in (await get(http, "/neural-mesh/consensus?limit=200"))["proposals"]]
        assert titles.count(f"ship {word}") == 1

    async def test_a_required_approver_outside_the_electorate_is_bad_input(self, http: httpx.AsyncClient) -> None:
        asked = {"title": "ship it", "electorate": ["nexus"], "required_approvers": ["aria"]}
        body = {"title": "t", "required_skills": ["final_approval"], "input": asked, "wait": True}
        failed = await post(http, "/neural-mesh/task-distribute", body, 200)
        assert (failed["status"], failed["error"]["code"]) == ("failed", "bad_input")


class TestApproval:
    """final_approval before a mesh whose answers the test decides."""

    async def test_a_vote_needs_time(self, place: Place) -> None:
        place.left_s = 5.0
        with pytest.raises(SkillError, match=r"more than the 5\.0 s") as e:
            await SKILLS["final_approval"].run(place.context, Approving(title="ship it"))
        assert (e.value.code, e.value.retryable) == ("no_time", False)

    async def test_without_a_mesh_it_fails_and_may_be_tried_again(self, place: Place) -> None:
        with pytest.raises(SkillError) as e:
            await SKILLS["final_approval"].run(place.context, Approving(title="ship it"))
        assert (e.value.code, e.value.retryable) == ("mesh_unavailable", True)

    async def test_a_second_try_finds_the_proposal_of_the_first(self, place: Place) -> None:
        asked: list[str] = []

        async def answer(ask: Ask) -> ProposalView:
            asked.append(ask.id)
            if len(asked) == 1:
                raise not_found(f"no proposal {ask.id} has been opened")
            return view(ask.id, "expired")

        await place.answer(subjects.ASK_PROPOSAL, answer)
        first, second = [await SKILLS["final_approval"].run(place.context, Approving(title="ship it")) for _ in range(2)]
        assert first == second
        assert (first.approved, first.status, set(asked)) == (False, "expired", {first.proposal_id})
        proposals = await entries(place.bus, [subjects.PROPOSAL.wildcard])
        assert [e.tokens["proposal"] for e in proposals if isinstance(e, Entry)] == [first.proposal_id]


def view(ident: str, status: Any) -> ProposalView:
    return ProposalView(
        proposal_id=ident, status=status, choice=None, threshold="2/3", electorate=["a"], tally={"approve": 0, "absent": 1}, votes=[],
        decided_at_seq=9, proposed_at="", decided_at="", deadline="", title="", description="", proposer="aria", domain=None,
        options=["approve", "reject"], attributes=None, evidence=[], required_approvers=[],
    )  # fmt: skip
