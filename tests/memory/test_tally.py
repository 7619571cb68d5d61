"""What is counted of what the log brings, and how many names at most."""

from datetime import UTC, datetime
from typing import Any

from bus import subjects
from memory.tally import NAMES_MAX, OTHERS, Tally
from schemas.entry import Entry, Malformed
from schemas.llm import LLM_CALL
from schemas.memory import Action, ModelCalls


def bad(subject: str) -> Malformed:
    return Malformed(seq=1, time=datetime.now(UTC), event_id="e", subject=subject, reason="", headers={}, data=b"")


def episode(agent: str) -> str:
    return subjects.EPISODE.subject(agent=agent)


def call(seq: int, purpose: str, **figures: Any) -> Entry:
    context = {"model": "m", "purpose": purpose, "result": "answered"}
    body = Action(action_type=LLM_CALL, action_details=figures, context_state=context)
    tokens = {"agent": "ricardo"}
    return Entry(
        seq=seq, time=datetime.now(UTC), event_id=str(seq), subject=episode("ricardo"), name=subjects.EPISODE.name, tokens=tokens, body=body
    )


class TestTally:
    def test_messages_are_counted_by_kind_and_by_the_agent_in_their_subject(self) -> None:
        tally = Tally()
        opened = subjects.OPENED.subject(proposal="p")
        tally.add([bad(episode("nexus")), bad(episode("aria")), bad(opened)])
        tally.add([bad(episode("nexus"))])
        assert tally.counts == {"episode": {"nexus": 2, "aria": 1}, "consensus.opened": {"mesh": 1}}

    def test_what_is_on_no_subject_of_the_table_is_no_message(self) -> None:
        tally = Tally()
        tally.add([bad("mesh.learning.a.b.c")])
        assert tally.counts == {}

    def test_agents_beyond_the_limit_are_counted_together(self) -> None:
        tally = Tally()
        tally.add(bad(episode(f"agent-{n}")) for n in range(NAMES_MAX + 5))
        tally.add([bad(episode("agent-0"))])
        assert len(tally.counts["episode"]) == NAMES_MAX + 1
        assert (tally.counts["episode"][OTHERS], tally.counts["episode"]["agent-0"]) == (5, 2)

    def test_calls_to_a_language_model_are_added_up_and_what_is_no_figure_counts_for_nothing(self) -> None:
        tally = Tally()
        told = {"requests": 1, "input_tokens": 100, "output_tokens": 20, "duration_s": 0.5, "cost": 0.25}
        tally.add([call(1, "vote.weigh", **told), call(2, "vote.weigh", input_tokens=1, duration_s=20.0)])
        tally.add([call(3, "vote.weigh", input_tokens="many"), call(4, "vote.weigh", input_tokens=10**400), call(5, "NO PURPOSE")])
        sums = ModelCalls(
            agent_id="ricardo", purpose="vote.weigh", result="answered", calls=2, input_tokens=101, output_tokens=20, cost=0.25
        )
        assert tally.model_calls() == [sums]
        took = tally.model_call_times()["vote.weigh"]
        assert (took.count, took.sum_s, took.buckets["0.5"], took.buckets["30"]) == (2, 20.5, 1, 2)
        assert tally.counts == {"episode": {"ricardo": 5}}
