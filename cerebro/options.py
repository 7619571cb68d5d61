"""What `cerebro up` is told."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from cerebro.address import Address
from cerebro.supervision import Policy

PYTHON: Final = (sys.executable, "-P", "-m", "cerebro")  # -P: a folder `memory` where the user stands is not ours
SEAL_KEYS: Final = Path("keys/seal")
"""Where in the data folder the keys are that seal history."""
EXTERNAL: Final = {"nats": "CEREBRO_NATS_URL", "postgres": "CEREBRO_POSTGRES_DSN", "redis": "CEREBRO_REDIS_URL"}


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The options of `cerebro up`, with the environment it hands down."""

    data: Path = Path(".cerebro")
    http: Address = Address(port=8001)
    nats: Address = Address(port=4222)
    environment: Mapping[str, str] = {}
    agents: Sequence[str] = ("nexus", "aria", "ricardo")
    """Who lives in this mesh; each is a process."""
    actor_command: Sequence[str] = (*PYTHON, "run")
    """Starts an actor, whose name follows."""
    prepare_command: Sequence[str] = (*PYTHON, "prepare")
    """Prepares `database` or `streams`, which follows."""
    policy: Policy = Policy()

    @property
    def external(self) -> dict[str, str]:
        """The servers that run elsewhere, by name, with their addresses."""
        return {name: self.environment[variable] for name, variable in EXTERNAL.items() if self.environment.get(variable)}
