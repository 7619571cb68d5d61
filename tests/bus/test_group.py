"""Group commit, against a log in memory that takes a batch whole or not at all, as the server does."""

import asyncio
from collections.abc import Sequence

import pytest

from bus.errors import CerebroError, Conflict, TimedOut, TooLarge, Unavailable
from bus.group import Acknowledged, Group, Wire


class Log:
    """Takes messages under their ids; `writes` holds how many went together each time."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.writes: list[int] = []
        self.refuses: dict[str, Exception] = {}
        self.loses_answer_of_batches = False
        self.open = asyncio.Event()
        self.open.set()

    async def one(self, wire: Wire) -> Acknowledged:
        await self.open.wait()
        self.writes.append(1)
        ident = wire[0]
        if error := self.refuses.get(ident):
            raise error
        duplicate = ident in self.taken
        if not duplicate:
            self.taken.append(ident)
        return Acknowledged(self.taken.index(ident) + 1, duplicate)

    async def many(self, wires: Sequence[Wire]) -> int:
        await self.open.wait()
        self.writes.append(len(wires))
        idents = [wire[0] for wire in wires]
        if any(ident in self.refuses or ident in self.taken for ident in idents):
            raise Conflict("one of them")
        first = len(self.taken) + 1
        self.taken.extend(idents)
        if self.loses_answer_of_batches:
            raise TimedOut("no answer")
        return first


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def group(log: Log) -> Group:
    return Group(log.one, log.many, len_max=10, bytes_max=100)


async def put(group: Group, ident: str, size: int = 1) -> Acknowledged | BaseException:
    try:
        return await group.put(ident, (ident, b"x" * size, {}))
    except (CerebroError, ValueError) as e:
        return e


async def put_together(group: Group, log: Log, *idents: str, size: int = 1) -> list[Acknowledged | BaseException]:
    """All of these while a first one is being written."""
    log.open.clear()
    first = asyncio.create_task(put(group, "first"))
    await asyncio.sleep(0)
    putting = [asyncio.create_task(put(group, ident, size)) for ident in idents]
    await asyncio.sleep(0)
    log.open.set()
    await first
    return await asyncio.gather(*putting)


class TestTogether:
    async def test_one_alone_goes_singly_and_at_once(self, group: Group, log: Log) -> None:
        assert await put(group, "a") == Acknowledged(1, duplicate=False)
        assert log.writes == [1]

    async def test_what_comes_during_a_write_shares_the_next_one_in_its_order(self, group: Group, log: Log) -> None:
        fates = await put_together(group, log, "a", "b", "c")
        assert fates == [Acknowledged(2, duplicate=False), Acknowledged(3, duplicate=False), Acknowledged(4, duplicate=False)]
        assert log.writes == [1, 3]

    async def test_a_batch_is_bounded_in_number_and_in_bytes(self, group: Group, log: Log) -> None:
        await put_together(group, log, *(f"n{i}" for i in range(25)))
        assert log.writes == [1, 10, 10, 5]
        log.writes.clear()
        log.taken.clear()
        await put_together(group, log, *(f"b{i}" for i in range(5)), size=40)
        assert log.writes == [1, 2, 2, 1]


class TestFates:
    async def test_each_hears_of_its_own(self, group: Group, log: Log) -> None:
        log.refuses = {"c": TooLarge("c"), "f": Conflict("f")}
        log.taken = ["e"]
        fates = dict(zip("abcdefg", await put_together(group, log, *"abcdefg"), strict=True))
        assert isinstance(fates["c"], TooLarge)
        assert isinstance(fates["f"], Conflict)
        assert fates["e"] == Acknowledged(1, duplicate=True)
        places = {ident: fate.seq for ident, fate in fates.items() if isinstance(fate, Acknowledged)}
        assert places == {ident: log.taken.index(ident) + 1 for ident in "abdeg"}

    async def test_two_with_one_id_are_one_message_and_the_second_is_a_duplicate(self, group: Group, log: Log) -> None:
        first, _, again = await put_together(group, log, "a", "b", "a")
        assert (first, again) == (Acknowledged(2, duplicate=False), Acknowledged(2, duplicate=True))
        assert log.taken == ["first", "a", "b"]

    async def test_a_batch_whose_answer_is_lost_is_found_again_under_the_same_ids(self, group: Group, log: Log) -> None:
        log.loses_answer_of_batches = True
        fates = await put_together(group, log, "a", "b")
        assert [fate.seq for fate in fates if isinstance(fate, Acknowledged)] == [2, 3]
        assert log.taken == ["first", "a", "b"]

    async def test_without_a_server_each_is_told_so(self, group: Group, log: Log) -> None:
        log.refuses = dict.fromkeys("ab", Unavailable("away"))
        assert [str(fate) for fate in await put_together(group, log, "a", "b")] == ["away", "away"]

    async def test_a_fault_of_ours_is_raised_where_it_was_published_and_holds_nobody_up(self, group: Group, log: Log) -> None:
        log.refuses = {"b": ValueError("no answer of a log")}
        first, second, third = await put_together(group, log, "a", "b", "c")
        assert isinstance(second, ValueError)
        assert [isinstance(fate, Acknowledged) for fate in (first, third)] == [True, True]
        log.refuses = {}
        assert isinstance(await put(group, "b"), Acknowledged)

    async def test_who_gives_up_takes_nobody_along(self, group: Group, log: Log) -> None:
        log.open.clear()
        leaving, staying = asyncio.create_task(put(group, "a")), asyncio.create_task(put(group, "b"))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.sleep(0)
        log.open.set()
        assert await staying == Acknowledged(2, duplicate=False)
        assert leaving.cancelled()
