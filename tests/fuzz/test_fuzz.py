"""A whole mesh under bad input, on the bus and at its door."""

import asyncio
from pathlib import Path

import pytest

from tests.fuzz.__main__ import Options, fuzz
from tests.integration.launched import Up


@pytest.mark.fuzz
@pytest.mark.timeout(1_800)
def test_ten_thousand_inputs_break_nothing(tmp_path: Path) -> None:
    up = Up(tmp_path / "data").wait_until_ready()
    try:
        assert asyncio.run(fuzz(Options(seed=7, budget_s=0, inputs=10_000, only=None), up)) == 0
    finally:
        up.stop()
