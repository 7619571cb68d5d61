"""What is selected, refused, told and kept when something is to be forgotten: the memory actor on real servers."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import msgspec
import pytest
import pytest_asyncio
from nats.js.errors import NoKeysError

from bus import streams, subjects
from bus.connection import Bus, Stored
from bus.entries import EVENT_ID
from bus.erasing import erase
from bus.errors import Refused
from bus.log import entries
from bus.settings import BusSettings
from memory.forgetting.letters import Letters
from memory.forgetting.payloads import erase_payloads
from memory.settings import MemorySettings
from schemas.concepts import ConceptById, ConceptRequest, ConsolidateRequest
from schemas.consensus import CountedVote, Decision, Opened, Proposal, Vote
from schemas.dead import DeadLetter
from schemas.emotion import Affect
from schemas.forgetting import FORGOTTEN_CODE, ForgetReceipt, ForgetRequest, Forgotten
from schemas.learning import Lesson
from schemas.memory import Action, Await, ById, RecentFilter, WorkingFilter, WorkingPut
from schemas.tasks import AssignedTask, Assignment, Finished, Result, Submission
from tests.integration.acting import actor
from tests.integration.rest import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bus(nats_url: str, postgres_dsn: str, redis_url: str) -> AsyncIterator[Bus]:
    """A connection beside one running memory actor for all of these tests; each has agents, sessions and tags of its own."""
    name = f"test_{secrets.token_hex(6)}"
    server = await asyncpg.connect(postgres_dsn)
    await server.execute(f"CREATE DATABASE {name}")
    settings = MemorySettings(
        postgres_dsn=urlsplit(postgres_dsn)._replace(path=f"/{name}").geturl(),
        redis_url=redis_url,
        embedding="none",
        pool_size_min=1,
        pool_size_max=6,
        scrub_bytes_max=0,  # bytes are looked for elsewhere
        forget_events_max=6,
    )
    bus_settings = BusSettings(nats_url=nats_url, prefix=name.replace("_", "-"), log_bytes_max=64 * 1024**2)
    await streams.declare(bus_settings)
    async with actor(bus_settings, settings):
        connected = await Bus.connect(bus_settings, "test")
        yield connected
    for config in streams.declared(connected):
        await connected.api(f"STREAM.DELETE.{config['name']}", {})
    await connected.close()
    await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await server.close()


@pytest_asyncio.fixture(loop_scope="module")
async def since(bus: Bus) -> int:
    """Where the log ends before the test."""
    info = await bus.api(f"STREAM.INFO.{bus.stream(subjects.MESH)}", {})
    return int(info["state"]["last_seq"])


@pytest.fixture
def ops() -> str:
    """An agent that no other test knows."""
    return f"ops-{secrets.token_hex(4)}"


@pytest.fixture
def word() -> str:
    """A word that no other test uses."""
    return f"w{secrets.token_hex(8)}"


async def say(bus: Bus, text: str, agent: str = "teller", **fields: Any) -> Stored:
    return await bus.publish(subjects.EPISODE, Action(action_type="note", action_details={"text": text}, **fields), agent=agent)


async def forget(bus: Bus, **selector: str) -> ForgetReceipt:
    receipt: ForgetReceipt = await bus.ask(subjects.MEMORY_FORGET, ForgetRequest(**selector), timeout_s=60)
    return receipt


async def refused(bus: Bus, **selector: str) -> tuple[int, str]:
    with pytest.raises(Refused) as told:
        await forget(bus, **selector)
    problem = told.value.problem()
    return problem.status, problem.detail or ""


async def names(bus: Bus, since: int) -> list[str]:
    """The rows of what stands on the log after `since`, in its order, without what tells of forgettings."""
    found = await entries(bus, list(subjects.MESH_SUBJECTS), since)
    return [entry.name for entry in found if entry.name != subjects.FORGOTTEN.name]


async def propose(bus: Bus, proposal: str, proposer: str, voter: str, *, decided: bool) -> list[Stored]:
    """A proposal with one vote; `decided` writes its decision, which repeats the vote."""
    electorate = [voter]
    said = [
        await bus.publish(subjects.PROPOSAL, Proposal(title="t", electorate=electorate), proposal=proposal, agent=proposer),
        await bus.publish(
            subjects.OPENED, Opened(title="t", electorate=electorate, proposer=proposer, deadline="2027-01-01T00:00:00Z"), proposal=proposal
        ),
        await bus.publish(subjects.VOTE, Vote(choice="approve", rationale="because"), proposal=proposal, agent=voter),
    ]
    if decided:
        vote = CountedVote(agent=voter, choice="approve", confidence=1, rationale="because", evidence=[], seq=said[2].seq, counted=True)
        tally = {"approve": 1, "reject": 0, "abstain": 0, "absent": 0}
        decision = Decision(status="accepted", choice="approve", tally=tally, votes=[vote], decided_at_seq=said[2].seq)
        said.append(await bus.publish(subjects.DECISION, decision, proposal=proposal))
    return said


class TestConsensus:
    async def test_a_vote_of_an_ended_proposal_goes_and_the_decision_that_repeats_it_is_named(
        self, bus: Bus, since: int, ops: str, word: str
    ) -> None:
        said = await propose(bus, word, "nexus", ops, decided=True)
        receipt = await forget(bus, agent_id=ops)
        assert (receipt.episodes, receipt.remains) == (1, [said[3].event_id])
        assert await names(bus, since) == [row.name for row in (subjects.PROPOSAL, subjects.OPENED, subjects.DECISION)]

    async def test_an_open_proposal_is_named_and_nothing_is_forgotten(self, bus: Bus, since: int, ops: str, word: str) -> None:
        await say(bus, "first", ops)
        await propose(bus, word, "nexus", ops, decided=False)
        status, detail = await refused(bus, agent_id=ops)
        assert status == 409
        assert f"proposal {word}" in detail
        assert len(await names(bus, since)) == 4
        assert len((await bus.ask(subjects.MEMORY_RECENT, RecentFilter(agent_id=ops))).episodes) == 2

    async def test_with_what_it_proposed_goes_all_that_was_said_about_it(self, bus: Bus, since: int, ops: str, word: str) -> None:
        await propose(bus, word, ops, "nexus", decided=True)
        await propose(bus, f"{word}-2", "aria", "nexus", decided=True)
        receipt = await forget(bus, agent_id=ops)
        assert (receipt.episodes, receipt.remains) == (4, [])
        assert len(await names(bus, since)) == 4

    async def test_a_record_of_the_mesh_is_not_forgotten_alone(self, bus: Bus, since: int, ops: str, word: str) -> None:
        said = await propose(bus, word, ops, "nexus", decided=True)
        status, detail = await refused(bus, id=said[3].event_id)
        assert status == 409
        assert "consensus.decision" in detail
        assert (await forget(bus, id=said[0].event_id)).episodes == 4


class TestTasks:
    async def test_what_an_agent_did_goes_and_the_end_that_repeats_it_is_named(self, bus: Bus, since: int, ops: str, word: str) -> None:
        task = AssignedTask(title="t", task_id=word)
        await bus.publish(subjects.TASK_SUBMITTED, Submission(title="t"), task=word)
        await bus.publish(subjects.TASK_ASSIGNED, Assignment(fence=1, lease_s=5, task=task), task=word, agent=ops)
        await bus.publish(subjects.TASK_RESULT, Result(fence=1, output="done"), task=word, agent=ops)
        assert (await refused(bus, agent_id=ops))[0] == 409
        end = await bus.publish(subjects.TASK_FINISHED, Finished(status="succeeded", agent=ops, output="done"), task=word)
        receipt = await forget(bus, agent_id=ops)
        assert (receipt.episodes, receipt.remains) == (2, [end.event_id])
        assert await names(bus, since) == [subjects.TASK_SUBMITTED.name, subjects.TASK_FINISHED.name]


class TestCiting:
    async def test_what_cites_it_is_kept_and_named(self, bus: Bus, word: str) -> None:
        gone = await say(bus, "evidence")
        vote = await bus.publish(
            subjects.VOTE, Vote(choice="approve", rationale="as it says", evidence=[gone.event_id]), proposal=word, agent="aria"
        )
        lesson = await bus.publish(subjects.LESSON, Lesson(topic="t", content="c", source_episodes=[gone.event_id]), agent="aria")
        crossing = await say(bus, "see there", cross_reference=gone.event_id)
        await say(bus, "nothing to do with it")
        receipt = await forget(bus, id=gone.event_id)
        assert receipt.remains == [vote.event_id, lesson.event_id, crossing.event_id]

    async def test_of_what_goes_with_it_nothing_remains(self, bus: Bus, word: str) -> None:
        first = await say(bus, "one", session_id=word)
        await say(bus, "two", session_id=word, cross_reference=first.event_id)
        assert (await forget(bus, session_id=word)).remains == []


class TestConcepts:
    async def test_one_that_rests_on_others_too_is_told_anew_without_it(self, bus: Bus) -> None:
        gone, kept = await say(bus, "pools are slow"), await say(bus, "pools need a limit")
        sources = [gone.event_id, kept.event_id]
        await bus.ask(subjects.MEMORY_RECENT, RecentFilter())
        asked = ConceptRequest(concept="pools", content="pools are slow\npools need a limit", source_episodes=sources)
        concept = await bus.ask(subjects.MEMORY_SEMANTIC_PUT, asked)
        receipt = await forget(bus, id=gone.event_id)
        assert (receipt.concepts_erased, receipt.concepts_rewritten) == (0, 1)
        (told,) = await entries(bus, [subjects.CONCEPT.subject(concept=concept.concept_id)])
        assert (told.tokens["concept"], told.body.content, told.body.source_episodes) == (
            concept.concept_id,
            "pools need a limit",
            [kept.event_id],
        )
        known = await bus.ask(subjects.MEMORY_SEMANTIC_GET, ConceptById(id=concept.concept_id))
        assert (known.content, known.source_episodes) == ("pools need a limit", [kept.event_id])

    async def test_one_that_was_consolidated_is_made_of_its_other_sources(self, bus: Bus, ops: str, word: str) -> None:
        texts = [f"The {word} pool of the database is slow when it is {size}" for size in ("large", "huge", f"only-{word}")]
        said = [await say(bus, text, ops) for text in texts]
        await bus.ask(subjects.MEMORY_AWAIT, Await(id=said[-1].event_id), timeout_s=10)
        report = await bus.ask(subjects.MEMORY_CONSOLIDATE, ConsolidateRequest(agent_id=ops), timeout_s=60)
        (ident,) = report.concepts
        before = await bus.ask(subjects.MEMORY_SEMANTIC_GET, ConceptById(id=ident))
        assert f"only-{word}" in before.content
        assert (await forget(bus, id=said[2].event_id)).concepts_rewritten == 1
        after = await bus.ask(subjects.MEMORY_SEMANTIC_GET, ConceptById(id=ident))
        assert f"only-{word}" not in msgspec.json.encode(after).decode()
        assert set(after.source_episodes) == {said[0].event_id, said[1].event_id}

    async def test_a_concept_is_forgotten_by_its_id(self, bus: Bus) -> None:
        concept = await bus.ask(subjects.MEMORY_SEMANTIC_PUT, ConceptRequest(concept="c", content="x"))
        receipt = await forget(bus, id=concept.concept_id)
        assert (receipt.episodes, receipt.concepts_erased) == (0, 1)
        with pytest.raises(Refused):
            await bus.ask(subjects.MEMORY_SEMANTIC_GET, ConceptById(id=concept.concept_id))


class TestDeadLetters:
    @pytest.mark.parametrize("name", ["session_id", "tag", "agent_id"])
    async def test_one_that_could_never_be_persisted_goes_with_its_entry(
        self, bus: Bus, since: int, ops: str, word: str, name: str
    ) -> None:
        selector = {name: {"session_id": word, "tag": word, "agent_id": ops}[name]}
        gone = await self.bury(bus, {"action_type": 5, "session_id": word, "tags": [word]}, ops)
        kept = await self.bury(bus, {"action_type": 5, "session_id": f"{word}-2", "tags": [f"{word}-2"]}, f"{ops}-2")
        receipt = await forget(bus, **selector)
        assert (receipt.episodes, receipt.dead_letters, receipt.log_entries) == (0, 1, 1)
        left = await self.buried(bus)
        assert kept.seq in left
        assert gone.seq not in left
        assert [entry.seq for entry in await entries(bus, [subjects.EPISODE.wildcard], since)] == [kept.seq]

    async def test_a_proposal_that_was_refused_is_known_by_its_place(self, bus: Bus, ops: str, word: str) -> None:
        said = await bus.publish(subjects.PROPOSAL, Proposal(title=word), proposal=word, agent=ops)
        subject = subjects.PROPOSAL.subject(proposal=word, agent=ops)
        letter = DeadLetter(reason="r", subject=subject, stream_seq=said.seq, delivered=1, headers={}, data="", first_seen="t")
        await bus.publish(subjects.DEAD_LETTER, letter, stream=subjects.MESH, consumer="consensus")
        assert (await forget(bus, id=said.event_id)).episodes == 1
        assert said.seq not in await self.buried(bus)

    async def test_what_another_sent_under_the_same_id_goes_with_it(self, bus: Bus, since: int, ops: str, word: str) -> None:
        gone = await say(bus, "x", ops)
        await bus.nc.publish(bus.wire(f"memory.episode.{ops}-2"), b"{", headers={EVENT_ID: gone.event_id})
        kept = await self.bury(bus, {"action_type": 5}, f"{ops}-3")
        receipt = await forget(bus, agent_id=ops)
        assert (receipt.episodes, receipt.dead_letters, receipt.log_entries) == (1, 1, 2)
        assert [entry.seq for entry in await entries(bus, [subjects.EPISODE.wildcard], since)] == [kept.seq]

    async def test_a_letter_does_not_go_without_its_entry(self, bus: Bus, since: int, ops: str, word: str) -> None:
        """Whatever told of the forgetting: here it names the id and no place, as where the entry comes while it is told."""
        await bus.nc.publish(bus.wire(f"memory.episode.{ops}"), b"{", headers={EVENT_ID: word})
        kept = await self.bury(bus, {"action_type": 5}, f"{ops}-2")
        gone = next(entry.seq for entry in await entries(bus, [subjects.EPISODE.subject(agent=ops)], since))
        assert gone in await self.buried(bus)
        await bus.publish(subjects.FORGOTTEN, Forgotten(ids=[word]), receipt=word)
        async with asyncio.timeout(30):
            while gone in await self.buried(bus):
                await asyncio.sleep(0.05)
        assert [entry.seq for entry in await entries(bus, [subjects.EPISODE.wildcard], since)] == [kept.seq]

    async def test_one_that_was_erased_by_hand_is_not_forgotten(self, bus: Bus, ops: str) -> None:
        gone, kept = [await self.bury(bus, {"action_type": 5}, ops) for _ in range(2)]
        other = await self.bury(bus, {"action_type": 5}, f"{ops}-2")
        await forget(bus, id=other.event_id)  # the letters have been read by now
        (place,) = [e.seq for e in await self.letters(bus) if e.body.stream_seq == gone.seq]
        await erase(bus, bus.stream(subjects.DEAD), place)
        with pytest.raises(Refused, match="nothing of it is known"):
            await forget(bus, id=gone.event_id)
        assert (await forget(bus, agent_id=ops)).dead_letters == 1
        assert kept.seq not in await self.buried(bus)

    @staticmethod
    async def letters(bus: Bus) -> list[Any]:
        return await entries(bus, list(subjects.DEAD_SUBJECTS), stream=subjects.DEAD)

    async def buried(self, bus: Bus) -> list[int]:
        return [entry.body.stream_seq for entry in await self.letters(bus)]

    async def bury(self, bus: Bus, body: dict[str, Any], agent: str) -> Stored:
        stored = await bus.publish(subjects.EPISODE, body, agent=agent)
        async with asyncio.timeout(15):
            while stored.seq not in await self.buried(bus):
                await asyncio.sleep(0.05)
        return stored


class TestPayloads:
    async def test_a_place_where_another_event_stands_is_left_alone(self, bus: Bus, word: str) -> None:
        stored = await say(bus, word)
        await erase_payloads(bus, Letters(bus), [stored.seq], lambda ident, _: ident == "another")
        assert await bus.entry_at(stored.seq) is not None
        await erase_payloads(bus, Letters(bus), [stored.seq], lambda ident, _: ident == stored.event_id)
        assert await bus.entry_at(stored.seq) is None

    async def test_the_bucket_of_feelings_is_made_again_without_those_forgotten(self, bus: Bus, ops: str) -> None:
        feeling = Affect(valence=0.5, arousal=0, dominance=0, label="content", cause="said so")
        for agent in (ops, ops, f"{ops}-2"):
            await bus.publish(subjects.AFFECT, feeling, agent=agent)
        assert (await forget(bus, agent_id=ops)).episodes == 2
        kv = await bus.kv("affect")

        async def made_again() -> Any:
            keys = await kv.keys()
            return keys if f"{ops}-2" in keys else None

        assert ops not in await eventually(made_again, away=(NoKeysError,))


class TestWorkingMemory:
    async def test_its_items_go_alone_where_there_is_nothing_else(self, bus: Bus, since: int, ops: str, word: str) -> None:
        for session in (word, f"{word}-2"):
            await bus.ask(subjects.MEMORY_WORKING_PUT, WorkingPut(session_id=session, key="k", context_data={}, tags=[session]))
        receipt = await forget(bus, tag=word)
        assert (receipt.working_items, receipt.episodes) == (1, 0)
        left = await bus.ask(subjects.MEMORY_WORKING_LIST, WorkingFilter(session_id=f"{word}-2"))
        assert [item.session_id for item in left.items] == [f"{word}-2"]


class TestTold:
    async def test_one_of_which_a_piece_never_comes_is_not_waited_for(self, bus: Bus, word: str) -> None:
        told = Forgotten(ids=[word], concepts=[], rewritten=[], seqs=[], selector="s", pieces=2)
        await bus.publish(subjects.FORGOTTEN, told, receipt=word)
        with pytest.raises(Refused, match="nothing of it is known"):
            await forget(bus, id=word)

    async def test_one_that_is_told_once_too_often_is_told(self, bus: Bus, word: str) -> None:
        told = Forgotten(ids=[word], concepts=[], rewritten=[], seqs=[], selector="s")
        for _ in range(2):
            await bus.publish(subjects.FORGOTTEN, told, receipt=word)
        assert (await forget(bus, id=word)).receipt == word

    async def test_the_log_names_what_is_forgotten_and_not_what_was_asked_for(self, bus: Bus, since: int, ops: str, word: str) -> None:
        gone = await say(bus, "x", session_id=f"secret {word}")
        receipt = await forget(bus, session_id=f"secret {word}")
        (told,) = await entries(bus, [subjects.FORGOTTEN.wildcard], since)
        assert told.tokens["receipt"] == receipt.receipt
        assert (told.body.ids, told.body.seqs) == ([gone.event_id], [gone.seq])
        assert word.encode() not in msgspec.json.encode(told.body)
        assert isinstance(told.body, Forgotten)

    async def test_what_it_tells_of_is_no_memory_that_can_be_forgotten(self, bus: Bus, since: int, ops: str, word: str) -> None:
        await say(bus, "x", ops)
        await forget(bus, agent_id=ops)
        (told,) = await entries(bus, [subjects.FORGOTTEN.wildcard], since)
        assert (await refused(bus, id=told.event_id))[0] == 409

    async def test_asked_again_after_more_has_come_the_receipt_is_a_new_one(self, bus: Bus, since: int, ops: str, word: str) -> None:
        await say(bus, "x", tags=[word])
        first = await forget(bus, tag=word)
        assert await forget(bus, tag=word) == first
        await say(bus, "y", tags=[word])
        second = await forget(bus, tag=word)
        assert second.receipt != first.receipt
        assert (await forget(bus, tag=word)).receipt == second.receipt

    async def test_more_than_one_forgetting_takes_is_forgotten_by_asking_again(self, bus: Bus, word: str) -> None:
        for n in range(8):
            await say(bus, f"{n}", tags=[word])
        told = [await forget(bus, tag=word) for _ in range(3)]
        assert [(receipt.episodes, receipt.complete) for receipt in told] == [(6, False), (2, True), (2, True)]

    async def test_a_forgotten_episode_is_404_and_says_why(self, bus: Bus) -> None:
        gone = await say(bus, "x")
        await forget(bus, id=gone.event_id)
        with pytest.raises(Refused) as told:
            await bus.ask(subjects.MEMORY_GET, ById(id=gone.event_id))
        assert (told.value.problem().status, told.value.problem().code) == (404, FORGOTTEN_CODE)

    async def test_tables_larger_than_the_settings_allow_are_not_scrubbed_and_it_says_so(
        self, bus: Bus, since: int, ops: str, word: str
    ) -> None:
        await say(bus, "x", ops)
        assert not (await forget(bus, agent_id=ops)).scrubbed
