"""Histories of one proposal, written as a log would hold them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.consensus import Deadline, Decision, Opened, Proposal, Vote
from schemas.entry import Entry

START = datetime(2026, 1, 1, tzinfo=UTC)
NAMES: dict[Any, str] = {Opened: "opened", Proposal: "proposal", Vote: "vote", Deadline: "deadline", Decision: "decision"}


class History:
    """A growing log of one proposal; each call appends one entry and returns its position."""

    def __init__(self, proposal: str = "p") -> None:
        self.entries: list[Entry] = []
        self._proposal = proposal

    def append(self, body: Any, agent: str | None = None) -> int:
        seq = len(self.entries) + 1
        name = NAMES[type(body)]
        tokens = {"proposal": self._proposal} | ({"agent": agent} if agent else {})
        self.entries.append(
            Entry(
                seq=seq,
                time=START + timedelta(seconds=seq),
                event_id=f"e{seq}",
                subject=f"{name}-{seq}",
                name=f"consensus.{name}",
                tokens=tokens,
                body=body,
            )
        )
        return seq

    def opened(self, electorate: list[str], **fields: Any) -> "History":
        """A proposal by `gateway`, opened for this electorate."""
        self.append(Proposal(title="t", electorate=electorate, **fields), "gateway")
        deadline = (START + timedelta(hours=1)).isoformat()
        self.append(Opened(title="t", electorate=electorate, proposer="gateway", deadline=deadline, **fields))
        return self

    def vote(self, agent: str, choice: str) -> int:
        return self.append(Vote(choice=choice), agent)

    def deadline(self) -> int:
        return self.append(Deadline(proposal=self._proposal))
