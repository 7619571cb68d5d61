"""How many messages the log has brought since this actor began, of each kind, by the agent that the subject names."""

from collections.abc import Iterable
from typing import Final

from bus import subjects
from bus.log import Delivery

AGENTS_MAX: Final = 200
"""Most agents told apart by name; names come from outside."""
OTHERS: Final = "other"
NOBODY: Final = "mesh"
"""Who is counted where the subject names no agent."""


class Tally:
    """`counts`: by the name of the row in the table of subjects, then by agent. What is delivered again is not counted again."""

    def __init__(self) -> None:
        self.counts: dict[str, dict[str, int]] = {}
        self._agents: set[str] = set()

    def add(self, deliveries: Iterable[Delivery]) -> None:
        """Count these, dead letters to be as well: the log has accepted them."""
        for delivery in deliveries:
            found = subjects.find(delivery.entry.subject) if delivery.delivered == 1 else None
            if found is not None:
                row, tokens = found
                by_agent = self.counts.setdefault(row.name, {})
                agent = self._named(tokens.get("agent", NOBODY))
                by_agent[agent] = by_agent.get(agent, 0) + 1

    def _named(self, agent: str) -> str:
        if agent not in self._agents:
            if len(self._agents) == AGENTS_MAX:
                return OTHERS
            self._agents.add(agent)
        return agent
