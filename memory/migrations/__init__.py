"""The schema `memory_system`, brought to its newest revision: alembic orders the SQL files in `versions/`.

Alembic writes the script (its offline mode) and asyncpg runs it, all in one transaction under an advisory lock:
two that start at once do not meet, and a failed migration leaves nothing behind.
"""

import io
from pathlib import Path
from typing import Final

import asyncpg

FOLDER: Final = Path(__file__).parent
SCHEMA: Final = "memory_system"
HEAD: Final = "0006"
"""The newest revision; where it stands already, alembic is not even imported."""
LOCK: Final = 0x43657265_62726F
"""Key of the advisory lock ("Cerebro")."""
CONNECT_TIMEOUT_S: Final = 10.0


async def apply(dsn: str) -> None:
    """Bring the database to the newest revision; nothing happens where it is there. Safe when several start at once.

    Raises what asyncpg raises: OSError or a PostgresError while the server is away, a PostgresError for a failed migration.
    """
    connection = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_S)
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
            await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            current = await _revision(connection)
            if current != HEAD:
                await connection.execute(upgrade_script(current))
    finally:
        await connection.close()


def known() -> frozenset[str]:
    """Every revision that there is a script for."""
    return frozenset(path.name[:4] for path in (FOLDER / "versions").glob("[0-9]*.sql"))


async def _revision(connection: asyncpg.Connection) -> str | None:
    if await connection.fetchval("SELECT to_regclass($1)", f"{SCHEMA}.alembic_version") is None:
        return None
    revision: str | None = await connection.fetchval(f"SELECT version_num FROM {SCHEMA}.alembic_version")  # noqa: S608 - a constant
    return revision


def upgrade_script(current: str | None, to: str = "head") -> str:
    """The SQL that leads from revision `current` (None: an empty database) to another, the newest unless one is named."""
    from alembic import command  # noqa: PLC0415 - half a second and 40 MB, needed once in a database's life
    from alembic.config import Config  # noqa: PLC0415

    script = io.StringIO()
    config = Config(output_buffer=script)
    config.set_main_option("script_location", str(FOLDER))
    command.upgrade(config, f"{current}:{to}" if current else to, sql=True)
    return script.getvalue()
