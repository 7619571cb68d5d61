"""Bugs that must be caught by the run that kills."""

from typing import Final

import msgspec

from tests.faults.planting import Change

ACTIONS, PERSISTER, INSERT, PASSAGES, WORK, WORKER, CONSENSUS, CONNECTION = (
    "gateway/api/actions.py",
    "memory/persister.py",
    "memory/queries/insert_episodes.sql",
    "memory/queries/insert_passages.sql",
    "bus/work.py",
    "agents/tasks/worker.py",
    "agents/consensus/actor.py",
    "bus/connection.py",
)


class Planted(msgspec.Struct, frozen=True, kw_only=True):
    """It shows as `shows` when `victims` are killed, or stopped, under a load of `only`."""

    name: str
    changes: tuple[Change, ...]
    victims: tuple[str, ...]
    shows: str
    only: tuple[str, ...] = ("episodes", "bus")
    killed_share: float = 1.0


BUGS: Final = (
    Planted(
        name="the gateway acknowledges before the log has it",
        changes=(
            Change(
                ACTIONS,
                "stored = await _publish(call, [(idents[i], actions[i]) for i in new])",
                "asyncio.ensure_future(_publish(call, [(idents[i], actions[i]) for i in new]))\n"
                "        stored = [Stored(1, duplicate=False, event_id=idents[i]) for i in new]",
            ),
        ),
        victims=("gateway", "nats"),
        shows="acknowledged episodes are not in the log",
    ),
    Planted(
        name="the persister moves its place before it commits the rows",
        changes=(
            Change(
                PERSISTER,
                "taken, contradicting = await self._transacted(rows)",
                "await self._pass_over(rows[-1].stream_seq)\n            taken, contradicting = await self._transacted(rows)",
            ),
        ),
        victims=("memory", "postgres"),
        shows="have no row",
    ),
    Planted(
        name="the persister moves its place now and then, and takes what it knows for new",
        changes=(
            Change(PERSISTER, "await advance(self._database, connection, PERSISTER, end, len(taken))", "del end"),
            Change(
                PERSISTER,
                "        self._arrivals.persisted(",
                "        if rows[-1].stream_seq % 5 == 0:\n            await self._pass_over(rows[-1].stream_seq)\n"
                "        self._arrivals.persisted(",
            ),
            Change(
                INSERT,
                "SELECT\n    episode_id, kind,",
                "SELECT\n    episode_id || CASE WHEN EXISTS (SELECT FROM memory_system.episodes e WHERE e.episode_id = asked.episode_id)"
                " THEN '-again' ELSE '' END, kind,",
            ),
            Change(PASSAGES, "ORDER BY place\n", "ORDER BY place\n    ON CONFLICT DO NOTHING\n"),
        ),
        victims=("memory", "postgres"),
        shows="places of the log have more than one row",
    ),
    Planted(
        name="a publish is tried again under a new id",
        changes=(
            Change(
                CONNECTION,
                "                await asyncio.sleep(RETRY_PAUSE_S)",
                "                wire[2][entries.MSG_ID] += 'again'\n                await asyncio.sleep(RETRY_PAUSE_S)",
            ),
        ),
        victims=("nats",),
        killed_share=0.0,
        shows="texts stand more than once in the log",
    ),
    Planted(
        name="a worker forgets the fence: it performs whatever it is handed, and its result has a new id each time",
        changes=(
            Change(WORK, "if entry.event_id in self._under_way:", "if False:"),
            Change(WORK, "if delivery.entry.event_id in self._done:", "if False:"),
            Change(WORKER, "if self._tasks.holds(assignment.task.task_id, assignment.fence):", "if True:"),
            Change(WORKER, "while self._held(assignment):", "while True:"),
            Change(
                WORKER,
                "while not await self._tasks.until(lambda: not self._held(assignment), assignment.lease_s):",
                "while await asyncio.sleep(1e6):",
            ),
            Change(WORKER, 'derived(ident, assignment.fence, "result")', 'derived(ident, assignment.fence, self._bus.clock(), "result")'),
        ),
        victims=("nats",),
        only=("tasks",),
        shows="results stand more than once under one fence",
    ),
    Planted(
        name="a decision is written without compare-and-set",
        changes=(
            Change(
                CONSENSUS,
                "self._first(subjects.DECISION, decision, ident)",
                "self._bus.publish(subjects.DECISION, decision, proposal=ident)",
            ),
        ),
        victims=("nexus", "aria", "ricardo"),
        only=("proposals",),
        shows="is decided twice",
    ),
)
