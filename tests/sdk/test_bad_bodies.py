"""What others may send that is no body: an agent passes it over, and does not end by it."""

from typing import Any

import pytest
from nats.aio.msg import Msg

from cerebro_agent.affect import Feelings
from cerebro_agent.messages import Affect, Stimulus
from cerebro_agent.names import Names
from cerebro_agent.task import _fence
from cerebro_agent.votes import Votes
from cerebro_agent.work import Work

BODIES = [b"{", b'{"fence": "x", "valence": "y"}', b'{"fence": "\xff"}', b'{"topic": ' + b"[" * 3_000]


def message(data: bytes) -> Msg:
    return Msg(_client=None, subject="mesh.emotion.other", data=data)  # type: ignore[arg-type]


async def nothing(*_: Any) -> None:
    """Is not called."""


@pytest.mark.parametrize("data", BODIES, ids=lambda b: repr(b[:12]))
class TestBodies:
    def test_what_is_no_assignment_is_none(self, data: bytes) -> None:
        assert Work._read(message(data)) is None
        assert _fence(data) == 0

    async def test_what_is_no_proposal_waits_for_no_vote(self, data: bytes) -> None:
        votes = Votes(None, Names("ops", "1", ""), "ops", nothing, 1)  # type: ignore[arg-type]
        await votes._hear(message(data))
        assert votes._waiting.empty()

    @pytest.mark.parametrize("kind", [Affect, Stimulus])
    def test_what_is_no_affect_is_not_heard(self, data: bytes, kind: type[Affect | Stimulus]) -> None:
        feelings = Feelings(None, Names("ops", "1", ""), "ops", nothing, nothing)  # type: ignore[arg-type]
        feelings._take("other", message(data), kind)
        assert feelings._waiting.empty()
