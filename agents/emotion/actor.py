"""The hands of emotion: folds what agents say they feel, appraises what happens to this one, says what it feels."""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Protocol

import msgspec

from agents.emotion import rules
from agents.protocol import Duty, Question
from bus import subjects
from bus.connection import Bus, Stored
from bus.errors import TimedOut, conflict, not_found
from bus.ids import affect_answer_id, derived, uuid7
from schemas.consensus import Opened
from schemas.emotion import Affect, AffectView, Alignment, Collective, MeshAffect, Stimulus, StimulusEvent, StimulusRequest
from schemas.entry import Entry
from schemas.members import AskAll, Profile

ANSWER_S = 3.0
"""Longest wait for an agent to say what a stimulus has made of it."""
HEARD_WITHIN_S = 1.5
"""How long an agent may be unheard before it counts as absent here: this replica may have begun to listen just now."""
PENDING_MAX = 1_000
"""Most appraisals that wait; the oldest are given up."""
OWN_PROPOSALS_MAX = 1_000
"""Most own open proposals that are remembered; the oldest are given up."""
AGENTS_MAX = 1_000
"""Most agents whose state is kept; the one silent for longest is forgotten."""
RECENT_MAX = 32
"""Most earlier states of each agent that are kept, to find the answer to a stimulus among them."""
APPRAISED_ALONE_MIN = 4
"""From so many waiting appraisals on, the table alone appraises: who asks for one waits seconds, no more."""
FEEL_PAUSE_S = 10.0
"""Least seconds between two feelings of the same event that only this agent knows of: a flood of errors is one distress."""


class Present(Protocol):
    """What this protocol asks of membership."""

    def present(self, takes: str | None = None) -> dict[str, Profile]: ...
    def listed(self) -> dict[str, Profile]: ...


class Appraiser(Protocol):
    """What may say how much an event matters to this agent."""

    async def weights(self, felt: Affect, stimulus: Stimulus) -> rules.Point: ...


class Appraisal(msgspec.Struct, frozen=True):
    """Something this agent has still to appraise; it is done when a state with this id stands in the log."""

    msg_id: str
    stimulus: Stimulus
    since: datetime


class Emotion:
    """Every agent's affect, and this agent's own."""

    def __init__(
        self,
        bus: Bus,
        agent: str,
        temperament: rules.Point,
        members: Present,
        until: Callable[[Callable[[], bool], float], Awaitable[bool]],
        appraiser: Appraiser | None = None,
    ) -> None:
        self._bus = bus
        self._agent = agent
        self._temperament = temperament
        self._members = members
        self._until = until
        self._appraiser = appraiser
        self._heard: dict[str, deque[rules.Felt]] = {}
        self._derives: set[str] = set()
        self._pending: dict[str, Appraisal] = {}
        self._own_proposals: dict[str, str] = {}
        self._felt_last: dict[StimulusEvent, datetime] = {}
        self._overloaded = False
        self._mood: tuple[tuple[tuple[str, int], ...], Collective, float] | None = None

    # what the other protocols ask of it

    def affect(self, agent: str) -> Affect | None:
        """What `agent` last said that it feels."""
        felt = self._last(agent)
        return felt.affect if felt else None

    def alignment(self) -> Alignment:
        """How the mesh acts on its affect now."""
        return rules.alignment(*self._together(self._feeling()))

    def feel(self, event: StimulusEvent, cause: str, intensity: float = 0.5) -> None:
        """Appraise something that only this agent knows of (an error, overload). The same event within `FEEL_PAUSE_S` is the same one."""
        now = self._bus.now()
        last = self._felt_last.get(event)
        if last is None or (now - last).total_seconds() >= FEEL_PAUSE_S:
            self._felt_last[event] = now
            self._await_turn(Appraisal(uuid7(), Stimulus(event=event, intensity=intensity, cause=cause), now))

    # the protocol's shape

    def apply(self, entry: Entry) -> None:
        """Fold what agents say they feel, what this agent has to appraise, and which open proposals are its own."""
        if isinstance(entry.body, Affect):
            self._hear(entry)
            return
        if stimulus := rules.stimulus_in(self._agent, self._own_proposals, entry):
            self._await_turn(Appraisal(affect_answer_id(self._agent, entry.event_id, entry.seq), stimulus, entry.time))
        if isinstance(entry.body, Opened) and entry.body.proposer == self._agent:
            self._own_proposals[entry.tokens["proposal"]] = entry.body.title
            _bound(self._own_proposals, OWN_PROPOSALS_MAX)
        elif entry.name == subjects.DECISION.name:
            self._own_proposals.pop(entry.tokens["proposal"], None)

    def _hear(self, entry: Entry) -> None:
        """Keep the last states of each agent, the one heard last at the end."""
        agent, before = entry.agent, self._last(entry.agent)
        states = self._heard.pop(agent, deque(maxlen=RECENT_MAX))
        states.append(rules.apply(before, entry))
        self._heard[agent] = states
        _bound(self._heard, AGENTS_MAX)
        if entry.event_id == initial_id(agent, self._bus.incarnation):
            self._derives.add(agent)
        if agent == self._agent:
            self._pending.pop(entry.event_id, None)

    def _last(self, agent: str) -> rules.Felt | None:
        states = self._heard.get(agent)
        return states[-1] if states else None

    def _await_turn(self, appraisal: Appraisal) -> None:
        self._pending[appraisal.msg_id] = appraisal
        _bound(self._pending, PENDING_MAX)

    def duties(self, now: datetime) -> Sequence[Duty]:
        """One at a time: the first state, the oldest appraisal that waits, or a drift worth telling."""
        felt = self._last(self._agent)
        if felt is None:
            return [Duty("affect initial", self._awake)]
        self._look_at_load()
        self._give_up_old(now)
        if due := next(iter(self._pending.values()), None):
            return [Duty(f"affect {due.msg_id}", partial(self._appraise, due))]
        if rules.drifted(felt, self._temperament, now):
            return [Duty(f"affect drift {felt.seq}", partial(self._drift, felt))]
        return []

    def _look_at_load(self) -> None:
        """Feel overload once when the load this agent announces rises above the limit, until it has fallen again."""
        profile = self._members.present("tasks").get(self._agent)
        load = profile.load if profile else 0.0
        if load > rules.LOAD_OVERLOAD and not self._overloaded:
            self.feel("overload", f"load {load:.2f}")
        self._overloaded = load > (rules.LOAD_RELIEVED if self._overloaded else rules.LOAD_OVERLOAD)

    def _give_up_old(self, now: datetime) -> None:
        old = [i for i, a in self._pending.items() if (now - a.since).total_seconds() > rules.APPRAISAL_AGE_S_MAX]
        for msg_id in old:
            del self._pending[msg_id]

    # the effects: each says what this agent feels now

    async def _awake(self) -> None:
        await self._say(rules.named(self._temperament, "awake"), initial_id(self._agent, await self._bus.log_incarnation()))

    async def _appraise(self, due: Appraisal) -> None:
        felt = self._last(self._agent)
        assert felt is not None, "nothing is appraised before the initial state"
        weights = rules.EVEN
        if self._appraiser is not None and due.stimulus.event and len(self._pending) < APPRAISED_ALONE_MIN:
            weights = await self._appraiser.weights(felt.affect, due.stimulus)
        state = rules.now_felt(felt, self._temperament, self._bus.now())
        await self._say(rules.appraise(state, due.stimulus, weights), due.msg_id)

    async def _drift(self, felt: rules.Felt) -> None:
        state = rules.now_felt(felt, self._temperament, self._bus.now())
        await self._say(rules.named(rules.point(state), felt.affect.cause), derived("affect drift", self._agent, felt.event_id))

    async def _say(self, affect: Affect, msg_id: str) -> None:
        await self._bus.publish(subjects.AFFECT, affect, msg_id=msg_id, agent=self._agent)

    # the questions

    def questions(self) -> Sequence[Question]:
        return [(subjects.ASK_AFFECT, self._mesh), (subjects.ASK_STIMULUS, self._stimulate)]

    async def _mesh(self, _: AskAll) -> MeshAffect:
        feeling = self._feeling()
        felt, cohering = self._together(feeling)
        agents = {agent: f.view() for agent, f in feeling.items()}
        return MeshAffect(agents=agents, collective=felt, coherence=cohering, alignment=rules.alignment(felt, cohering))

    def _together(self, feeling: dict[str, rules.Felt]) -> tuple[Collective, float]:
        """The collective affect and its coherence; computed again only when a state has changed, as pairs are many."""
        key = tuple((agent, f.seq) for agent, f in feeling.items())
        if self._mood is None or self._mood[0] != key:
            states = [f.affect for f in feeling.values()]
            self._mood = key, rules.collective(states), rules.coherence(states)
        return self._mood[1:]

    def _feeling(self) -> dict[str, rules.Felt]:
        """The members that are present and have said what they feel; of one that has not, nothing is made up."""
        present = self._members.present()
        return {agent: felt for agent in sorted(present) if (felt := self._last(agent))}

    async def _stimulate(self, request: StimulusRequest) -> AffectView:
        """Log the stimulus and wait for what the agent makes of it. An agent that is gone is refused with 409 and not 503:
        it is what the request is about, no part of the mesh that will surely be back.
        """
        await self._require_present(request.agent)
        stimulus = msgspec.convert(msgspec.structs.asdict(request), Stimulus)
        stored = await self._bus.publish(subjects.STIMULUS, stimulus, agent=request.agent)
        answer = partial(self._answer, request.agent, stored)
        await self._until(lambda: answer() is not None, ANSWER_S)
        if felt := answer():
            return felt.view()
        raise TimedOut(f"{request.agent} has not said within {ANSWER_S:g} s what it feels; the stimulus is logged at {stored.seq}")

    async def _require_present(self, agent: str) -> None:
        if await self._until(lambda: agent in self._members.present(), HEARD_WITHIN_S):
            return
        if agent in self._members.listed():
            raise conflict(f"agent {agent} is gone; it can appraise nothing now")
        raise not_found(f"no agent {agent}")

    def _answer(self, agent: str, stored: Stored) -> rules.Felt | None:
        """The state by which `agent` answered a stimulus: under the id derived from it, where the agent derives its ids as
        the built-in ones do; else its next state after it.
        """
        exact = affect_answer_id(agent, stored.event_id, stored.seq)
        later = [f for f in self._heard.get(agent, ()) if f.seq > stored.seq]
        found = next((f for f in later if f.event_id == exact), None)
        return found or (later[0] if later and agent not in self._derives else None)


def initial_id(agent: str, incarnation: str) -> str:
    """The id of an agent's first state in this log."""
    return derived("affect", agent, incarnation)


def _bound(kept: dict[str, Any], len_max: int) -> None:
    """Forget the oldest entry of a dictionary that has grown past its limit by one."""
    if len(kept) > len_max:
        del kept[next(iter(kept))]
