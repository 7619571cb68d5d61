"""Runs of the consolidation, put together."""

from typing import Any

from agents.skills.data_consolidation import CONCEPTS_TOLD_MAX, combined, ending
from schemas.concepts import ConsolidationReport


def report(run: str, **fields: Any) -> ConsolidationReport:
    known: dict[str, Any] = {
        "run": run, "examined": 100, "formed": 2, "joined": 1, "contradictions": 0, "concepts": [f"c-{run}"], "complete": False,
        "took_ms": 5.0,
    }  # fmt: skip
    return ConsolidationReport(**{**known, **fields})


class TestCombined:
    def test_sums_and_each_concept_once(self) -> None:
        told = combined([report("r1"), report("r2", concepts=["c-r1", "c-r2"], contradictions=1)], "complete")
        assert (told.runs, told.examined, told.formed, told.joined, told.contradictions) == (["r1", "r2"], 200, 4, 2, 1)
        assert (told.concepts, told.complete, told.took_ms) == (["c-r1", "c-r2"], True, 10.0)

    def test_only_so_many_concepts_are_named(self) -> None:
        told = combined([report("r1", concepts=[f"c{n}" for n in range(2_000)])], "time")
        assert (len(told.concepts), told.complete) == (CONCEPTS_TOLD_MAX, False)


class TestEnding:
    def test_it_goes_on_until_nothing_is_left(self) -> None:
        assert ending([]) is None
        assert ending([report("r1")]) is None
        assert ending([report("r1"), report("r2", complete=True)]) == "complete"

    def test_runs_that_look_at_nothing_are_given_up(self) -> None:
        assert ending([report("r1"), report("r2", examined=0)]) is None
        assert ending([report("r1", examined=0), report("r2", examined=0)]) == "idle"

    def test_it_has_an_end(self) -> None:
        assert ending([report(f"r{n}") for n in range(1_000)]) == "runs"
