"""A TCP proxy between a part and its server, which does to their conversation what networks do.

    delay       what passes comes later, in its order, by a fixed time and some chance
    throttle    only so many bytes pass in a second
    cut         the connection is reset after so many more bytes, in the middle of a frame as well as between two
    half-open   what is said in one direction, or in both, is swallowed; nobody is told, and no end is passed on
    stall       nothing is taken any more from either side, so that buffers fill up
    refuse      who is there is reset, and nobody new is let in

A fault holds for those connections that are there (`cut`, `half_open`, `stall`) or for all (`weather`, `refuse`, `swallow_new`).
Connections that were lost stay lost to their ends, as in a network that has forgotten them; `calm` lets go of their servers' ends,
so that they learn of it then.
"""

import asyncio
import contextlib
import random
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Final, Literal

import msgspec

CHUNK_BYTES: Final = 64 * 1024
"""Most that is read at a time."""
AHEAD_BYTES_MAX: Final = 1024 * 1024
"""Most that is on its way in one direction; then no more is taken in, as by a network whose buffers are full."""
SLICE_S: Final = 0.05
"""A throttled direction passes what may pass in so long at a time."""
CONNECT_S: Final = 5.0
"""Longest wait for the server itself."""
RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER of no time: closing resets, and nothing is sent any more

Direction = Literal["up", "down"]
"""To the server, or from it."""
BOTH: Final[tuple[Direction, ...]] = ("up", "down")
End = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Weather(msgspec.Struct, frozen=True):
    """What is done to all that passes; times in seconds. Without a rate nothing is throttled."""

    delay_s: float = 0.0
    jitter_s: float = 0.0
    bytes_per_s: float | None = None


CALM: Final = Weather()


def reset(writer: asyncio.StreamWriter) -> None:
    """Let its other end hear that the connection is gone, and nothing more that was on its way."""
    with contextlib.suppress(OSError):  # it is closed already
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()


class Stream:
    """One direction of a link: read, wait, write. `swallowed`: what comes is thrown away; `stalled`: nothing is taken in."""

    def __init__(self, link: "Link", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._link = link
        self._reader = reader
        self._writer = writer
        self._ahead: deque[tuple[float, bytes]] = deque()
        self._ahead_bytes = 0
        self._changed = asyncio.Event()
        self._ended = False
        self.passed_bytes = 0
        self.swallowed = False
        self.swallowed_bytes = 0
        self.cut_after: int | None = None
        self.going = asyncio.Event()
        self.going.set()

    async def run(self) -> None:
        """Until this direction has ended and was passed on."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read(), name="proxy reads")
            group.create_task(self._write(), name="proxy writes")

    async def _read(self) -> None:
        due = 0.0
        loop = asyncio.get_running_loop()
        while True:
            await self.going.wait()
            data = await self._reader.read(CHUNK_BYTES)
            if not data:
                break
            if self.swallowed:
                self.swallowed_bytes += len(data)
                continue
            due = max(due, loop.time() + self._link.proxy.lateness())  # jitter changes no order
            self._ahead.append((due, data))
            self._ahead_bytes += len(data)
            self._changed.set()
            while self._ahead_bytes > AHEAD_BYTES_MAX:
                self._changed.clear()
                await self._changed.wait()
        self._ended = True
        self._changed.set()

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._ahead:
                if self._ended:
                    return self._end()
                self._changed.clear()
                await self._changed.wait()
            due, data = self._ahead.popleft()
            await asyncio.sleep(max(0.0, due - loop.time()))
            await self._pass_on(data)
            self._ahead_bytes -= len(data)
            self._changed.set()

    async def _pass_on(self, data: bytes) -> None:
        while data and not self.swallowed:
            await self.going.wait()
            rate = self._link.proxy.weather.bytes_per_s
            piece = data[: max(1, int(rate * SLICE_S))] if rate else data
            if rate:
                await asyncio.sleep(len(piece) / rate)
            if self.cut_after is not None and len(piece) >= self.cut_after:
                self._writer.write(piece[: self.cut_after])
                await self._writer.drain()
                self._link.reset()
                return
            if self._writer.is_closing():
                raise ConnectionResetError("it was reset meanwhile")
            self._writer.write(piece)
            await self._writer.drain()
            self.passed_bytes += len(piece)
            if self.cut_after is not None:
                self.cut_after -= len(piece)
            data = data[len(piece) :]

    def _end(self) -> None:
        if not self._link.lost and self._writer.can_write_eof() and not self._writer.is_closing():
            self._writer.write_eof()


class Link:
    """A client's connection and the one made for it to the server."""

    def __init__(
        self,
        proxy: "Proxy",
        client: End,
        server: End,
    ) -> None:
        self.proxy = proxy
        self.lost = False
        self._let_go = asyncio.Event()
        self._writers = (client[1], server[1])
        self.streams: dict[Direction, Stream] = {
            "up": Stream(self, client[0], server[1]),
            "down": Stream(self, server[0], client[1]),
        }

    async def run(self) -> None:
        """Pass on in both directions until both have ended or it is reset. One that was lost stays until it is let go."""
        try:
            async with asyncio.TaskGroup() as group:
                for direction, stream in self.streams.items():
                    group.create_task(stream.run(), name=f"proxy {direction}")
        except* OSError:
            if not self.lost:
                self.reset()
        try:
            if self.lost:
                await self._let_go.wait()
        finally:
            for writer in self._writers:
                writer.close()

    def reset(self) -> None:
        """Both ends hear of it at once, and nothing more that was on its way."""
        for writer in self._writers:
            reset(writer)

    def lose(self, directions: tuple[Direction, ...]) -> None:
        """From now on swallow what is said in these directions, and tell nobody of an end."""
        self.lost = True
        for direction in directions:
            self.streams[direction].swallowed = True

    def stall(self) -> None:
        """Take nothing in any more, and tell nobody of an end."""
        self.lost = True
        for stream in self.streams.values():
            stream.going.clear()

    def let_go(self) -> None:
        """What was lost is reset, so that both ends learn of it now."""
        if self.lost:
            self.reset()
            for stream in self.streams.values():
                stream.going.set()
            self._let_go.set()


class Proxy:
    """Between whoever connects to `port` on 127.0.0.1 and the server at `upstream()`, which is asked for each connection.

    To be used within one event loop, which nothing may hold up. `chance`: where its jitter comes from.
    """

    def __init__(self, upstream: Callable[[], tuple[str, int]], chance: random.Random, port: int = 0) -> None:
        self._upstream = upstream
        self._chance = chance
        self._server: asyncio.Server | None = None
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._swallow_new = False
        self.port = port
        self.weather = CALM
        self.accepted = 0

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close everything."""
        await self.refuse()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def open(self) -> int:
        """How many connections there are, lost ones not counted."""
        return sum(not link.lost for link in self._links)

    @property
    def passed_bytes(self) -> int:
        return sum(stream.passed_bytes for link in self._links for stream in link.streams.values())

    @property
    def swallowed_bytes(self) -> int:
        return sum(stream.swallowed_bytes for link in self._links for stream in link.streams.values())

    def lateness(self) -> float:
        """How much later the next piece comes, in seconds."""
        return self.weather.delay_s + self._chance.random() * self.weather.jitter_s

    @property
    def _living(self) -> list[Link]:
        return [link for link in self._links if not link.lost]

    # what is done

    def cut(self, after_bytes: int, direction: Direction = "up") -> int:
        """Reset each connection after so many more bytes in that direction; returns how many there are."""
        living = self._living
        for link in living:
            link.streams[direction].cut_after = after_bytes
        return len(living)

    def half_open(self, *directions: Direction) -> int:
        """Lose every connection that is there, in these directions or in both; returns how many."""
        living = self._living
        for link in living:
            link.lose(directions or BOTH)
        return len(living)

    def swallow_new(self) -> None:
        """Let everybody in from now on, and pass on nothing: a peer that was never told."""
        self._swallow_new = True

    def stall(self) -> int:
        """Take nothing in any more on the connections that are there; returns how many."""
        living = self._living
        for link in living:
            link.stall()
        return len(living)

    async def refuse(self) -> None:
        """Reset who is there, and let nobody in."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for link in list(self._links):
            link.reset()
            link.let_go()

    async def calm(self) -> None:
        """No more of all that: everybody is let in, everything passes, and both ends of what was lost are reset."""
        self.weather, self._swallow_new = CALM, False
        for link in list(self._links):
            for stream in link.streams.values():
                stream.cut_after = None
            link.let_go()
        if self._server is None:
            await self.start()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "a connection is accepted by a task"
        self._tasks.add(task)
        self.accepted += 1
        try:
            server = await asyncio.wait_for(asyncio.open_connection(*self._upstream()), CONNECT_S)
        except OSError:
            reset(writer)
        else:
            await self._between((reader, writer), server)
        finally:
            self._tasks.discard(task)

    async def _between(self, client: End, server: End) -> None:
        link = Link(self, client, server)
        if self._swallow_new:
            link.lose(BOTH)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)
