"""Bugs planted into the processes of a mesh that is about to be started: text replaced in the source of one module as it is loaded.

The list cannot rot: where the text has gone, the process that loads the module ends with a word about it, and the mesh does not start.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
import pytest

from tests.integration.launched import Up

LOADER: Final = """\
from importlib import machinery

PLANTED = {planted!r}
honest = machinery.SourceFileLoader.get_code


def get_code(self, name):
    if name not in PLANTED:
        return honest(self, name)
    path = self.get_filename(name)
    source = self.get_source(name)
    for old, new in PLANTED[name]:
        if source.count(old) != 1:
            raise SystemExit(f"cannot plant: {{name}} has {{source.count(old)}} times {{old!r}}")
        source = source.replace(old, new)
    return compile(source, path, "exec")


machinery.SourceFileLoader.get_code = get_code
"""


IN_MEMORY: Final = Path("/dev/shm")
"""Where a mesh's folder is made if it can be: no fault here is one of the disk."""


class Bug(msgspec.Struct, frozen=True):
    """In `module`, `old` becomes `new`."""

    module: str
    old: str
    new: str


@contextmanager
def mesh(environment: dict[str, str] | None = None, bugs: tuple[Bug, ...] = ()) -> Iterator[Up]:
    """A mesh of its own, with these variables beside ours and these bugs in every process. Its folder is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="cerebro-faults-", dir=IN_MEMORY if IN_MEMORY.is_dir() else None))
    planted: dict[str, list[tuple[str, str]]] = {}
    for bug in bugs:
        planted.setdefault(bug.module, []).append((bug.old, bug.new))
    with pytest.MonkeyPatch.context() as ours:
        for name, value in {"CEREBRO_MEMORY_EMBEDDING": "none", **(environment or {})}.items():
            ours.setenv(name, value)
        if planted:
            (folder / "planted").mkdir()
            (folder / "planted" / "sitecustomize.py").write_text(LOADER.format(planted=planted))
            ours.setenv("PYTHONPATH", str(folder / "planted"), prepend=":")
        started = Up(folder / "data")
    try:
        yield started.wait_until_ready()
    finally:
        try:
            started.stop()
        except subprocess.TimeoutExpired:  # the machine is busy with others: that a stop is quick is tried elsewhere
            started.kill()
        shutil.rmtree(folder, ignore_errors=True)
