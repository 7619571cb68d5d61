"""What is supervised: one part of the mesh, which is one child process after another."""

from abc import ABC, abstractmethod

from cerebro.embedded.child import Child


class Part(ABC):
    """An embedded server or an actor. It may be started again after it ended, and keeps its address and its data."""

    name: str

    def __init__(self) -> None:
        self._child: Child | None = None

    @property
    def child(self) -> Child:
        assert self._child is not None, f"{self.name} was never started"
        return self._child

    @property
    def pid(self) -> int:
        return self.child.pid

    @abstractmethod
    async def start(self) -> None:
        """Start, and return when it serves. Raises ServerFailed; the process is gone then, and `wait` returns at once."""

    async def stop(self) -> None:
        """Ask it to end, and kill it when it does not. Nothing happens if it does not run."""
        if self._child is not None:
            await self._child.stop()

    async def wait(self) -> int:
        """Return its exit status when it has ended, however it ended."""
        return await self.child.wait()


class Server(Part):
    """An embedded server, reached at `url`."""

    @property
    @abstractmethod
    def url(self) -> str: ...
