"""Which dead letters are asked for, also where somebody wrote them by hand."""

import pytest

from memory.forgetting.payloads import Letter, is_asked_for
from schemas.dead import DeadLetter
from schemas.forgetting import ForgetRequest


@pytest.mark.parametrize("data", ["Größe", "漢字", "a", "", "bm8ganNvbg=="])
def test_one_whose_data_is_no_base64_is_not_and_does_no_harm(data: str) -> None:
    letter = DeadLetter(reason="r", subject="memory.episode.ops", stream_seq=1, delivered=1, headers={}, data=data, first_seen="")
    assert not is_asked_for(ForgetRequest(tag="mine"), Letter(1, 1, "event", letter))
