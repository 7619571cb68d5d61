"""What runs add up to."""

from pathlib import Path

from tests.fuzz import report


def line(seed: int, commit: str, inputs: int, faults: int = 0) -> report.Line:
    return report.Line(
        seed=seed, commit=commit, inputs=inputs, cases=10, faults=faults, played_s=1.0, took_s=2.0, outcomes={"400": inputs}, rss_mib={}
    )


def test_runs_are_added_up_for_each_commit_and_those_with_faults_apart(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    for one in (line(1, "a", 1_000), line(2, "a", 500), line(3, "a", 70, faults=1), line(4, "b", 3)):
        report.append(path, one)
    assert report.told(report.read(path)).splitlines() == [
        "a: 2 runs, 1,500 inputs, 20 cases, 4 s; with faults: 1 runs, 70 inputs, 10 cases, 2 s",
        "b: 1 runs, 3 inputs, 10 cases, 2 s; with faults: 0 runs, 0 inputs, 0 cases, 0 s",
    ]


def test_the_commit_is_named() -> None:
    assert len(report.commit().removesuffix("-dirty")) >= 7
