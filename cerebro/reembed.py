"""`cerebro memory reembed`: gives what is remembered the vectors of another model, while the mesh goes on with those it has."""

import argparse
import asyncio
import sys

import msgspec

from bus.errors import CerebroError
from cerebro.reach import NotRunning, memory_settings
from cerebro.settings import SettingsError
from memory import migrations
from memory.database import RAISED, Database
from memory.embedding import opened
from memory.reembedding import Reembedding
from memory.settings import MemorySettings
from memory.spaces import Space

CONNECTIONS_BESIDE_LANES = 3
"""One holds the lock, one makes the index, one looks."""


def main(parsed: argparse.Namespace) -> int:
    """Run the command; 1 where it could not be done, 130 where it was interrupted."""
    try:
        space = asyncio.run(_run(memory_settings(parsed.data)))
    except (NotRunning, SettingsError, CerebroError, FileNotFoundError, *RAISED) as e:
        print(f"cerebro: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("cerebro: interrupted; the same command goes on where this one was", file=sys.stderr)
        return 130
    say(f"ready: {space}. Start the memory actor (or `cerebro up`) with these settings, and it answers from there.")
    return 0


async def _run(settings: MemorySettings) -> Space:
    async with opened(settings) as embedding:
        if embedding is None:
            raise SettingsError("CEREBRO_MEMORY_EMBEDDING=none has no vectors: name the model that is wanted")
        await migrations.apply(settings.postgres_dsn)
        connections = embedding.lanes + CONNECTIONS_BESIDE_LANES
        database = Database(msgspec.structs.replace(settings, pool_size_min=1, pool_size_max=connections))
        await database.open()
        try:
            return await Reembedding(database, embedding, say, settings).run()
        finally:
            await database.close()


def say(sentence: str) -> None:
    print(sentence, flush=True)
