"""How a command finds the running mesh: by the settings, else by what its run.json says."""

import os
from pathlib import Path

import msgspec

from bus.settings import BusSettings
from cerebro import runfile
from cerebro.keys import OPERATOR, Keys
from cerebro.settings import SHORT, read
from memory.settings import MemorySettings

NATS_URL = SHORT["bus", "nats_url"]
POSTGRES_DSN = SHORT["memory", "postgres_dsn"]


class NotRunning(Exception):
    """No mesh is running there."""


def bus_settings(data: Path) -> BusSettings:
    """Settings of the bus of the mesh that runs on the folder `data`, as its operator, or of the server the environment names."""
    settings = read(os.environ).bus
    if NATS_URL in os.environ:
        return settings
    nkey = settings.nats_nkey or str(Keys(data).seed(OPERATOR))
    return msgspec.structs.replace(settings, nats_url=_running(data).nats, nats_nkey=nkey)


def memory_settings(data: Path) -> MemorySettings:
    """Settings of the memory of the mesh that runs on the folder `data`, or of the database the environment names."""
    settings = read(os.environ).memory
    if POSTGRES_DSN in os.environ:
        return settings
    return msgspec.structs.replace(settings, postgres_dsn=_running(data).postgres)


def http_url(data: Path) -> str:
    """Where REST of the mesh on the folder `data` is served."""
    return _running(data).http


def _running(data: Path) -> runfile.Run:
    try:
        run = runfile.read(data)
    except OSError as e:
        raise NotRunning(f"what runs on {data} cannot be read: {e}") from e
    if run is None:
        raise NotRunning(f"no mesh runs on {data}: start one with `make up`, or name its folder with --data")
    return run
