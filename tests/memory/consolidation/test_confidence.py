"""Confidence: the mean of a Beta posterior."""

import pytest

from memory.consolidation.confidence import confidence
from tests.memory.consolidation.told import said


class TestConfidence:
    @pytest.mark.parametrize(
        ("agents", "against", "told", "expected"),
        [
            ("", [], None, 1 / 2),
            ("ab", [], None, 3 / 4),
            ("abc", [], None, 4 / 5),
            ("aa", [], None, 2.5 / 3.5),  # the second of one session counts half
            ("ab", ["e1"], None, 2 / 5),  # 1 agrees, 1 says otherwise and weighs 2
            ("ab", ["e0", "e1"], None, 1 / 6),
            ("ab", [], 0.9, 3.8 / 4),
            ("", [], 0.9, 0.9),
        ],
    )
    def test_known_values(self, agents: str, against: list[str], told: float | None, expected: float) -> None:
        sources = [said("x", agent=agent, start=n)[0] for n, agent in enumerate(agents)]
        assert confidence(sources, 0, against, told) == pytest.approx(expected, abs=1e-4)

    def test_sources_that_are_not_at_hand_count_half(self) -> None:
        assert confidence(said("x"), 4, []) == pytest.approx(4 / 5)

    def test_another_session_is_another_witness(self) -> None:
        one, two = said("x", session="a"), said("x", session="b", start=1)
        assert confidence([*one, *two], 0, []) > confidence([*one, *said("x", session="a", start=1)], 0, [])
