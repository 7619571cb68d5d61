"""The logs in DIR/logs: one that has grown too long begins anew, and what it was is kept beside it.

Bad input, and servers that are away, are told line by line, so whoever sends much of the one or causes much of the other would fill the
disk. The processes hold their logs open and only append, so a log is copied and emptied and not renamed; the lines that are written
between the two are lost.
"""

import asyncio
import contextlib
import logging
import os
import shutil
from pathlib import Path
from typing import Final

LOOK_S: Final = 2.0
"""How often the logs are looked at. What is written meanwhile is how much longer than its limit one may be."""
log: Final = logging.getLogger("cerebro.logs")


async def keep_short(folder: Path, bytes_max: int) -> None:
    """See to it that no log in `folder` stays longer than `bytes_max`, for ever."""
    while True:
        for path in long_ones(folder, bytes_max):
            try:
                await asyncio.to_thread(begin_anew, path)
            except OSError as e:  # a full disk: the mesh goes on, and so does the log
                log.warning("%s could not begin anew: %s", path, e)
        await asyncio.sleep(LOOK_S)


def long_ones(folder: Path, bytes_max: int) -> list[Path]:
    """The logs that are longer than that."""
    found = []
    for path in sorted(folder.glob("*.log")):
        with contextlib.suppress(FileNotFoundError):  # somebody tidied up just now
            if path.stat().st_size > bytes_max:
                found.append(path)
    return found


def begin_anew(path: Path) -> None:
    """Keep what the log holds as `NAME.old`, over what was kept before, and empty it."""
    shutil.copyfile(path, path.with_suffix(".old"))
    os.truncate(path, 0)
