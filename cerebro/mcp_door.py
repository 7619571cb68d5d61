"""`cerebro mcp`: the mesh as tools of the Model Context Protocol, over stdio or streamable HTTP. Its log goes to stderr."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from functools import partial

import msgspec

from bus.errors import CerebroError
from cerebro.address import Address
from cerebro.cli import until_signal
from cerebro.reach import NotRunning, bus_settings
from cerebro.settings import SettingsError, read
from gateway.mcp import serving
from schemas.words import Token


def main(parsed: argparse.Namespace) -> int:
    """Serve until the host closes stdin, or over HTTP until a signal comes; 1 where that could not be done."""
    try:
        settings = read(os.environ)
        logging.basicConfig(
            level=settings.log_level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True
        )
        bus, name = bus_settings(parsed.data), speaker(parsed.agent)
        if parsed.http is None:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)  # stdin is read in a thread that nothing else ends
            asyncio.run(serving.over_stdio(bus, settings.gateway, name))
        else:
            address = Address.parse(parsed.http)
            gateway = serving.listening_on(settings.gateway, address.host, address.port)
            asyncio.run(until_signal(partial(serving.over_http, bus, gateway, name, parsed.allow_host)))
    except (NotRunning, SettingsError, CerebroError, OSError, ValueError) as failure:
        print(f"cerebro: {failure}", file=sys.stderr)
        return 1
    return 0


def speaker(name: str) -> str:
    """`name`, if an agent can be named so. Raises `ValueError`."""
    try:
        return msgspec.convert(name, Token)
    except msgspec.ValidationError as e:
        raise ValueError(f"--agent {name!r}: {e}") from e
