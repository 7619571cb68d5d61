"""Where a text may have left traces: files in several spellings, every row of PostgreSQL, every value in Redis."""

import base64
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
from redis.asyncio import Redis


def spellings(text: str) -> list[bytes]:
    """The text as UTF-8, UTF-16 and base64, whatever stands before it."""
    data = text.encode()
    shifted = [base64.b64encode(b"\0" * n + data)[4 if n else 0 : -4] for n in range(3)]
    return [data, text.encode("utf-16-le"), text.encode("utf-16-be"), data.hex().encode(), *shifted]


def in_files(folder: Path, text: str) -> list[str]:
    """Files below `folder` that hold the text in any spelling."""
    wanted = spellings(text)
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            try:
                data = path.read_bytes()
            except FileNotFoundError:  # a server's temporary file
                continue
            if any(spelling in data for spelling in wanted):
                found.append(str(path.relative_to(folder)))
    return found


async def in_tables(dsn: str, text: str) -> list[str]:
    """Tables with a row whose text holds it, the system's own included."""
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch(
            "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname IN ('memory_system', 'pg_catalog')"
        )
        found = []
        for table in tables:
            sql = f"SELECT count(*) FROM {table['name']} AS t WHERE strpos(t::text, $1) > 0"
            if await connection.fetchval(sql, text):
                found.append(table["name"])
        return found
    finally:
        await connection.close()


async def in_redis(url: str, text: str) -> list[str]:
    """Keys whose name or value holds it."""
    host = urlsplit(url)
    redis = Redis(host=host.hostname or "", port=host.port or 0)
    try:
        found = []
        async for key in redis.scan_iter():
            value = await redis.get(key) if await redis.type(key) == b"string" else b""
            if text.encode() in key + (value or b""):
                found.append(key.decode())
        slow = [str(entry) for entry in await redis.slowlog_get() if text in str(entry)]
        return found + slow
    finally:
        await redis.aclose()


async def checkpoint(dsn: str) -> None:
    """Let PostgreSQL write everything to its files, samples of values too, as it does by itself after a while."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("ANALYZE")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()
