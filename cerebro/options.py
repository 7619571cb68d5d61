"""What `cerebro up` is told."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from bus.settings import BusSettings
from cerebro.address import Address
from cerebro.embedded.settings import NatsServerSettings
from cerebro.settings import LOG_FILE_BYTES_MAX
from cerebro.supervision import Policy

PYTHON: Final = (sys.executable, "-P", "-m", "cerebro")  # -P: a folder `memory` where the user stands is not ours
INSTANCES_MAX: Final = 100
"""Most instances of one agent."""
SEAL_KEYS: Final = Path("keys/seal")
"""Where in the data folder the keys are that seal history."""
EXTERNAL: Final = {"nats": "CEREBRO_NATS_URL", "postgres": "CEREBRO_POSTGRES_DSN", "redis": "CEREBRO_REDIS_URL"}


def instances(given: Sequence[str], agents: Sequence[str]) -> dict[str, int]:
    """What `NAME=COUNT` says of each agent. Raises ValueError with a sentence."""
    found: dict[str, int] = {}
    for text in given:
        name, _, count = text.partition("=")
        if not count.isdecimal() or int(count) > INSTANCES_MAX:
            raise ValueError(f"--agent {text}: NAME=COUNT, of at most {INSTANCES_MAX}")
        found[name] = int(count)
    return known(found, agents)


def known(counts: Mapping[str, int], agents: Sequence[str]) -> dict[str, int]:
    """`counts`, if there is each of its agents. Raises ValueError with a sentence."""
    if strangers := sorted(set(counts) - set(agents)):
        raise ValueError(f"no agent {', '.join(strangers)}; there are {', '.join(sorted(agents))}")
    return dict(counts)


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The options of `cerebro up`, with the environment it hands down."""

    data: Path = Path(".cerebro")
    http: Address = Address(port=8001)
    nats: Address = Address(port=4222)
    environment: Mapping[str, str] = {}
    agents: Sequence[str] = ("nexus", "aria", "ricardo")
    """Who lives in this mesh."""
    instances: Mapping[str, int] = {}
    """How many processes an agent is; 1 where nothing is said."""
    bus: BusSettings = BusSettings()
    """What every part is told of the bus; its prefix is in the permissions."""
    nats_server: NatsServerSettings = NatsServerSettings()
    """The embedded NATS server's own: memory and TLS."""
    actor_command: Sequence[str] = (*PYTHON, "run")
    """Starts an actor, whose name follows."""
    prepare_command: Sequence[str] = (*PYTHON, "prepare")
    """Prepares `database` or `streams`, which follows."""
    policy: Policy = Policy()
    log_file_bytes_max: int = LOG_FILE_BYTES_MAX
    """Longest log of a process."""

    @property
    def agent_processes(self) -> dict[str, str]:
        """The agent of each process, by the name of the process: `nexus`, `nexus.2`, … (no agent has a dot in its name)."""
        numbers = {agent: range(1, 1 + self.instances.get(agent, 1)) for agent in self.agents}
        return {agent if n == 1 else f"{agent}.{n}": agent for agent, some in numbers.items() for n in some}

    @property
    def external(self) -> dict[str, str]:
        """The servers that run elsewhere, by name, with their addresses."""
        return {name: self.environment[variable] for name, variable in EXTERNAL.items() if self.environment.get(variable)}
