"""Which dead letters say something of what is asked for, also where somebody wrote them by hand."""

import pytest

from memory.forgetting.letters import says
from schemas.dead import DeadLetter
from schemas.forgetting import ForgetRequest


@pytest.mark.parametrize("data", ["Größe", "漢字", "a", "", "bm8ganNvbg=="])
def test_one_whose_data_is_no_base64_does_not_and_does_no_harm(data: str) -> None:
    letter = DeadLetter(reason="r", subject="memory.episode.ops", stream_seq=1, delivered=1, headers={}, data=data, first_seen="")
    assert not says(letter, ForgetRequest(tag="mine"))
