"""The examples, before they run."""

import ast
import json
import sys

from tests.contract.conftest import ROOT

EXAMPLES = ROOT / "examples"


def imported(path: str) -> set[str]:
    tree = ast.parse((EXAMPLES / path).read_text())
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names)


def test_each_needs_what_it_says_and_nothing_of_the_mesh() -> None:
    assert imported("python_sdk/agent.py") == {"cerebro_agent", "msgspec"}
    assert imported("python_nats/agent.py") == {"nats"}
    package = json.loads((EXAMPLES / "typescript" / "package.json").read_text())
    assert list(package["dependencies"]) == ["@nats-io/transport-node"]


def test_the_lock_names_what_is_installed_by_its_hash_and_no_registry() -> None:
    text = (EXAMPLES / "typescript" / "package-lock.json").read_text()
    packages = {name: found for name, found in json.loads(text)["packages"].items() if name}
    assert packages
    assert all(found["integrity"].startswith("sha512-") and "resolved" not in found for found in packages.values())
    assert "://" not in text
