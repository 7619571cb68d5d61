"""What was judged of one load."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

SHOWN: Final = 5
"""How many of each kind of finding are shown."""


class Verdict(msgspec.Struct):
    """`broken`: what does not hold, empty where all does. What is `lost` was acknowledged and is not there, or is in the log and has no
    row; what is `doubled` is there more than once. Each is counted once, wherever it is missed.
    """

    broken: list[str] = []
    missing: set[Any] = set()
    twice: set[Any] = set()
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
            self.missing.update(found if lost else ())
            self.twice.update(found if doubled else ())

    @property
    def lost(self) -> int:
        return len(self.missing)

    @property
    def doubled(self) -> int:
        return len(self.twice)
