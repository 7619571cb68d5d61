"""The conformance kit of A2A against a mesh of its own: `python -m tests.tck CHECKOUT [arguments of the kit]`.

CHECKOUT is a checkout of the kit (branch 1.0-dev). It runs in its own virtual environment: CHECKOUT/.venv, or one that is made for
it here, for this run, from what its pyproject.toml asks for.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import AsyncIterator
from pathlib import Path

from cerebro import runfile
from tests.integration.launched import admitted
from tests.tck.behaviours import play
from tests.tck.player import playing

SKILL = "tck"
START_S = 120.0
"""Longest time for the mesh to be ready."""


def interpreter(kit: Path, folder: Path) -> Path:
    """A Python that has what the kit asks for."""
    own = kit / ".venv" / "bin" / "python"
    if own.exists():
        return own
    made = folder / "kit"
    venv.create(made, with_pip=True)
    python = made / "bin" / "python"
    wanted = tomllib.loads((kit / "pyproject.toml").read_text())["project"]["dependencies"]
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted], check=True)
    return python


@contextlib.asynccontextmanager
async def mesh(data: Path) -> AsyncIterator[runfile.Run]:
    """A whole mesh on free ports, whose messages by A2A are for the skill of the kit."""
    options = ("--data", str(data), "--http", "127.0.0.1:0", "--nats", "127.0.0.1:0")
    environment = {**os.environ, "CEREBRO_A2A_SKILL": SKILL}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "cerebro", "up", *options, env=environment, stdout=subprocess.PIPE)
    try:
        async with asyncio.timeout(START_S):
            assert process.stdout is not None
            async for line in process.stdout:
                if line.startswith(b"ready "):
                    break
        run = runfile.read(data)
        assert run is not None, "the mesh did not start"
        yield run
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def main(kit: Path, arguments: list[str]) -> int:
    """Run the kit; its exit status. Its reports are in CHECKOUT/reports."""
    with tempfile.TemporaryDirectory(prefix="cerebro-tck-") as folder:
        python = interpreter(kit, Path(folder))
        data = Path(folder) / "data"
        async with mesh(data) as run, playing(admitted(data, run.nats, "player"), "player", [SKILL], play):
            command = (str(python), "run_tck.py", "--sut-host", run.http, *arguments)
            process = await asyncio.create_subprocess_exec(*command, cwd=kit)
            return await process.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1]).resolve(), sys.argv[2:])))
