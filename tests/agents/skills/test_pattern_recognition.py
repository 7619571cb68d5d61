"""What recurs in episodes, as the skill tells it."""

import random

import msgspec
import pytest

from agents.skills.happenings import Happening, happening, sittings
from agents.skills.pattern_recognition import FINDINGS_MAX, Examined, Patterns, recognise
from tests.agents.skills.happened import happened, noise, told
from tests.agents.skills.hits import episode

ASKED = Examined()


def of_sessions(sessions: list[list[str]]) -> list[Happening]:
    return [h for row in told(sessions) for h in row]


class TestSentences:
    def test_a_sequence_says_how_often_and_how_often_by_chance(self) -> None:
        [found] = recognise(of_sessions([["plan", "code", "test"]] * 6), ASKED).sequences
        assert found.sentence.startswith("plan → code → test: in 6 of 6 sessions")
        assert found.sentence.endswith("where 1.0 would have it by chance.")
        assert (found.steps, found.support, found.share, found.expected) == (["plan", "code", "test"], 6, 1.0, 1.0)

    def test_a_burst_says_when(self) -> None:
        rows = [happened(n, "beat", at=100.0 * n) for n in range(100)] + [
            happened(n, "error", id=f"x{n}", at=5_000.0 + n) for n in range(9)
        ]
        [found] = recognise(rows, ASKED).bursts
        assert (found.action_type, found.since, found.support) == ("error", "1970-01-01T01:23:20.000000Z", 9)
        assert found.sentence.startswith("error came 9 times within 8 s from 1970-01-01T01:23:20")

    def test_an_association_says_of_what(self) -> None:
        rows = [happened(n, "deploy" if n % 2 else "review", outcome="failure" if n % 2 else "success") for n in range(20)]
        sentences = [a.sentence for a in recognise(rows, ASKED).associations]
        assert (
            "Where there is action deploy, there is outcome failure in 100% of the episodes (10 of 10), 2.0 times the average." in sentences
        )

    def test_what_episodes_say_is_not_said_again_of_sessions(self) -> None:
        rows = [happened(n, "note", session=f"s{n}", tags=("a", "b") if n % 2 else ()) for n in range(40)]
        assert [(a.within, {*a.premises, a.conclusion}) for a in recognise(rows, ASKED).associations] == [("episode", {"tag a", "tag b"})]

    def test_what_only_sessions_bring_together(self) -> None:
        sessions = [["alarm", "page"] if n % 2 else ["idle", "idle"] for n in range(30)]
        assert {(a.within, *sorted((*a.premises, a.conclusion))) for a in recognise(of_sessions(sessions), ASKED).associations} == {
            ("session", "action alarm", "action page")
        }

    def test_a_period_says_how_long(self) -> None:
        [found] = recognise([happened(n, "backup") for n in range(20)], ASKED).periods
        assert found.sentence == "backup of nexus comes about every 60 s: 19 of 19 pauses."


class TestChance:
    def test_noise_of_every_sort_yields_nothing(self) -> None:
        """Ten worlds, four ways to look at each: two false findings would be many."""
        false = 0
        for seed in range(10):
            rnd, now, rows = random.Random(seed), 0.0, []
            for n, kind in enumerate(k for row in noise(seed, 20, 6, 20) for k in row):
                now += rnd.expovariate(1 / 300)
                tags = tuple(f"t{k}" for k in range(6) if rnd.random() < 0.2)
                rows.append(happened(n, kind, at=now, tags=tags, outcome=rnd.choice(["success", "failure"])))
            found = recognise(rows, ASKED)
            false += len(found.sequences) + len(found.bursts) + len(found.associations) + len(found.periods)
        assert false <= 2

    def test_the_same_episodes_give_the_same_findings(self) -> None:
        rows = of_sessions([*noise(2, 20, 4, 12), *([["x", "y", "z"]] * 9)])
        shuffled = random.Random(1).sample(rows, len(rows))
        assert recognise(rows, ASKED) == recognise(shuffled, ASKED)


class TestBounds:
    @pytest.mark.parametrize("rows", [[], [happened(1, "a")], [happened(n, "a", at=5.0) for n in range(3)]])
    def test_nothing_and_next_to_nothing(self, rows: list[Happening]) -> None:
        found = recognise(rows, ASKED)
        assert (found.examined, found.sequences, found.bursts, found.associations, found.periods) == (len(rows), [], [], [], [])

    def test_findings_evidence_and_size_have_a_limit(self) -> None:
        rows = [happened(n, f"k{n % 40}", session=f"s{n // 4}", tags=(f"t{n % 40}", f"u{n % 40}", f"v{n % 40}" * 60)) for n in range(8_000)]
        found = recognise(rows, Examined(false_rate_max=1.0))
        assert max(len(found.sequences), len(found.associations), len(found.periods)) == FINDINGS_MAX
        assert len(msgspec.json.encode(found)) < 500_000

    def test_the_limits_of_the_input(self) -> None:
        for bad in ({"limit": 0}, {"limit": 10_001}, {"support_min": 1}, {"gap_s": 0}, {"agent_id": ["a"] * 21}, {"agent_id": "No Token"}):
            with pytest.raises(msgspec.ValidationError):
                msgspec.convert(bad, Examined)
        assert msgspec.convert({"agent_id": "nexus"}, Examined).agent_id == "nexus"

    def test_the_output_is_plain(self) -> None:
        found = recognise(of_sessions([["plan", "code", "test"]] * 6), ASKED)
        assert msgspec.convert(msgspec.to_builtins(found), Patterns) == found


class TestHappenings:
    def test_an_episode_with_its_outcome(self) -> None:
        e = episode("e1", action_type="deploy", action_details={"status": "failure"}, tags=["b", "a", "b"], session_id="s")
        assert happening(e) == Happening(
            id="e1", agent="nexus", at=1_795_341_600.0, kind="deploy", session="s", tags=("a", "b"), outcome="failure"
        )

    @pytest.mark.parametrize("details", [{}, {"outcome": 3}, {"outcome": ""}, {"status": "x" * 101}])
    def test_what_is_no_outcome(self, details: dict[str, object]) -> None:
        assert happening(episode("e1", action_details=details)).outcome is None

    def test_a_pause_ends_a_sitting_but_not_a_session(self) -> None:
        rows = [happened(1, "a", at=0), happened(2, "b", at=100), happened(3, "c", at=1_000)]
        assert [[h.kind for h in s] for s in sittings(rows, 500)] == [["a", "b"], ["c"]]
        in_session = [msgspec.structs.replace(h, session="s") for h in rows]
        assert [[h.kind for h in s] for s in sittings(in_session, 500)] == [["a", "b", "c"]]

    def test_each_agent_sits_alone(self) -> None:
        rows = [happened(n, "a", agent=agent) for n, agent in enumerate(["x", "y", "x"])]
        assert sorted(len(s) for s in sittings(rows, 500)) == [1, 2]
