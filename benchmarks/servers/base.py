"""What an adapter of a server tells a benchmark: is it here, how is it run, how does one join."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from benchmarks.generator import Signaling

PEERS = Path(__file__).parent.parent / ".peers"
"""Where `install.sh` puts what it builds."""
INSTALL = "benchmarks/servers/install.sh"


@dataclass(frozen=True)
class Running:
    """A server that has been started."""

    pid: int
    """Its process; what it has forked belongs to it."""
    teacher: Signaling
    school: Signaling


class Server(ABC):
    """One SFU under a benchmark."""

    name: ClassVar[str]
    settings: ClassVar[Mapping[str, object]]
    """How it is run, where that is not its default."""

    @abstractmethod
    def missing(self) -> str | None:
        """Why it cannot run here, and what to do about it; None where it can."""

    @abstractmethod
    async def version(self) -> str:
        """Its own words about its version."""

    @abstractmethod
    def run(self) -> AbstractAsyncContextManager[Running]:
        """Start it, on the cores of the calling thread; it ends with the context.

        Raises ServerError.
        """


class ServerError(Exception):
    """A server did not start or did not do as asked; the message has its words."""


def not_installed(what: str, name: str) -> str:
    """The sentence for a server that nobody has installed."""
    return f"{what} is not there; `{INSTALL} {name}` installs it"
