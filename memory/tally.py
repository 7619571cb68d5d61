"""How many messages the log has brought since this actor began, of each kind, by the agent that the subject names; and the calls to
language models among them.
"""

import logging
from collections.abc import Iterable
from typing import Final

import msgspec

from bus import subjects
from memory.database import Times
from schemas.entry import Entry, Malformed
from schemas.llm import LLM_CALL, CallContext, CallFigures
from schemas.memory import Action, ModelCalls, QueryTimes

log = logging.getLogger("cerebro.memory")

NAMES_MAX: Final = 200
"""Most agents, and most purposes of calls, that are told apart; what they are called comes from outside."""
OTHERS: Final = "other"
NOBODY: Final = "mesh"
"""Who is counted where the subject names no agent."""
CALL_BUCKETS_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds of the histogram of calls to a language model, in seconds."""


class Tally:
    """`counts`: by the name of the row in the table of subjects, then by agent."""

    def __init__(self) -> None:
        self.counts: dict[str, dict[str, int]] = {}
        self._calls: dict[tuple[str, str, str], ModelCalls] = {}
        self._call_times: dict[str, Times] = {}
        self._agents: set[str] = set()
        self._purposes: set[str] = set()

    def add(self, entries: Iterable[Entry | Malformed]) -> None:
        """Count these, dead letters to be as well: the log has accepted them."""
        for entry in entries:
            found = subjects.find(entry.subject)
            if found is not None:
                row, tokens = found
                by_agent = self.counts.setdefault(row.name, {})
                agent = _bounded(tokens.get("agent", NOBODY), self._agents)
                by_agent[agent] = by_agent.get(agent, 0) + 1
                if isinstance(entry, Entry) and row is subjects.EPISODE and entry.body.action_type == LLM_CALL:
                    self._add_call(agent, entry.body)

    def _add_call(self, agent: str, action: Action) -> None:
        """Count a call to a language model that an agent remembers; what is told otherwise is passed over."""
        try:
            figures, call = msgspec.convert(action.action_details, CallFigures), msgspec.convert(action.context_state, CallContext)
        except msgspec.ValidationError as e:
            log.debug("no call of a language model is told by %s: %s", agent, e)
        else:
            purpose = _bounded(call.purpose, self._purposes)
            key = (agent, purpose, call.result)
            self._calls[key] = _with(self._calls.get(key) or ModelCalls(agent_id=agent, purpose=purpose, result=call.result), figures)
            self._call_times.setdefault(purpose, Times(CALL_BUCKETS_S)).add(figures.duration_s)

    def model_calls(self) -> list[ModelCalls]:
        """Calls to language models, by agent, purpose and result."""
        return list(self._calls.values())

    def model_call_times(self) -> dict[str, QueryTimes]:
        """How long they took, by purpose."""
        return {purpose: times.view() for purpose, times in self._call_times.items()}


def _with(known: ModelCalls, one: CallFigures) -> ModelCalls:
    return msgspec.structs.replace(
        known,
        calls=known.calls + 1,
        input_tokens=known.input_tokens + one.input_tokens,
        output_tokens=known.output_tokens + one.output_tokens,
        cost=known.cost + (one.cost or 0.0),
    )


def _bounded(name: str, known: set[str]) -> str:
    """The name itself, as long as not too many are known."""
    if name not in known:
        if len(known) == NAMES_MAX:
            return OTHERS
        known.add(name)
    return name
