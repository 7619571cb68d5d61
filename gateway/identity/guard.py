"""The guard: lets a request in, or says why not. 401: nobody we know; 403: not allowed this; 429: too often."""

import asyncio
import ipaddress
from contextlib import suppress
from typing import Any, Final

import msgspec

from bus.errors import Unavailable, refusal
from gateway.identity.keyring import Keyring
from gateway.identity.keys import fits, parsed
from gateway.identity.rates import Rates, network
from gateway.route import NOBODY, Needs, Route
from gateway.settings import GatewaySettings
from schemas.keys import ApiKey

BEARER: Final = "bearer"


class Caller(msgspec.Struct, frozen=True):
    """Who asks: the name of their key, empty where none is asked for; under which names they may write, None for any."""

    name: str = ""
    agents: frozenset[str] | None = None

    def may_write(self, route: Route, body: Any) -> None:
        """Raises 403 where the key is for some names only, and the body speaks in another, or the route touches what may be anyone's."""
        if self.agents is None or route.needs is Needs.READ or route.acts_as == NOBODY:
            return
        if route.acts_as is None:
            raise refusal(403, f"this key may write as {', '.join(sorted(self.agents))} only, and this may touch what is another's")
        for item in body if isinstance(body, list) else [body]:
            if (named := getattr(item, route.acts_as)) not in self.agents:
                raise refusal(403, f"this key may not write as {named}", path=f"$.{route.acts_as}")


ANYONE: Final = Caller()


class Guard:
    """`admit` each request before anything else is done for it."""

    def __init__(self, settings: GatewaySettings, keyring: Keyring) -> None:
        self.asks = settings.keys == "on" or (settings.keys == "auto" and not is_loopback(settings.http_host))
        self._keyring = keyring
        self._look_every_s = settings.key_cache_s
        self._rates = Rates(settings)

    async def admit(self, needs: Needs, authorization: str | None, address: str) -> Caller:
        """Who asks. Raises 401, 403, 429, or `Unavailable` while the keys cannot be read."""
        if not self.asks or needs is Needs.NOTHING:
            return ANYONE
        place = network(address)
        await self._rates.look("bad key", place)
        await self._rates.take("address", place)
        known = await self._known(authorization)
        if known is None:
            await self._rates.take("bad key", place)
            raise refusal(401, "send `Authorization: Bearer KEY` with a key of this mesh (`cerebro key add NAME` makes one)")
        name, key = known
        await self._rates.take("key", name)
        if needs.value not in key.scopes:
            raise refusal(403, f"this key is for {', '.join(key.scopes)}; this needs {needs.value}")
        return Caller(name, frozenset(key.agents) if key.agents is not None else None)

    async def shut_out(self, needs: Needs, authorization: str | None) -> None:
        """Return once somebody who was admitted would not be any more, for their key was revoked: within twice `key_cache_s` of that.

        While the keys cannot be read it is not known; then nothing comes from the log either.
        """
        if not self.asks or needs is Needs.NOTHING:
            await asyncio.get_running_loop().create_future()  # never
        while True:
            await asyncio.sleep(self._look_every_s)
            with suppress(Unavailable):
                known = await self._known(authorization)
                if known is None or needs.value not in known[1].scopes:
                    return

    async def close(self) -> None:
        """Close what it holds open."""
        await self._rates.close()

    async def _known(self, authorization: str | None) -> tuple[str, ApiKey] | None:
        scheme, _, text = (authorization or "").partition(" ")
        found = parsed(text.strip()) if scheme.lower() == BEARER else None
        if found is None:
            return None
        name, secret = found
        key = await self._keyring.find(name)
        return (name, key) if key is not None and fits(secret, key) else None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
