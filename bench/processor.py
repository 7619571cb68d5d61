"""Processor time: what a run costs, whatever else the machine does meanwhile."""

import resource
from contextlib import suppress

import psutil

from tests.integration.launched import Up


def processor_s(up: Up) -> dict[str, float]:
    """Processor time that each process of the mesh has used so far, PostgreSQL's with those of its connections."""
    times: dict[str, float] = {}
    for name, pid in up.run.processes.items():
        if name != "launcher":
            process = psutil.Process(pid)
            for each in (process, *process.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):  # PostgreSQL has some that come and go
                    times[name] = times.get(name, 0.0) + sum(each.cpu_times()[:2])
    return times


def commands_s() -> float:
    """Processor time that the commands which have ended so far used, with their servers; the difference of two is that of one."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
