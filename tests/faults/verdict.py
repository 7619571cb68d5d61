"""What was judged of one load."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

SHOWN: Final = 5
"""How many of each kind of finding are shown."""


class Verdict(msgspec.Struct):
    """`broken`: what does not hold, empty where all does. `lost`: acknowledged and not there; `doubled`: there more than once."""

    broken: list[str] = []
    lost: int = 0
    doubled: int = 0
    drained_s: float = 0.0
    acknowledged: int = 0
    refused: int = 0
    unknown: int = 0
    figures: dict[str, Any] = {}

    def find(self, what: str, found: Sequence[Any], *, lost: bool = False, doubled: bool = False) -> None:
        """One kind of finding, if there is any."""
        if found:
            more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
            self.broken.append(f"{len(found)} {what}: {', '.join(str(f) for f in found[:SHOWN])}{more}")
            self.lost += len(found) if lost else 0
            self.doubled += len(found) if doubled else 0
