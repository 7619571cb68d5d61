"""Group commit, against a log in memory that takes a batch whole or not at all, as the server does."""

import asyncio
from collections.abc import Sequence

import pytest

from bus.errors import CerebroError, Conflict, TimedOut, TooLarge, Unavailable
from bus.group import TURNS, Acknowledged, Group, Wire

SINGLY = ("first", "second")
"""As many as go singly where three are many."""


class Log:
    """Takes messages under their ids; `begun` holds how many were sent together each time, `writes` how many were written."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.begun: list[int] = []
        self.writes: list[int] = []
        self.refuses: dict[str, Exception] = {}
        self.loses_answer_of_batches = False
        self.open = asyncio.Event()
        self.open.set()

    async def one(self, wire: Wire) -> Acknowledged:
        self.begun.append(1)
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
        self.begun.append(len(wires))
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
    return Group(log.one, log.many, len_min=3, len_max=10, bytes_max=100, gather_s_max=60)


async def put(group: Group, ident: str, size: int = 1) -> Acknowledged | BaseException:
    try:
        return await group.put(ident, (ident, b"x" * size, {}))
    except (CerebroError, ValueError) as e:
        return e


async def again_and_again(group: Group, name: str, times: int) -> None:
    """Publish one message after the other, each as soon as the one before is acknowledged."""
    for number in range(times):
        assert isinstance(await put(group, f"{name}{number}"), Acknowledged)


async def put_together(group: Group, log: Log, *idents: str, size: int = 1) -> list[Acknowledged | BaseException]:
    """All of these while the log is slow, behind two that are as many as go singly."""
    log.open.clear()
    putting = [asyncio.create_task(put(group, ident, size)) for ident in (*SINGLY, *idents)]
    await turns()
    log.open.set()
    return (await asyncio.gather(*putting))[len(SINGLY) :]


async def turns(count: int = 2 * TURNS) -> None:
    """Let everything that can happen now happen."""
    for _ in range(count):
        await asyncio.sleep(0)


class TestAFew:
    async def test_each_goes_singly_and_at_once(self, group: Group, log: Log) -> None:
        assert await put(group, "a") == Acknowledged(1, duplicate=False)
        log.open.clear()
        waiting = [asyncio.create_task(put(group, ident)) for ident in "bc"]
        await turns()
        assert log.begun == [1, 1, 1]  # the last does not wait for the one before
        log.open.set()
        assert await asyncio.gather(*waiting) == [Acknowledged(2, duplicate=False), Acknowledged(3, duplicate=False)]

    async def test_two_that_never_stop_are_never_held_up_by_a_batch(self, group: Group, log: Log) -> None:
        await asyncio.gather(*(again_and_again(group, name, 20) for name in "ab"))
        assert log.writes == [1] * 40

    async def test_they_go_singly_again_when_the_many_have_gone(self, group: Group, log: Log) -> None:
        await put_together(group, log, *"abcd")
        log.writes.clear()
        await asyncio.gather(*(again_and_again(group, name, 20) for name in "ef"))
        assert log.writes == [1] * 40

    async def test_where_none_may_share_a_write_all_go_singly_and_at_once(self, log: Log) -> None:
        group = Group(log.one, log.many, len_min=3, len_max=1, bytes_max=100, gather_s_max=60)
        log.open.clear()
        putting = [asyncio.create_task(put(group, ident)) for ident in "abcdefgh"]
        await turns()
        assert log.begun == [1] * 8
        log.open.set()
        await asyncio.gather(*putting)


class TestMany:
    async def test_they_share_a_write_in_their_order(self, group: Group, log: Log) -> None:
        assert await put_together(group, log, *"abcd") == [Acknowledged(seq, duplicate=False) for seq in (3, 4, 5, 6)]
        assert log.writes == [1, 1, 4]

    async def test_what_comes_during_a_batch_goes_with_the_next(self, group: Group, log: Log) -> None:
        log.open.clear()
        putting = [asyncio.create_task(put(group, ident)) for ident in (*SINGLY, *"abc")]
        await turns()
        putting += [asyncio.create_task(put(group, ident)) for ident in "defg"]
        await turns()
        assert log.begun == [1, 1, 3]
        log.open.set()
        await asyncio.gather(*putting)
        assert log.writes == [1, 1, 3, 4]
        assert log.taken == [*SINGLY, *"abcdefg"]

    async def test_those_who_were_told_together_and_publish_again_go_together_again(self, group: Group, log: Log) -> None:
        await asyncio.gather(*(again_and_again(group, name, 20) for name in "abcdefgh"))
        assert min(log.writes[2:]) >= 3
        assert len(log.writes) <= 2 + 2 * 20

    async def test_a_batch_is_bounded_in_number(self, group: Group, log: Log) -> None:
        await put_together(group, log, *(f"n{i}" for i in range(25)))
        assert log.writes == [1, 1, 10, 10, 5]

    async def test_and_in_bytes(self, group: Group, log: Log) -> None:
        await put_together(group, log, *(f"b{i}" for i in range(7)), size=30)
        assert log.writes == [1, 1, 3, 3, 1]


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
        first, *_, again = await put_together(group, log, *"abcda")
        assert (first, again) == (Acknowledged(3, duplicate=False), Acknowledged(3, duplicate=True))
        assert log.taken == [*SINGLY, *"abcd"]
        assert log.writes == [1, 1, 4]

    async def test_so_are_two_with_the_id_of_one_that_goes_singly(self, group: Group, log: Log) -> None:
        log.open.clear()
        putting = [asyncio.create_task(put(group, "a")) for _ in range(2)]
        await turns()
        log.open.set()
        assert await asyncio.gather(*putting) == [Acknowledged(1, duplicate=False), Acknowledged(1, duplicate=True)]

    async def test_a_batch_whose_answer_is_lost_is_found_again_under_the_same_ids(self, group: Group, log: Log) -> None:
        log.loses_answer_of_batches = True
        fates = await put_together(group, log, *"abc")
        assert [fate.seq for fate in fates if isinstance(fate, Acknowledged)] == [3, 4, 5]
        assert log.taken == [*SINGLY, *"abc"]
        assert log.writes == [1, 1, 3, 1, 1, 1]

    async def test_without_a_server_each_is_told_so(self, group: Group, log: Log) -> None:
        log.refuses = dict.fromkeys("abc", Unavailable("away"))
        assert [str(fate) for fate in await put_together(group, log, *"abc")] == ["away"] * 3

    async def test_a_fault_of_ours_is_raised_where_it_was_published_and_holds_nobody_up(self, group: Group, log: Log) -> None:
        log.refuses = {"b": ValueError("no answer of a log")}
        first, second, third = await put_together(group, log, *"abc")
        assert isinstance(second, ValueError)
        assert [isinstance(fate, Acknowledged) for fate in (first, third)] == [True, True]
        log.refuses = {}
        assert isinstance(await put(group, "b"), Acknowledged)

    async def test_who_gives_up_takes_nobody_along(self, group: Group, log: Log) -> None:
        log.open.clear()
        leaving, *staying = [asyncio.create_task(put(group, ident)) for ident in (*SINGLY, *"abc")]
        await turns()
        leaving.cancel()
        staying[1].cancel()  # the one is written singly, the other in a batch
        await turns()
        log.open.set()
        assert await staying[0] == Acknowledged(2, duplicate=False)
        assert await staying[2] == Acknowledged(4, duplicate=False)
        assert leaving.cancelled()
        assert staying[1].cancelled()
