"""The hostile network between nodes and the log: what becomes of each message, drawn from the one source of chance."""

import random

import msgspec


class Hostility(msgspec.Struct, kw_only=True):
    """How bad it is: the shares (0…1) of publishes that meet each fate, and the longest delays in seconds."""

    lost: float = 0.0
    ack_lost: float = 0.0
    doubled: float = 0.0
    slow: float = 0.0
    batch_torn: float = 0.0
    delay_s_max: float = 0.02
    slow_s_max: float = 4.0
    reader_s_max: float = 0.05


PEACE = Hostility()


class Fate(msgspec.Struct, frozen=True):
    """Seconds until a publish is at the log (twice where it is doubled), and until its answer is back; None: never."""

    out_s: tuple[float, ...]
    back_s: float | None


class Network:
    """Draws fates until `heal`."""

    def __init__(self, rng: random.Random, hostility: Hostility) -> None:
        self._rng = rng
        self.hostility = hostility

    def heal(self) -> None:
        self.hostility = PEACE

    def delay_s(self) -> float:
        return self._rng.uniform(0.001, self.hostility.delay_s_max)

    def reader_s(self) -> float:
        """How long an entry is on its way to a reader."""
        h = self.hostility
        return self._rng.uniform(0.001, h.slow_s_max if self._rng.random() < h.slow else h.reader_s_max)

    def torn(self) -> bool:
        """Whether a message of a batch is lost before its commit."""
        return self._rng.random() < self.hostility.batch_torn

    def fate(self) -> Fate:
        """What becomes of one publish."""
        h, chance = self.hostility, self._rng.random()
        out_s = (self.delay_s(),)
        if chance < h.lost:
            return Fate((), None)
        chance -= h.lost
        if chance < h.slow:
            out_s = (self._rng.uniform(0.1, h.slow_s_max),)
        elif chance < h.slow + h.doubled:
            out_s = (*out_s, self._rng.uniform(0.01, h.slow_s_max))
        return Fate(out_s, None if self._rng.random() < h.ack_lost else self.delay_s())
