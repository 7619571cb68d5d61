"""Make requirements.lock from pyproject.toml, or say whether it still belongs to it.

    python .ci/lock.py write      asks the package index (needs uv, a dev dependency)
    python .ci/lock.py check      reads two files, asks nobody

The first line of the lock holds a digest of everything in pyproject.toml that it was made from, so that a changed
requirement without a new lock is noticed at once, offline.
"""

import hashlib
import json
import pathlib
import subprocess
import sys
import tomllib

PROJECT = pathlib.Path("pyproject.toml")
LOCK = pathlib.Path("requirements.lock")
HEADER = "# Made by `make lock` from pyproject.toml, whose requirements have the digest {digest}.\n"
COMPILE = (
    "uv pip compile pyproject.toml --extra llm --group dev --universal --python-version 3.11 --generate-hashes --quiet"
    " --no-annotate --no-header --no-emit-index-url --no-emit-find-links --no-emit-build-options"
)


def digest() -> str:
    """SHA-256 of the requirements, the extras, the dev group, the build requirements and uv's settings, as canonical JSON."""
    read = tomllib.loads(PROJECT.read_text())
    project = read["project"]
    parts = [
        project["requires-python"],
        project["dependencies"],
        project["optional-dependencies"],
        read["dependency-groups"],
        read["build-system"],
        read["tool"]["uv"],
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def write(*more: str) -> None:
    """Resolve again, keeping the versions already locked where they still fit."""
    command = [str(pathlib.Path(sys.executable).with_name("uv")), *COMPILE.split()[1:], *more, "--output-file", str(LOCK)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    LOCK.write_text(HEADER.format(digest=digest()) + LOCK.read_text())


def check() -> None:
    """End with status 1 and a sentence if the lock belongs to other requirements, lacks a hash or names an address."""
    lines = LOCK.read_text().splitlines()
    if lines[0] + "\n" != HEADER.format(digest=digest()):
        sys.exit("requirements.lock was made from other requirements than pyproject.toml has now: run `make lock`")
    pins = [line for line in lines if "==" in line]
    if any(not line.endswith("\\") for line in pins):
        sys.exit("requirements.lock has a pin without a hash: run `make lock`")
    if any("://" in line or line.startswith("--") for line in lines):
        sys.exit("requirements.lock names an address: run `make lock`")


if __name__ == "__main__":
    {"write": write, "check": check}[sys.argv[1]](*sys.argv[2:])
