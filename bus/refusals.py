"""What the server refuses, told at once to whom it concerns.

NATS says "you may not" on the connection, not in answer to a request: without this a forbidden request would only time out. And a
client whose key was revoked would try for ever to come back.
"""

import asyncio
import logging
import re
import ssl
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import nats.errors

from bus.cancelling import end
from bus.errors import CerebroError, Forbidden, Misconfigured, NotAdmitted

log = logging.getLogger("cerebro.bus")

T = TypeVar("T")
CERTIFICATE_REFUSED = ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "TLSV1_ALERT_UNKNOWN_CA", "SSLV3_ALERT_BAD_CERTIFICATE")
CLOSE_S = 0.2
"""How long a refused client has to close its socket before it is stopped from trying again."""
VIOLATION = re.compile(r'permissions violation for (\w+) to "([^"]*)"')
"""As nats-py hands on the server's sentence: in lower case."""
NOT_ADMITTED = ("authorization violation", "authentication revoked", "authentication expired")


class Refusals:
    """Hears the errors of one connection (`heard` is the client's callback)."""

    def __init__(self) -> None:
        self._asking: dict[str, set[asyncio.Task[Any]]] = {}
        self._forbidden: dict[asyncio.Task[Any], str] = {}
        self._final: Misconfigured | None = None
        self._finally = asyncio.Event()

    async def heard(self, error: Exception) -> None:
        """An error of the client: whose it is hears of it, and the log does."""
        text = str(error) or type(error).__name__
        if final := _final(error, text):
            self._final = final
            self._finally.set()
            return
        log.warning("NATS: %s", text)
        if found := VIOLATION.search(text.lower()):
            for task in self._asking.get(found[2], set()) - self._forbidden.keys():
                self._forbidden[task] = found[2]
                task.cancel()

    @contextmanager
    def asking(self, subjects: Iterable[str]) -> Iterator[None]:
        """While the current task waits for what it published on these. Raises `Forbidden` when the server refuses one of them."""
        task = asyncio.current_task()
        assert task is not None, "a request is made by a task"
        keys = {subject.lower(): subject for subject in subjects}
        for key in keys:
            self._asking.setdefault(key, set()).add(task)
        try:
            yield
        except (asyncio.CancelledError, CerebroError, nats.errors.Error, TimeoutError):
            if task not in self._forbidden or task.uncancel() > 0:
                raise
            raise self._error(task, keys) from None
        else:
            if task in self._forbidden:  # the cancellation was lost (see `bus.cancelling`)
                task.uncancel()
                raise self._error(task, keys)
        finally:
            self._forbidden.pop(task, None)
            for key in keys:
                if tasks := self._asking.get(key):
                    tasks.discard(task)
                    if not tasks:
                        del self._asking[key]

    def _error(self, task: asyncio.Task[Any], keys: Mapping[str, str]) -> Forbidden:
        said = self._forbidden[task]
        return Forbidden(f"this identity may not publish on {keys.get(said, said)}")

    async def unless_refused(self, connecting: Coroutine[Any, Any, T]) -> T:
        """What `connecting` gives, unless it turns out that trying does not help: then what `refused` raises."""
        trying = asyncio.create_task(connecting, name="connect to NATS")
        refused = asyncio.create_task(self.refused(), name="hear that we are not admitted")
        try:
            await asyncio.wait({trying, refused}, return_when=asyncio.FIRST_COMPLETED)
            if refused.done():
                await asyncio.wait({trying}, timeout=CLOSE_S)
                refused.result()
            return await trying
        finally:
            await end(trying, refused)
            await asyncio.gather(trying, refused, return_exceptions=True)  # what the loser raised is not news

    async def refused(self) -> None:
        """Wait until the server does not admit us (any more), or we cannot believe it, and raise `NotAdmitted` or `Misconfigured`."""
        await self._finally.wait()
        assert self._final is not None
        raise self._final


def _final(error: Exception, text: str) -> Misconfigured | None:
    """What an error comes to that trying again does not mend."""
    if any(words in text.lower() for words in NOT_ADMITTED):
        return NotAdmitted(f"the NATS server does not admit this identity: {text.removeprefix('nats: ')}")
    if isinstance(error, ssl.SSLCertVerificationError):
        return Misconfigured(f"the NATS server's certificate is not believed: {error.verify_message}")
    if isinstance(error, ssl.SSLError) and error.reason in CERTIFICATE_REFUSED:
        return NotAdmitted(f"the NATS server refuses the certificate of this client, or that it has none: {error.reason}")
    return None
