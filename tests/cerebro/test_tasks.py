"""`cerebro tasks simulate` on a file, as an operator runs it."""

import json
from pathlib import Path

import msgspec
import pytest

from cerebro.cli import main
from cerebro.tasks import BadInput, changed
from schemas.words import rfc3339
from tests.agents.tasks.test_replay import BUSY_MASTER, USUAL, one


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["tasks", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """An assignment to aria, who is busy and good at it, and her result."""
    story = one("aria", BUSY_MASTER)
    story.result("aria", 1)
    lines = [
        msgspec.json.encode({"subject": e.subject, "seq": e.seq, "time": rfc3339(e.time), "body": e.body}).decode() for e in story.entries
    ]
    file = tmp_path / "tasks.ndjson"
    file.write_text("\n".join(reversed(lines)) + "\n")
    return file


class TestSimulate:
    def test_it_says_which_assignments_would_have_differed(self, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("simulate", "--log", str(log), "--weight", "load=1", "--weight", "success=0") == 0
        told = capsys.readouterr().out
        assert "weights: skill 0.35, similarity 0.2, success 0, load 1, affect 0.1" in told
        assert "1 assignments with scores, 1 would have gone to somebody else" in told
        assert "had it, succeeded" in told
        assert "expected to succeed: 0.67 of 1 as recorded, 0.50 as changed" in told
        assert "is an estimate" in told

    def test_json_has_everything(self, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("simulate", "--log", str(log), "--weight", "load=1", "--weight", "success=0", "--json") == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["assignments"], told["succeeded"], told["failed"]) == (1, 1, 0)
        (different,) = told["different"]
        assert (different["was"]["agent"], different["would"]["agent"], different["succeeded"]) == ("aria", "nexus", True)

    def test_without_other_weights_nothing_differs(self, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("simulate", "--log", str(log)) == 0
        assert "0 would have gone to somebody else" in capsys.readouterr().out

    def test_a_saved_event_stream_is_read_as_well(self, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
        events = [f": connected\nid: {n}\nevent: x\ndata: {line}\n" for n, line in enumerate(log.read_text().splitlines())]
        log.write_text("\n".join(events))
        assert run("simulate", "--log", str(log)) == 0
        assert "1 assignments with scores" in capsys.readouterr().out


class TestBadInput:
    @pytest.mark.parametrize(
        ("given", "sentence"),
        [
            ("luck=1", "no weight 'luck'; there are skill, similarity, success, load, affect"),
            ("load", "'' is no number"),
            ("load=much", "'much' is no number"),
            ("load=2", "a weight is 0 … 1"),
            ("load=nan", "a weight is 0 … 1"),
        ],
    )
    def test_a_weight_that_is_none_is_named(self, given: str, sentence: str, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("simulate", "--log", str(log), "--weight", given) == 2
        assert f"--weight {given}: {sentence}" in capsys.readouterr().err

    def test_weights_that_are_all_nothing_are_refused(self) -> None:
        with pytest.raises(BadInput, match="nothing would count"):
            changed(USUAL, [f"{name}=0" for name in ("skill", "similarity", "success", "load", "affect")])

    @pytest.mark.parametrize(
        "line", ['{"subject": 1}', "{", "hello", '{"subject": "a", "seq": 1, "time": "2026-11-22T10:00:09", "body": {}}']
    )
    def test_a_line_that_is_no_entry_is_named(self, line: str, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
        log.write_text(log.read_text() + line + "\n")
        assert run("simulate", "--log", str(log)) == 2
        assert f"{log}, line 4: " in capsys.readouterr().err

    def test_what_no_fold_takes_is_passed_over(self, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
        log.write_text(
            log.read_text() + '{"subject": "mesh.task.t1.result.x", "seq": 9, "time": "2026-11-22T10:00:09Z", "body": {"fence": 0}}\n'
        )
        assert run("simulate", "--log", str(log)) == 0
        assert "1 assignments" in capsys.readouterr().out

    def test_a_file_that_is_not_there_and_a_mesh_that_does_not_run(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("simulate", "--log", str(tmp_path / "none")) == 1
        assert "No such file" in capsys.readouterr().err
        assert run("export", "--data", str(tmp_path)) == 1
        assert "no mesh runs" in capsys.readouterr().err
