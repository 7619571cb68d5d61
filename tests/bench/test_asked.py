"""What a run of the benches is asked by its environment."""

from pathlib import Path

import msgspec
import pytest

from bench.asked import SIZES, read


class TestRead:
    def test_what_is_asked_leaves_the_environment_because_cerebro_would_refuse_it(self):
        environ = {
            "CEREBRO_BENCH_LOCOMO": "/x.json",
            "CEREBRO_BENCH_SIZES": "10,200",
            "CEREBRO_BENCH_ROWS": "7",
            "CEREBRO_LOG_LEVEL": "INFO",
        }
        asked = read(environ)
        assert (asked.locomo, asked.sizes, asked.rows) == (Path("/x.json"), (10, 200), 7)
        assert environ == {"CEREBRO_LOG_LEVEL": "INFO"}

    def test_nothing_is_asked_for_by_nothing(self):
        asked = read({})
        assert (asked.locomo, asked.beam, asked.python, asked.sizes) == (None, None, None, SIZES)

    def test_a_value_that_does_not_fit_is_an_error(self):
        with pytest.raises(msgspec.ValidationError):
            read({"CEREBRO_BENCH_SIZES": "many"})
