"""What stands before the actors: the tables in PostgreSQL, the streams and buckets in NATS. Both may be repeated."""

from typing import Final, Literal, get_args

from cerebro.settings import Settings

What = Literal["database", "streams"]
ALL: Final[tuple[What, ...]] = get_args(What)


async def prepare(what: What, settings: Settings) -> None:
    """Bring it to what this version expects. Raises what the server or the connection raises."""
    if what == "database":
        from memory.migrations import apply

        await apply(settings.memory.postgres_dsn)
    else:
        from bus.streams import declare

        await declare(settings.bus)
