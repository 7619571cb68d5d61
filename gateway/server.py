"""uvicorn within bounds: heads that come too slowly or too large are cut, and the owner, not uvicorn, decides when to stop."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import msgspec
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.settings import GatewaySettings
from schemas.problem import Problem

BACKLOG = 512
"""Most connections that wait to be accepted."""
LINGER_S_MAX = 0.5
"""How long what follows a refused head is still read, and thrown away."""
_PROBLEM = msgspec.json.encode(Problem(title="Request Header Fields Too Large", status=431))
TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/problem+json\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(_PROBLEM), _PROBLEM)
)


class BoundedProtocol(HttpToolsProtocol):
    """The protocol of uvicorn with a deadline and a size limit for the head of each request; uvicorn itself has neither."""

    limits: ClassVar[GatewaySettings] = GatewaySettings()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._in_head = True
        self._refused = False
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Called with whatever came; the head ends within it, or the bytes so far are judged."""
        if self._refused:
            return  # read away for a moment, so that the answer is not lost to a reset
        self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > self.limits.head_bytes_max and not self.transport.is_closing():
            self._refused = True
            self.transport.write(TOO_LARGE)
            self._disarm()
            self._head_timer = self.loop.call_later(LINGER_S_MAX, self._close)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        self._arm()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._disarm()
        super().on_headers_complete()

    def _arm(self) -> None:
        self._disarm()
        self._head_timer = self.loop.call_later(self.limits.head_s_max, self._close)

    def _disarm(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _close(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


def bounded_protocol(settings: GatewaySettings) -> type[HttpToolsProtocol]:
    """The protocol with the limits of these settings; uvicorn makes its instances, so they travel in the class."""
    return type("SettledProtocol", (BoundedProtocol,), {"limits": settings})


class Server(uvicorn.Server):
    """The server of uvicorn whose signals belong to the composition root, and which says when it serves."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


def bind(settings: GatewaySettings) -> socket.socket:
    """The listening socket. Raises `OSError` when the address is taken."""
    family = socket.AF_INET6 if ":" in settings.http_host else socket.AF_INET
    return socket.create_server((settings.http_host, settings.http_port), family=family, backlog=BACKLOG)


def server(app: ASGIApp, settings: GatewaySettings, ready: Callable[[], None]) -> Server:
    """The server of `app`, not started."""
    config = uvicorn.Config(
        app,
        http=bounded_protocol(settings),
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        limit_concurrency=settings.connections_max,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=settings.stop_s_max,
    )
    return Server(config, ready)
