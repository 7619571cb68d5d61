"""How a command finds the running mesh: by the settings, else by what its run.json says."""

import os
from pathlib import Path

import msgspec

from bus.settings import BusSettings
from cerebro.settings import SHORT, read

NATS_URL = SHORT["bus", "nats_url"]


class NotRunning(Exception):
    """No mesh is running there."""


def bus_settings(data: Path) -> BusSettings:
    """Settings of the bus of the mesh that runs on the folder `data`, or of the server the environment names."""
    settings = read(os.environ).bus
    if NATS_URL in os.environ:
        return settings
    return msgspec.structs.replace(settings, nats_url=_address(data, "nats"))


def http_url(data: Path) -> str:
    """Where REST of the mesh on the folder `data` is served."""
    return _address(data, "http")


def _address(data: Path, part: str) -> str:
    try:
        return str(msgspec.json.decode((data / "run.json").read_bytes())[part])
    except (OSError, msgspec.MsgspecError, KeyError) as e:
        raise NotRunning(f"no mesh runs on {data}: start one with `make up`, or name its folder with --data") from e
