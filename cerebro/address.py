"""Where something listens."""

import socket
from typing import Final

import msgspec


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

        Somebody may take the port before its server does; the start then fails and says so.
        """
        if self.port:
            return self
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
