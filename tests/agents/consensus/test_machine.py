"""Any interleaving of proposals, votes, duplicates, deadlines, decision writers and crashes gives one decision.

The machine plays a log with compare-and-set and several replicas. Each replica reads at its own pace, may crash (and
then reads again from the start) and writes a decision as soon as its own fold is certain. An oracle that knows nothing
of the rules' code recounts the log.
"""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agents.consensus import rules
from schemas.consensus import Decision, Opened
from schemas.entry import Entry
from tests.agents.consensus.histories import History

AGENTS = ["a", "b", "c", "d", "e"]
REPLICAS = 3


def oracle(entries: list[Entry]) -> tuple[str, str | None, int] | None:
    """The outcome recounted from scratch: status, choice, and the entry at which it is certain."""
    opened: Any = next((e for e in entries if e.name == "consensus.opened"), None)
    if opened is None:
        return None
    body: Opened = opened.body
    electorate = set(body.electorate or [])
    a, b = (int(x) for x in body.threshold.split("/"))
    first: dict[str, str] = {}
    for entry in entries:
        if entry.seq <= opened.seq:
            continue
        if entry.name == "consensus.deadline":
            return "expired", None, entry.seq
        if entry.name != "consensus.vote" or entry.agent not in electorate or entry.agent in first:
            continue
        if entry.body.choice not in {*body.options, "abstain"}:
            continue
        first[entry.agent] = entry.body.choice
        open_votes = len(electorate) - len(first)
        hope = False
        for option in body.options:
            votes = list(first.values()).count(option)
            if option == "reject":
                continue
            if votes * b >= a * len(electorate) and all(first.get(r) == option for r in body.required_approvers):
                return "accepted", option, entry.seq
            free = all(first.get(r, option) == option for r in body.required_approvers)
            hope = hope or (free and (votes + open_votes) * b >= a * len(electorate))
        if not hope:
            refused = list(first.values()).count("reject") * b >= a * len(electorate)
            return "rejected", "reject" if refused else None, entry.seq
    return None


class Consensus(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.log = History()
        self.read = [0] * REPLICAS
        self.folds: list[rules.ProposalState | None] = [None] * REPLICAS
        self.decisions: list[Decision] = []

    @initialize(
        electorate=st.lists(st.sampled_from(AGENTS), min_size=1, unique=True),
        threshold=st.sampled_from(["2/3", "3/4", "1/1"]),
        options=st.sampled_from([["approve", "reject"], ["x", "y"], ["x", "y", "reject"]]),
        data=st.data(),
    )
    def propose(self, electorate: list[str], threshold: str, options: list[str], data: Any) -> None:
        required = data.draw(st.lists(st.sampled_from(electorate), max_size=1))
        self.log.opened(electorate, threshold=threshold, options=options, required_approvers=required)

    @rule(agent=st.sampled_from([*AGENTS, "mallory"]), choice=st.sampled_from(["approve", "reject", "x", "y", "abstain", "nonsense"]))
    def vote(self, agent: str, choice: str) -> None:
        self.log.vote(agent, choice)

    @rule()
    def deadline(self) -> None:
        self.log.deadline()

    @rule(replica=st.integers(0, REPLICAS - 1), entries=st.integers(1, 5))
    def reads_on(self, replica: int, entries: int) -> None:
        for entry in self.log.entries[self.read[replica] : self.read[replica] + entries]:
            self.folds[replica] = rules.apply(self.folds[replica], entry)
            self.read[replica] += 1

    @rule(replica=st.integers(0, REPLICAS - 1))
    def crashes(self, replica: int) -> None:
        self.read[replica], self.folds[replica] = 0, None

    @rule(replica=st.integers(0, REPLICAS - 1))
    def writes_the_decision_if_it_is_certain(self, replica: int) -> None:
        state = self.folds[replica]
        if state is None or state.decision is not None or (decision := rules.verdict(state)) is None:
            return
        self.decisions.append(decision)
        if not any(e.name == "consensus.decision" for e in self.log.entries):  # the server's compare-and-set
            self.log.append(decision)

    @invariant()
    def every_replica_decides_the_same_bytes(self) -> None:
        assert all(d == self.decisions[0] for d in self.decisions)

    @invariant()
    def the_rule_agrees_with_a_recount(self) -> None:
        state = rules.fold(self.log.entries)
        if state is None:
            return
        decision = rules.verdict(state)
        found = None if decision is None else (decision.status, decision.choice, decision.decided_at_seq)
        assert found == oracle(self.log.entries)

    @invariant()
    def the_tally_adds_up_to_the_electorate(self) -> None:
        for decision in self.decisions[-1:]:
            assert sum(decision.tally.values()) == len((self.folds_opened().electorate) or [])

    def folds_opened(self) -> Opened:
        state = rules.fold(self.log.entries)
        assert state is not None
        assert state.opened is not None
        return state.opened


TestConsensusMachine = Consensus.TestCase
TestConsensusMachine.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
