"""One notification to one webhook: to no address that the settings forbid, within its time, never redirected.

Names are resolved here and the connection goes to the very address that was judged, so that a name cannot be made to mean another
one between the two. Proxies of the environment are not used.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

import httpcore

from gateway.a2a.settings import A2ASettings
from gateway.identity.guard import is_loopback
from gateway.settings import GatewaySettings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
PORTS = {"http": 80, "https": 443}


class UndeliveredError(Exception):
    """The webhook did not take the notification: why."""


def address_fault(url: str, a2a: A2ASettings, gateway: GatewaySettings) -> str | None:
    """Why nothing may be sent to this URL, as far as it says so itself; None if nothing is wrong with it."""
    try:
        parts: SplitResult = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 0
    except ValueError as e:
        return f"is no URL: {e}"
    if parts.scheme not in PORTS or not host or not url.isascii() or not url.isprintable() or port < 0:
        return "must be an http or https URL with a host, in ASCII"
    if parts.username is not None:
        return "must not carry a user name; use `authentication`"
    if a2a.push_hosts and not _listed(host, a2a.push_hosts):
        return f"{host} is not one of the hosts that notifications may go to (CEREBRO_A2A_PUSH_HOSTS)"
    literal = _literal(host)
    if literal is not None and not allowed(literal, a2a, gateway):
        return f"{host} is not an address that notifications may go to (CEREBRO_A2A_PUSH_PRIVATE)"
    return None


def _listed(host: str, hosts: Iterable[str]) -> bool:
    name = host.lower().rstrip(".")
    return any(name == h.lower() or (h.startswith(".") and name.endswith(h.lower())) for h in hosts)


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def allowed(address: Address, a2a: A2ASettings, gateway: GatewaySettings) -> bool:
    """Whether notifications may go to this address: public ones; loopback where the gateway itself serves loopback alone;
    other private ones where the settings say so. Never link-local ones, behind which clouds keep credentials.
    """
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    if address.is_loopback:
        return a2a.push_private or is_loopback(gateway.http_host)
    return address.is_global or a2a.push_private


class Post:
    """Sends notifications over a pool of connections."""

    def __init__(self, a2a: A2ASettings, gateway: GatewaySettings) -> None:
        self._a2a = a2a
        self._pool = httpcore.AsyncConnectionPool(
            max_connections=a2a.push_at_once_max, max_keepalive_connections=0, network_backend=_Judged(a2a, gateway)
        )

    async def send(self, url: str, headers: dict[str, str], body: bytes) -> None:
        """Returned means that it was taken (2xx). Raises `UndeliveredError`."""
        try:
            async with asyncio.timeout(self._a2a.push_s_max):
                async with self._pool.stream("POST", url, headers=list(headers.items()), content=body) as response:
                    status = response.status
        except TimeoutError:
            raise UndeliveredError(f"no answer within {self._a2a.push_s_max:g} s") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as e:
            raise UndeliveredError(f"{type(e).__name__} {e}".strip()) from e
        if not 200 <= status < 300:
            raise UndeliveredError(f"answered {status}")

    async def close(self) -> None:
        await self._pool.aclose()


class _Judged(httpcore.AnyIOBackend):
    """Connections to addresses that may be connected to."""

    def __init__(self, a2a: A2ASettings, gateway: GatewaySettings) -> None:
        super().__init__()
        self._a2a = a2a
        self._gateway = gateway

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, judge, connect to what was judged."""
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [ipaddress.ip_address(str(info[4][0]).partition("%")[0]) for info in found]
        for address in addresses:
            if not allowed(address, self._a2a, self._gateway):
                raise httpcore.ConnectError(f"{host} is {address}, where no notification may go")
        for address in addresses[:-1]:
            try:
                return await super().connect_tcp(str(address), port, timeout, local_address, socket_options)
            except httpcore.ConnectError:
                continue
        return await super().connect_tcp(str(addresses[-1]), port, timeout, local_address, socket_options)
