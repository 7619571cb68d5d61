"""The command line. Thin: each command imports what it needs and calls it."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: list[str] | None = None) -> None:
    """Run the command that `arguments` name, and exit with its status."""
    parsed = parser().parse_args(arguments)
    status = parsed.command(parsed)
    sys.exit(status)


def parser() -> argparse.ArgumentParser:
    """All commands with their options."""
    root = argparse.ArgumentParser(prog="cerebro", description="A mesh of independent AI agents over NATS.")
    commands = root.add_subparsers(required=True, metavar="COMMAND")

    for add in (_add_running, _add_doors, _add_admission, _add_tasks, _add_memory, _add_backup, _add_made):
        add(commands)
    return root


def _of_a_mesh(command: argparse.ArgumentParser) -> None:
    """The option that says which mesh is meant."""
    command.add_argument(
        "--data", type=Path, default=Path(".cerebro"), metavar="DIR", help="the data folder of the running mesh (.cerebro)"
    )


def _add_running(commands: Any) -> None:
    """The commands that run a mesh, or parts of it."""
    up_ = commands.add_parser("up", help="start everything on this machine, and keep it running")
    up_.add_argument("--data", type=Path, default=Path(".cerebro"), metavar="DIR", help="where data, logs and run.json are (.cerebro)")
    up_.add_argument("--http", default="127.0.0.1:8001", metavar="HOST:PORT", help="where REST is served (127.0.0.1:8001)")
    up_.add_argument(
        "--nats", default="127.0.0.1:4222", metavar="HOST:PORT", help="where NATS listens (127.0.0.1:4222); port 0: a free one"
    )
    up_.add_argument(
        "--agent",
        action="append",
        default=[],
        metavar="NAME=COUNT",
        help="how many instances of an agent (CEREBRO_AGENTS_INSTANCES, else 1)",
    )
    up_.set_defaults(command=up)

    run_ = commands.add_parser("run", help="run one actor against the servers of the settings")
    run_.add_argument("actor", metavar="ACTOR", help="memory, gateway, or an agent: nexus, aria, ricardo")
    run_.set_defaults(command=run)

    prepare_ = commands.add_parser("prepare", help="migrate the database and declare the streams; may be repeated")
    prepare_.add_argument("what", nargs="?", choices=("database", "streams"), help="only this one")
    prepare_.set_defaults(command=prepare)

    tour_ = commands.add_parser("tour", help="walk through a running mesh, with explanations")
    tour_.add_argument("--url", help="where REST is served (default: what run.json says)")
    _of_a_mesh(tour_)
    tour_.set_defaults(command=tour)


def _add_doors(commands: Any) -> None:
    """The commands about what comes in by the doors, and what could not be handled."""
    dead_ = commands.add_parser("dead", help="messages that could not be processed")
    dead_.add_argument("action", choices=("list", "show", "redrive"))
    dead_.add_argument("number", nargs="?", type=int, metavar="SEQUENCE", help="which one, for show and redrive")
    _of_a_mesh(dead_)
    dead_.set_defaults(command=dead)

    key_ = commands.add_parser("key", help="the API keys of the gateway")
    key_.add_argument("action", choices=("add", "list", "revoke"))
    key_.add_argument("name", nargs="?", metavar="NAME", help="which one, for add and revoke")
    key_.add_argument(
        "--scope", action="append", choices=("read", "write", "operate"), help="what it is for; may be repeated (read and write)"
    )
    key_.add_argument("--agent", action="append", metavar="AGENT", help="the only name it may write in; may be repeated (any)")
    _of_a_mesh(key_)
    key_.set_defaults(command=key)
    _add_mcp(commands)


def _add_memory(commands: Any) -> None:
    """The commands about what is remembered."""
    memory_ = commands.add_parser("memory", help="what is done with the memory of a running mesh")
    actions = memory_.add_subparsers(required=True, metavar="ACTION")
    rebuild_ = actions.add_parser("rebuild", help="make derived memory again from the log")
    rebuild_.add_argument("--verify", action="store_true", help="only compare it with what the tables hold; change nothing")
    _of_a_mesh(rebuild_)
    rebuild_.set_defaults(command=rebuild)
    reembed_ = actions.add_parser(
        "reembed", help="give it the vectors of the model that the settings name, while it goes on with the old ones"
    )
    _of_a_mesh(reembed_)
    reembed_.set_defaults(command=reembed)
    verify_ = commands.add_parser("verify", help="tell whether history is as it was sealed, and where not")
    _of_a_mesh(verify_)
    verify_.add_argument("--keys", type=Path, metavar="DIR", help="the folder of the public keys (keys/seal of the data folder)")
    verify_.add_argument("--seal", type=Path, action="append", default=[], metavar="FILE", help="a copy of a seal that must hold too")
    verify_.set_defaults(command=verify)


def _add_made(commands: Any) -> None:
    """The commands about this build itself."""
    commands.add_parser("docs", help="make docs/settings.md and docs/skills.md again from the code").set_defaults(command=docs)
    commands.add_parser("version", help="say which version this is").set_defaults(command=show_version)


def _add_admission(commands: Any) -> None:
    """The commands about who is admitted to the bus."""
    agent_ = commands.add_parser("agent", help="who may join the mesh: keys of external agents, and new keys for anybody")
    agent_.add_argument("action", choices=("add", "rotate", "revoke", "list"))
    agent_.add_argument("name", nargs="?", metavar="NAME", help="whose key, for all but list")
    agent_.add_argument("--data", type=Path, default=Path(".cerebro"), metavar="DIR", help="the data folder of the mesh (.cerebro)")
    agent_.set_defaults(command=agent)

    keys_ = commands.add_parser("keys", help="make the keys, and who may do what, for a NATS server that is not cerebro up's")
    keys_.add_argument("--data", type=Path, default=Path(".cerebro"), metavar="DIR", help="where they are made (.cerebro)")
    keys_.set_defaults(command=keys)


def _add_tasks(commands: Any) -> None:
    """`tasks` with what it can do; `commands` is what the other commands were added to."""
    tasks_ = commands.add_parser("tasks", help="what the log says of tasks and who got them")
    looks = tasks_.add_subparsers(required=True, metavar="ACTION", dest="action")
    simulate_ = looks.add_parser("simulate", help="judge the recorded assignments again, with other weights")
    simulate_.add_argument("--weight", action="append", metavar="NAME=SHARE", help="skill, similarity, success, load or affect; 0 to 1")
    simulate_.add_argument(
        "--log", type=Path, metavar="FILE", help="a file of `cerebro tasks export`, or of GET /events, in place of a mesh"
    )
    simulate_.add_argument("--json", action="store_true", help="everything, as one JSON object")
    export_ = looks.add_parser("export", help="print the log of tasks, an entry a line")
    for look in (simulate_, export_):
        _of_a_mesh(look)
    tasks_.set_defaults(command=tasks)


def _add_backup(commands: Any) -> None:
    """Backups, and how they are put back."""
    backup_ = commands.add_parser("backup", help="take a backup of a running mesh, check one, or try one out")
    backup_.add_argument("action", nargs="?", choices=("take", "verify", "drill", "list"), default="take")
    backup_.add_argument("folder", nargs="?", type=Path, metavar="FOLDER", help="the backup, for verify and drill")
    backup_.add_argument("--to", type=Path, metavar="DIR", help="where backups are kept (backups in the data folder)")
    backup_.add_argument("--at", type=clock_time, metavar="HH:MM", help="stay, and take one every day at this time of the local clock too")
    backup_.add_argument("--keep-days", type=float, default=30.0, metavar="DAYS", help="older ones go, but never the newest (30)")
    _of_a_mesh(backup_)
    backup_.set_defaults(command=backup)
    restore_ = commands.add_parser("restore", help="put a backup back, into an empty place")
    restore_.add_argument("folder", type=Path, metavar="FOLDER", help="the backup")
    restore_.add_argument("--data", type=Path, default=Path(".cerebro"), metavar="DIR", help="the data folder to be (.cerebro)")
    restore_.add_argument("--keep-log", action="store_true", help="leave the log that is there, and bring the tables up from it")
    restore_.set_defaults(command=restore)


def clock_time(text: str) -> str:
    """`HH:MM` as it is. Raises ValueError, which argparse tells."""
    datetime.strptime(text, "%H:%M")  # noqa: DTZ007 - a time of day, of the local clock
    return text


def _add_mcp(commands: Any) -> None:
    """The door for MCP hosts."""
    mcp_ = commands.add_parser("mcp", help="offer memory, consensus, lessons and tasks of a running mesh to an MCP host")
    mcp_.add_argument("--http", metavar="HOST:PORT", help="serve streamable HTTP there instead of stdio; port 0: a free one")
    mcp_.add_argument("--allow-host", action="append", default=[], metavar="NAME", help="a Host that requests may name, beside loopback")
    mcp_.add_argument("--agent", default="mcp", metavar="NAME", help="the name under which it speaks in the mesh (mcp)")
    _of_a_mesh(mcp_)
    mcp_.set_defaults(command=mcp)


def up(parsed: argparse.Namespace) -> int:
    """Start everything and stay until a signal comes. 0 after a clean stop, 1 if it cannot start."""
    from agents.profiles import load
    from cerebro.address import Address
    from cerebro.embedded.child import ServerFailed
    from cerebro.keys import KeyRefused
    from cerebro.launcher import Launcher, LauncherError
    from cerebro.options import Options, instances, known
    from cerebro.runfile import AlreadyRunning
    from cerebro.settings import SettingsError, read

    try:
        settings = read(os.environ)  # a mistake in the settings is said here, once, and not by five actors
        agents = sorted(load(settings.agents.profiles_dir))
        http, nats = Address.parse(parsed.http), Address.parse(parsed.nats)
        counts = {**known(settings.agents.instances, agents), **instances(parsed.agent, agents)}
        options = Options(
            data=parsed.data,
            http=http,
            nats=nats,
            environment=dict(os.environ),
            agents=agents,
            instances=counts,
            bus=settings.bus,
            nats_server=settings.nats,
            log_file_bytes_max=settings.log_file_bytes_max,
        )
        asyncio.run(until_signal(Launcher(options).run))
    except (AlreadyRunning, KeyRefused, LauncherError, ServerFailed, SettingsError, OSError, ValueError) as failure:
        print(f"cerebro: {failure}", file=sys.stderr)
        return 1
    return 0


async def until_signal(work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Do `work`, whose event is set when the terminal or the system asks us to end."""
    stop = asyncio.Event()
    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await work(stop)


def run(parsed: argparse.Namespace) -> int:
    """Run one actor until it is told to stop. 2 if the settings are wrong, 78 if they do not fit what is there (`EX_CONFIG`); what
    else the actor raises is its traceback.
    """
    from bus.errors import Misconfigured
    from cerebro import actors
    from cerebro.failures import MISCONFIGURED
    from cerebro.settings import SettingsError, read

    try:
        settings = read(os.environ)
    except SettingsError as failure:
        print(f"cerebro: {failure}", file=sys.stderr)
        return 2
    try:
        actors.run(parsed.actor, settings, os.environ)
    except Misconfigured as failure:
        print(f"cerebro: {failure}", file=sys.stderr)
        return MISCONFIGURED
    return 0


def prepare(parsed: argparse.Namespace) -> int:
    """Migrate the database and declare the streams, or one of the two. Status 78 as `run`."""
    from bus.errors import Misconfigured
    from cerebro import prepare as preparing
    from cerebro.failures import MISCONFIGURED
    from cerebro.settings import read

    settings = read(os.environ)
    for what in preparing.ALL if parsed.what is None else (parsed.what,):
        try:
            asyncio.run(preparing.prepare(what, settings))
        except Misconfigured as failure:
            print(f"cerebro: {failure}", file=sys.stderr)
            return MISCONFIGURED
        print(f"{what} prepared")
    return 0


def tour(parsed: argparse.Namespace) -> int:
    """Walk through a running mesh."""
    from cerebro.tour import main as walk

    return walk(parsed)


def dead(parsed: argparse.Namespace) -> int:
    """List, show or redrive what could not be processed."""
    from cerebro.dead import main as handle

    return handle(parsed)


def key(parsed: argparse.Namespace) -> int:
    """Make, list or revoke API keys."""
    from cerebro.key import main as handle

    return handle(parsed)


def rebuild(parsed: argparse.Namespace) -> int:
    """Make derived memory again from the log, or compare the two."""
    from cerebro.rebuild import main as handle

    return handle(parsed)


def reembed(parsed: argparse.Namespace) -> int:
    """Fill another space of vectors."""
    from cerebro.reembed import main as handle

    return handle(parsed)


def agent(parsed: argparse.Namespace) -> int:
    """Admit an external agent, give somebody another key, or shut somebody out."""
    from cerebro.admission import main as handle
    from cerebro.settings import read

    if parsed.name is None and parsed.action != "list":
        print(f"cerebro: agent {parsed.action} needs a NAME", file=sys.stderr)
        return 2
    return handle(parsed, read(os.environ))


def keys(parsed: argparse.Namespace) -> int:
    """Make the keys of a mesh whose servers run elsewhere."""
    from agents.profiles import load
    from cerebro.admission import make
    from cerebro.settings import read

    settings = read(os.environ)
    return make(parsed.data, sorted(load(settings.agents.profiles_dir)), settings.bus)


def tasks(parsed: argparse.Namespace) -> int:
    """Judge recorded assignments again, or print the log of tasks."""
    from cerebro.tasks import main as handle

    return handle(parsed)


def backup(parsed: argparse.Namespace) -> int:
    """Take, check, try out or list backups."""
    from cerebro.backup.command import backup as handle

    return handle(parsed)


def restore(parsed: argparse.Namespace) -> int:
    """Put a backup back."""
    from cerebro.backup.command import restored as handle

    return handle(parsed)


def verify(parsed: argparse.Namespace) -> int:
    """Compare what is persisted with what was sealed."""
    from cerebro.verify import main as handle

    return handle(parsed)


def mcp(parsed: argparse.Namespace) -> int:
    """Serve an MCP host."""
    from cerebro.mcp_door import main as handle

    return handle(parsed)


def docs(_: argparse.Namespace) -> int:
    """Make the pages that are made from code."""
    from cerebro import reference, skills_page

    for made in (reference, skills_page):
        print(f"{made.write()} written")
    return 0


def show_version(_: argparse.Namespace) -> int:
    print(f"cerebro {version('cerebro')}")
    return 0
