"""The table of subjects."""

import ast
import re
from pathlib import Path

import pytest

from bus import subjects

ROOT = Path(__file__).parents[2]
LITERAL = re.compile(r"^(mesh|memory|ask|dead|log|timer|agents)\.[a-z*>{_$]")
ROOMS = ("schemas", "bus", "memory", "agents", "gateway", "cerebro")


def literals(path: Path) -> list[str]:
    """String constants of a file that look like subjects; docstrings do not count."""
    tree = ast.parse(path.read_text())
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    constants = (n for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str) and id(n) not in docs)
    return [str(n.value) for n in constants if LITERAL.match(str(n.value))]


class TestTable:
    def test_no_subject_literal_stands_anywhere_else(self) -> None:
        files = [p for room in ROOMS for p in (ROOT / room).rglob("*.py") if p != ROOT / "bus" / "subjects.py"]
        assert {str(p): found for p in files if (found := literals(p))} == {}

    @pytest.mark.parametrize("row", subjects.TABLE, ids=lambda r: r.name)
    def test_every_subject_is_found_again_as_its_own_row(self, row: subjects.Subject) -> None:
        tokens = dict.fromkeys(re.findall(r"\{(\w+)\}", row.pattern), "x-1")
        assert subjects.find(row.subject(**tokens)) == (row, tokens)

    def test_who_changes_the_tokens_it_was_given_changes_nobody_elses(self) -> None:
        for _ in range(2):
            found = subjects.find(subjects.LESSON.subject(agent="aria"))
            assert found == (subjects.LESSON, {"agent": "aria"})
            found[1].clear()

    def test_names_are_unique(self) -> None:
        assert len({row.name for row in subjects.TABLE}) == len(subjects.TABLE)

    @pytest.mark.parametrize(
        "subject",
        ["mesh.learning", "mesh.learning.a.b", "mesh.learning.a b", "mesh.consensus.p.vote", "mesh.learning.ñ", "", "x"],
    )
    def test_a_wrong_subject_is_none_of_ours(self, subject: str) -> None:
        assert subjects.find(subject) is None

    def test_what_is_stored_lies_within_a_stream(self) -> None:
        for row in subjects.TABLE:
            if row.stream == subjects.MESH:
                assert any(row.pattern.startswith(s.removesuffix(">")) for s in subjects.MESH_SUBJECTS), row.name

    def test_an_aggregate_is_everything_about_one_proposal(self) -> None:
        assert subjects.aggregate(subjects.VOTE, proposal="p1") == "mesh.consensus.p1.>"
