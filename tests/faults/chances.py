"""Where all chance of a run comes from, and how much is asked for.

| variable               | says                                                                  | default |
| ---------------------- | --------------------------------------------------------------------- | ------- |
| CEREBRO_FAULTS_SEED    | the seed, to play a run again                                         | drawn   |
| CEREBRO_FAULTS_KILLS   | how many processes are killed                                         | 24      |
| CEREBRO_FAULTS_CUTS    | how often the power is cut                                            | 3       |
| CEREBRO_FAULTS_TROUBLES | how often the network does something                               | 16      |
| CEREBRO_FAULTS_AWAY_S  | how long NATS stays away, in seconds                                  | 30      |
| CEREBRO_FAULTS_REPORT  | a file to which each run appends one line, for `python -m tests.faults` | none  |

They are taken out of the environment here, since a mesh that is started with them would refuse them as no settings of its own.
"""

import os
import random
import secrets
from typing import Final

PREFIX: Final = "CEREBRO_FAULTS_"
DEFAULTS: Final = {"SEED": "", "KILLS": "24", "CUTS": "3", "TROUBLES": "16", "AWAY_S": "30", "REPORT": ""}
ASKED: Final = {name: os.environ.pop(PREFIX + name, "") or default for name, default in DEFAULTS.items()}
"""What was asked for by name without its prefix; empty: nothing was."""


def number(name: str) -> int:
    """How much is asked for, as `KILLS`."""
    return int(ASKED[name])


class Chances:
    """All chance of one run. Two runs with one seed draw the same for each purpose, however much is drawn for the others."""

    def __init__(self, seed: int | None = None) -> None:
        self.seed = int(ASKED["SEED"] or secrets.randbelow(2**32)) if seed is None else seed

    def random(self, purpose: str) -> random.Random:
        """A source for one purpose alone."""
        return random.Random(f"{self.seed} {purpose}")

    def replay(self, what: str) -> str:
        """The line that plays the tests called `what` again with this seed."""
        return f'{PREFIX}SEED={self.seed} make faults ARGS="-k {what}"'
