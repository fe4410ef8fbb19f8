"""Programs that an adapter starts: their own words are kept, and they end with the context."""

import asyncio
import contextlib
import os
import signal
import socket
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.servers.base import ServerError

START_TIMEOUT = 20.0
PATIENCE = 1.0
"""Seconds to end by itself: it has nothing to save."""
_TAIL = 12  # lines kept for an explanation


@dataclass
class Program:
    """A running program."""

    process: Process
    said: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL))
    """The last lines of its output."""

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid

    async def line(self, start: str) -> str:
        """The rest of the first line of its output that begins so. Raises ServerError."""
        assert self.process.stdout
        try:
            async with asyncio.timeout(START_TIMEOUT):
                async for raw in self.process.stdout:
                    line = raw.decode(errors="replace").rstrip()
                    self.said.append(line)
                    if line.startswith(start):
                        return line.removeprefix(start).strip()
        except TimeoutError:
            raise self.failure(f"was not ready in {START_TIMEOUT:.0f} s") from None
        raise self.failure("ended")

    async def listens(self, port: int) -> None:
        """Wait until it takes TCP connections. Raises ServerError."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_TIMEOUT):
                while self.process.returncode is None:
                    with contextlib.suppress(OSError):
                        _, writer = await asyncio.open_connection("127.0.0.1", port)
                        writer.close()
                        await writer.wait_closed()
                        return
                    await asyncio.sleep(0.05)
        raise self.failure("does not listen")

    def failure(self, what: str) -> ServerError:
        """An error with its last words."""
        return ServerError(f"{what}: {' / '.join(self.said) or 'it said nothing'}")


@contextlib.asynccontextmanager
async def program(
    command: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> AsyncIterator[Program]:
    """Start a program; SIGTERM ends it, SIGKILL if it takes too long."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        cwd=cwd,
        env=env,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
        start_new_session=True,
    )
    running = Program(process)
    try:
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        reader = asyncio.create_task(_discard(process))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # whoever is left of its session
        await process.wait()
        await reader


async def output(command: Sequence[str | Path]) -> str:
    """What a short command prints. Raises ServerError."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdin=DEVNULL, stdout=PIPE, stderr=STDOUT
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise ServerError(f"{command[0]}: {said.decode(errors='replace').strip()[-200:]}")
    return said.decode(errors="replace").strip()


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port that was free a moment ago."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found = [pid]
    for member in found:
        found += children.get(member, [])
    return found


async def _discard(process: Process) -> None:
    assert process.stdout
    while await process.stdout.read(65_536):
        pass
