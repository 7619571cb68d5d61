"""Where something listens."""

import secrets
import socket
from contextlib import suppress
from typing import Final

import msgspec

PORTS: Final = range(15_000, 32_000)
"""Where a free port is looked for: below the range of outgoing connections on Linux and macOS."""
TRIES_MAX: Final = 50
"""How many ports are tried there before the system is asked for any."""
_given: Final[set[int]] = set()
"""The free ports that this process has chosen so far: until its server listens there, one looks as free as before."""


class Address(msgspec.Struct, frozen=True):
    """A host and a TCP port; port 0 means a free one."""

    host: str = "127.0.0.1"
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read `HOST:PORT`, brackets around an IPv6 host; raises ValueError with a sentence."""
        host, colon, port = text.rpartition(":")
        if not colon or not host or not port.isdecimal() or int(port) > 65_535:
            raise ValueError(f"{text!r} is not HOST:PORT")
        return cls(host.strip("[]"), int(port))

    def __str__(self) -> str:
        """As a client on this machine writes it in a URL."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    def chosen(self) -> "Address":
        """This one, or for port 0 the same host with a port that was free a moment ago.

        Not one of those that the system hands to outgoing connections, because a server keeps its port over restarts, and none twice.
        Somebody may take it before its server does; the start then fails and says so.
        """
        if self.port:
            return self
        for _ in range(TRIES_MAX):
            candidate = Address(self.host, secrets.choice(PORTS))
            if candidate.port in _given:
                continue
            with suppress(OSError):
                candidate.require_free()
                _given.add(candidate.port)
                return candidate
        with self._listen() as probe:
            return Address(self.host, probe.getsockname()[1])

    def require_free(self) -> None:
        """Raise OSError if a server could not listen there now: in use, not ours, or no such host."""
        self._listen().close()

    def _listen(self) -> socket.socket:
        family, *_, address = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)  # with SO_REUSEADDR, as servers do: a closed connection does not count


ANYWHERE: Final = Address()
"""A free port on loopback."""
