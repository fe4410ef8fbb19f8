"""Two namespaces with a weak link between them: the good side, and the school's."""

import asyncio
import contextlib
import json
import random
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.linklab import namespaces
from benchmarks.linklab.emulator import Plan, Side
from benchmarks.linklab.link import Settings
from benchmarks.linklab.profile import Way

START_TIMEOUT = 10.0
_ANSWER_TIMEOUT = 2.0


class LabError(Exception):
    """The lab could not be set up or has broken down; the message says why."""


@dataclass
class Lab:
    """A link that stands. `folder` is for whatever the lab's programs need."""

    good: Side
    school: Side
    folder: Path
    emulator: Process
    control: socket.socket
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One question at a time: answers carry no number."""

    async def change(self, way: Way, settings: Mapping[str, object]) -> None:
        """Another link from now on. Raises LabError."""
        await self.ask({way: dict(settings)})

    async def snapshot(self) -> dict[str, Any]:
        """All that was counted so far (`emulator.Direction.snapshot`). Raises LabError."""
        return await self.ask({})

    async def ask(self, changes: Mapping[str, object]) -> dict[str, Any]:
        """Change the link and hear what was counted. Raises LabError."""
        loop = asyncio.get_running_loop()
        try:
            async with self.turn, asyncio.timeout(_ANSWER_TIMEOUT):
                await loop.sock_sendall(self.control, json.dumps(changes).encode())
                said: dict[str, Any] = json.loads(await loop.sock_recv(self.control, 262_144))
        except (OSError, TimeoutError):
            raise LabError("the emulator does not answer") from None
        if "error" in said:
            raise LabError(f"the emulator refuses: {said['error']}")
        return said


@contextlib.asynccontextmanager
async def lab(
    links: Mapping[Way, Settings], seed: int, tcp_ports: tuple[int, ...] | None = None
) -> AsyncIterator[Lab]:
    """Set it up, and remove all of it at the end, whatever happens inside.

    Raises LabError, NamespaceError.
    """
    namespaces.sweep()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="linklab-")))
        net = f"198.18.{random.randrange(256)}"  # RFC 2544: for benchmarks
        good = Side(stack.enter_context(namespaces.namespace("good")), f"{net}.1")
        school = Side(stack.enter_context(namespaces.namespace("school")), f"{net}.2")
        plan = Plan(good, school, links, seed, str(folder / "control"), tcp_ports)
        async with _emulator(plan) as emulator:
            control = stack.enter_context(_connect(folder))
            yield Lab(good, school, folder, emulator, control)


@contextlib.asynccontextmanager
async def _emulator(plan: Plan) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.linklab.emulator", plan.to_json()),
        stdin=PIPE,  # its end tells the emulator that we are gone
        stdout=PIPE,
        start_new_session=True,
    )
    try:
        assert process.stdout
        try:
            async with asyncio.timeout(START_TIMEOUT):
                if not (await process.stdout.readline()).startswith(b"ready"):
                    raise LabError("the emulator did not start")
        except TimeoutError:
            raise LabError(f"the emulator was not ready in {START_TIMEOUT:.0f} s") from None
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.wait()


@contextlib.contextmanager
def _connect(folder: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as control:
        control.bind(str(folder / "asks"))
        control.connect(str(folder / "control"))
        control.setblocking(False)
        yield control
