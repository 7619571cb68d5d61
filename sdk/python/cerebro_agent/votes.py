"""Votes: each open proposal in whose electorate the agent is gets its vote, once."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import msgspec
from nats.aio.msg import Msg

from cerebro_agent.connection import Connection, derived
from cerebro_agent.errors import BAD_BODY, AgentError
from cerebro_agent.messages import Proposal, Vote
from cerebro_agent.names import Names

log = logging.getLogger("cerebro_agent")

ABSTAIN = "abstain"
OPEN_MAX = 200
"""Open proposals asked for at the start and after each reconnection."""
JUDGED_MAX = 10_000
"""Most proposals of which it is remembered that they were judged."""
WAITING_MAX = 1_000
"""Most proposals that wait for their vote; where there are more, the mesh is asked which are open."""
RETRY_S = 2.0
"""Pause before the mesh is asked again which proposals are open."""

Judge = Callable[[Proposal], Awaitable[Vote | str | None]]


class Page(msgspec.Struct, frozen=True):
    proposals: list[Proposal]


class Votes:
    """`judge` gives a vote, the choice alone, or None where the agent does not vote; at most `concurrency` at a time."""

    def __init__(self, connection: Connection, names: Names, agent: str, judge: Judge, concurrency: int) -> None:
        self._connection = connection
        self._names = names
        self._agent = agent
        self._judge = judge
        self._turns = asyncio.Semaphore(concurrency)
        self._waiting: asyncio.Queue[Proposal] = asyncio.Queue(WAITING_MAX)
        self._judged: dict[str, None] = {}
        self._look = asyncio.Event()

    async def start(self) -> None:
        await self._connection.hear(self._names.heard_proposals, self._hear)
        self._connection.again.append(self._look_again)
        self._look.set()

    async def _look_again(self) -> None:
        self._look.set()

    async def _hear(self, msg: Msg) -> None:
        try:
            opened = msgspec.json.decode(msg.data, type=Proposal)
        except BAD_BODY as e:
            log.warning("%s is no proposal: %s", msg.subject, e)
            return
        self._take(msgspec.structs.replace(opened, proposal_id=self._names.token(msg.subject, 2)))

    def _take(self, proposal: Proposal) -> None:
        """Let it wait for its vote, unless it had one, or the agent has none."""
        voted = any(vote.agent == self._agent for vote in proposal.votes)
        if self._agent not in proposal.electorate or voted or proposal.proposal_id in self._judged:
            return
        if self._waiting.full():
            self._look.set()
            return
        self._judged[proposal.proposal_id] = None
        if len(self._judged) > JUDGED_MAX:
            del self._judged[next(iter(self._judged))]
        self._waiting.put_nowait(proposal)

    async def run(self) -> None:
        """Vote for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look_for_open(), name="open proposals")
            while True:
                await self._turns.acquire()
                proposal = await self._waiting.get()
                group.create_task(self._one(proposal), name=f"vote {proposal.proposal_id}")

    async def _look_for_open(self) -> None:
        while True:
            await self._look.wait()
            self._look.clear()
            try:
                page = await self._connection.ask(self._names.subject("ask.proposals"), {"status": "open", "limit": OPEN_MAX}, Page)
            except AgentError as e:
                log.info("open proposals are asked for again: %s", e)
                self._look.set()
                await asyncio.sleep(RETRY_S)
                continue
            for proposal in page.proposals:
                self._take(proposal)

    async def _one(self, proposal: Proposal) -> None:
        try:
            if (vote := await self._judged_in_time(proposal)) is not None:
                msg_id = derived(proposal.proposal_id, self._agent, "vote")
                await self._connection.put(self._names.vote(proposal.proposal_id), vote, msg_id)
        except AgentError as e:
            log.warning("no vote on %s: %s", proposal.proposal_id, e)
        finally:
            self._turns.release()

    async def _judged_in_time(self, proposal: Proposal) -> Vote | None:
        """The vote, None where there is none by the deadline or the judge fails: that is absence, and never agreement."""
        left_s = (datetime.fromisoformat(proposal.deadline) - datetime.now(UTC)).total_seconds()
        try:
            async with asyncio.timeout(max(0.0, left_s)):
                judged = await self._judge(proposal)
        except Exception:
            log.exception("judging %s failed", proposal.proposal_id)
            return None
        vote = Vote(choice=judged) if isinstance(judged, str) else judged
        if vote is not None and vote.choice not in {*proposal.options, ABSTAIN}:
            log.error("%r is no option of proposal %s", vote.choice, proposal.proposal_id)
            return None
        return vote
