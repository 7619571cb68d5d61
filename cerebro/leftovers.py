"""Ending what a killed launcher left behind. On Linux the kernel does most of it; see `embedded/leash.py`."""

import contextlib
import signal
from collections.abc import Iterator
from typing import Final

import psutil

from cerebro.runfile import Run

PROGRAMS: Final = {"nats": "nats-server", "postgres": "postgres", "redis": "redis-server"}  # of all others: cerebro
STARTED_TOLERANCE_S: Final = 2.0  # the boot time from which the kernel counts is known to about a second
END_S: Final = 8.0  # for all of them together, before they are killed


def end_leftovers(run: Run) -> list[str]:
    """End the processes of an earlier run that still live; returns their names. Takes up to END_S seconds and a little."""
    found = dict(living(run))
    for name, process in found.items():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGQUIT if name == "postgres" else signal.SIGTERM)  # SIGTERM would wait for its clients
    _, stubborn = psutil.wait_procs(list(found.values()), timeout=END_S)
    for process in stubborn:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stubborn, timeout=1.0)
    return list(found)


def living(run: Run) -> Iterator[tuple[str, psutil.Process]]:
    """Those of its processes that are still the same ones: by id, time of start and program."""
    for name, pid in run.processes.items():
        if name == "launcher":
            continue  # whoever holds the lock is the launcher, and that is us
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process = psutil.Process(pid)
            same_start = abs(process.create_time() - run.started.get(name, 0.0)) <= STARTED_TOLERANCE_S
            same_program = any(PROGRAMS.get(name, "cerebro") in word for word in process.cmdline())  # a zombie has none
            if same_start and same_program:
                yield name, process
