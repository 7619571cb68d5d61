"""The package stands by itself: what it imports, what it is built of."""

import ast
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

SDK = Path(__file__).parents[2] / "sdk" / "python"
MAY_IMPORT = {"cerebro_agent", "msgspec", "nats"}


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            found.add((node.module or "").partition(".")[0])
    return found


def test_it_imports_its_two_dependencies_and_the_standard_library_only() -> None:
    found = set().union(*(imported(p) for p in (SDK / "cerebro_agent").glob("*.py")))
    assert found - set(sys.stdlib_module_names) == MAY_IMPORT
    told = tomllib.loads((SDK / "pyproject.toml").read_text())["project"]["dependencies"]
    assert sorted(d.partition(">")[0].partition("[")[0] for d in told) == ["msgspec", "nats-py"]


def test_a_wheel_is_built_without_a_network(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", tmp_path, SDK]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [wheel] = tmp_path.glob("cerebro_agent-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"cerebro_agent/__init__.py", "cerebro_agent/py.typed"} <= set(names)
