"""`cerebro up`, but that each actor reaches each server by an address of its own, where a proxy stands.

    python -m tests.faults.redirect LINKS up DATA HTTP NATS     the launcher
    python -m tests.faults.redirect LINKS run ACTOR             what it starts in place of `cerebro run ACTOR`, which takes its place

LINKS is JSON: by the actor's name the port of 127.0.0.1 for each server. Everything else, keys and permissions too, is as it always is.
Nothing of ours is imported for an actor: it would cost each of them its time.
"""

import json
import os
import sys
from typing import Final
from urllib.parse import urlsplit

VARIABLES: Final = {"nats": "CEREBRO_NATS_URL", "postgres": "CEREBRO_POSTGRES_DSN", "redis": "CEREBRO_REDIS_URL"}


def redirected(url: str, port: int) -> str:
    """The same server and the same account, by way of that port of this machine."""
    parts = urlsplit(url)
    account = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    return parts._replace(netloc=f"{account}127.0.0.1:{port}").geturl()


def run(ports: dict[str, int], actor: str) -> None:
    """Become that actor."""
    for server, port in ports.items():
        os.environ[VARIABLES[server]] = redirected(os.environ[VARIABLES[server]], port)
    os.execv(sys.executable, [sys.executable, "-P", "-m", "cerebro", "run", actor])


def up(links: str, data: str, http: str, nats: str) -> None:
    """Start everything and stay until a signal comes."""
    import asyncio
    from pathlib import Path

    from agents.profiles import load
    from cerebro.address import Address
    from cerebro.cli import until_signal
    from cerebro.launcher import Launcher
    from cerebro.options import Options
    from cerebro.settings import read

    settings = read(os.environ)
    options = Options(
        data=Path(data),
        http=Address.parse(http),
        nats=Address.parse(nats),
        environment=dict(os.environ),
        agents=sorted(load(settings.agents.profiles_dir)),
        bus=settings.bus,
        actor_command=(sys.executable, "-m", "tests.faults.redirect", links, "run"),
    )
    asyncio.run(until_signal(Launcher(options).run))


if __name__ == "__main__":
    match sys.argv[1:]:
        case [links, "up", data, http, nats]:
            up(links, data, http, nats)
        case [links, "run", actor]:
            run(json.loads(links)[actor], actor)
        case _:
            sys.exit(__doc__)
