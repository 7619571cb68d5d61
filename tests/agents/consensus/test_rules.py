"""The consensus rule, sentence by sentence."""

import msgspec
import pytest

from agents.consensus import rules
from schemas.consensus import Decision, Opened, Proposal, Vote
from tests.agents.consensus.histories import History

THREE = ["aria", "nexus", "ricardo"]


def end(history: History) -> Decision:
    decision = rules.verdict(folded(history))
    assert decision is not None
    return decision


def folded(history: History) -> rules.ProposalState:
    state = rules.fold(history.entries)
    assert state is not None
    return state


def undecided(history: History) -> bool:
    return rules.verdict(folded(history)) is None


class TestRefusal:
    def test_a_refused_proposal_is_decided_without_having_been_opened(self) -> None:
        history = History()
        seq = history.append(Proposal(title="t", required_approvers=["boss"]), "ops")
        history.append(rules.refusal(folded(history)))
        refused = folded(history)
        assert refused.decision == Decision(status="rejected", choice=None, tally={}, votes=[], decided_at_seq=seq)
        assert rules.verdict(refused) is None
        assert rules.view(refused) is None


class TestReceipts:
    def test_what_a_voter_recalled_changes_no_byte_of_the_decision(self) -> None:
        plain, telling = History().opened(THREE), History().opened(THREE)
        for agent in ("nexus", "aria"):
            plain.append(Vote(choice="approve"), agent)
            telling.append(Vote(choice="approve", recalled=["e1", "e2"]), agent)
        assert msgspec.json.encode(end(plain)) == msgspec.json.encode(end(telling))

    def test_a_vote_without_one_is_written_as_before(self) -> None:
        assert b"recalled" not in msgspec.json.encode(Vote(choice="approve"))


class TestThreshold:
    def test_two_of_three_agree_accepts(self) -> None:
        h = History().opened(THREE)
        h.vote("nexus", "approve")
        assert undecided(h)
        certain = h.vote("aria", "approve")
        decision = end(h)
        assert (decision.status, decision.choice, decision.decided_at_seq) == ("accepted", "approve", certain)
        assert decision.tally == {"approve": 2, "reject": 0, "abstain": 0, "absent": 1}

    def test_two_of_four_is_not_two_thirds(self) -> None:
        h = History().opened([*THREE, "ops"])
        h.vote("nexus", "approve")
        h.vote("aria", "approve")
        assert undecided(h)
        h.vote("ops", "approve")
        assert end(h).status == "accepted"

    def test_one_of_one_accepts(self) -> None:
        h = History().opened(["nexus"])
        h.vote("nexus", "approve")
        assert end(h).status == "accepted"

    def test_a_stricter_threshold_is_kept(self) -> None:
        h = History().opened(THREE, threshold="1/1")
        h.vote("nexus", "approve")
        h.vote("aria", "approve")
        assert undecided(h)
        h.vote("ricardo", "approve")
        assert end(h).status == "accepted"

    def test_the_electorate_counts_not_those_who_answered(self) -> None:
        h = History().opened([*THREE, "ops", "dba", "sre"])
        for agent in ("nexus", "aria"):
            h.vote(agent, "approve")
        h.deadline()
        assert end(h).status == "expired"

    @pytest.mark.parametrize("threshold", ["1/2", "3/5", "2/1", "0/3", "2", "two thirds", "2/0"])
    def test_a_threshold_below_two_thirds_or_not_a_fraction_is_refused(self, threshold: str) -> None:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({"title": "t", "threshold": threshold}, Proposal)


class TestRejection:
    def test_it_ends_as_soon_as_acceptance_is_impossible(self) -> None:
        h = History().opened(THREE)
        h.vote("nexus", "reject")
        assert undecided(h)
        certain = h.vote("aria", "reject")
        assert end(h) == rules.verdict(folded(h))
        assert (end(h).status, end(h).choice, end(h).decided_at_seq) == ("rejected", "reject", certain)

    def test_abstaining_is_not_agreement(self) -> None:
        h = History().opened(THREE)
        h.vote("nexus", "abstain")
        h.vote("aria", "abstain")
        assert (end(h).status, end(h).choice) == ("rejected", None)

    def test_a_required_approver_who_refuses_rejects(self) -> None:
        h = History().opened(THREE, required_approvers=["ricardo"])
        h.vote("ricardo", "abstain")
        assert end(h).status == "rejected"

    def test_acceptance_waits_for_the_required_approver(self) -> None:
        h = History().opened(THREE, required_approvers=["ricardo"])
        h.vote("nexus", "approve")
        h.vote("aria", "approve")
        assert undecided(h)
        h.vote("ricardo", "approve")
        assert end(h).status == "accepted"

    def test_three_ways_that_cannot_agree_are_rejected_without_a_choice(self) -> None:
        h = History().opened(THREE, options=["postgres", "redis", "nats"])
        for agent, choice in zip(THREE, ["postgres", "redis", "nats"], strict=True):
            h.vote(agent, choice)
        assert (end(h).status, end(h).choice) == ("rejected", None)


class TestWhichVotesCount:
    def test_the_first_vote_of_an_agent_counts_later_ones_do_not(self) -> None:
        h = History().opened(THREE)
        h.vote("nexus", "approve")
        h.vote("nexus", "reject")
        h.vote("nexus", "approve")
        assert undecided(h)
        h.vote("aria", "approve")
        assert end(h).tally["approve"] == 2
        assert [v.counted for v in end(h).votes] == [True, False, False, True]

    def test_a_vote_after_the_deadline_does_not_count(self) -> None:
        h = History().opened(THREE)
        h.vote("nexus", "approve")
        expired = h.deadline()
        h.vote("aria", "approve")
        decision = end(h)
        assert (decision.status, decision.decided_at_seq) == ("expired", expired)
        assert decision.tally["absent"] == 2

    def test_a_vote_before_the_opening_does_not_count(self) -> None:
        h = History()
        h.append(Proposal(title="t"), "gateway")
        h.vote("nexus", "approve")
        h.append(Opened(title="t", electorate=THREE, proposer="gateway", deadline="2027-01-01T00:00:00Z"))
        h.vote("aria", "approve")
        assert undecided(h)

    def test_someone_outside_the_electorate_does_not_count(self) -> None:
        h = History().opened(THREE)
        h.vote("nexus", "approve")
        h.vote("mallory", "approve")
        assert undecided(h)

    def test_an_unknown_choice_does_not_use_up_the_vote(self) -> None:
        h = History().opened(THREE)
        h.vote("nexus", "maybe")
        h.vote("nexus", "approve")
        h.vote("aria", "approve")
        assert end(h).status == "accepted"
        assert [v.counted for v in end(h).votes] == [False, True, True]

    def test_votes_after_the_decision_are_shown_and_do_not_count(self) -> None:
        h = History().opened(THREE)
        h.vote("nexus", "approve")
        h.vote("aria", "approve")
        before = end(h)
        h.vote("ricardo", "reject")
        assert end(h) == before
        shown = rules.view(folded(h))
        assert shown is not None
        assert [(v.agent, v.counted) for v in shown.votes] == [("nexus", True), ("aria", True), ("ricardo", False)]


class TestOpening:
    def proposed(self, **fields: object) -> rules.ProposalState:
        h = History()
        h.append(msgspec.convert({"title": "t", **fields}, Proposal), "gateway")
        return folded(h)

    def test_without_an_electorate_every_member_that_takes_votes_is_in_it(self) -> None:
        opened = rules.open_with(self.proposed(), ["ricardo", "aria"], "2026-01-01T00:00:00Z")
        assert opened.electorate == ["aria", "ricardo"]

    def test_an_empty_electorate_is_refused(self) -> None:
        with pytest.raises(ValueError, match="empty"):
            rules.open_with(self.proposed(), [], "-")

    def test_a_required_approver_who_is_not_a_member_is_refused(self) -> None:
        with pytest.raises(ValueError, match="boss"):
            rules.open_with(self.proposed(required_approvers=["boss"]), THREE, "-")

    def test_a_second_opening_changes_nothing(self) -> None:
        h = History().opened(THREE)
        h.append(Opened(title="t", electorate=["mallory"], proposer="mallory", deadline="2027-01-01T00:00:00Z"))
        h.vote("mallory", "approve")
        assert undecided(h)


class TestOpened:
    """Whoever may write `opened` writes it whole, or it is no entry of the log."""

    WHOLE = {"title": "t", "proposer": "ops", "electorate": ["aria"], "deadline": "2027-01-01T00:00:00Z"}

    def test_whole_it_is_one(self) -> None:
        msgspec.convert(self.WHOLE, Opened)

    @pytest.mark.parametrize(
        "fault",
        [
            {"electorate": None},
            {"deadline": "soon"},
            {"deadline": ""},
            {"deadline": "2027-01-01T00:00:00"},
            {"deadline": "9999-12-31T23:59:59-12:00"},
        ],
    )
    def test_without_an_electorate_or_a_time_it_is_none(self, fault: dict[str, object]) -> None:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(self.WHOLE | fault, Opened)


class TestForgottenVotes:
    def test_what_was_decided_with_a_vote_stands_when_it_is_forgotten(self) -> None:
        h = History().opened(THREE)
        h.vote("nexus", "approve")
        erased = h.vote("aria", "approve")
        decision = end(h)
        h.append(decision)
        h.deadline()
        h.entries = [entry for entry in h.entries if entry.seq != erased]
        assert end(h) == decision

    def test_the_others_keep_their_votes(self) -> None:
        h = History().opened(THREE)
        first, second = h.vote("nexus", "approve"), h.vote("aria", "reject")
        assert [cast.seq for cast in rules.without(folded(h), {first}).votes] == [second]
