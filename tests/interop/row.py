"""One client's row of the interop table, and the place in which it is tried."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from clients.headless.node import Node

COLUMNS = ("connect", "publish", "subscribe", "simulcast", "data", "resume")
OK, FAILED, LACKS = "ok", "FAILED", "-"
END = "\x04"
"""Said to a program that goes on until its input ends."""


class Unavailable(Exception):  # noqa: N818  (named for what is the case)
    """The client cannot be had here; the message says why in one sentence."""


@dataclass
class Row:
    """What holds for one client."""

    client: str
    cells: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    """Why a cell is not ok."""

    def holds(self, *columns: str) -> None:
        """These were seen to work."""
        for column in columns:
            self.cells[column] = OK

    def lacks(self, why: str, *columns: str) -> None:
        """The client itself cannot do these."""
        for column in columns:
            self.cells[column], self.notes[column] = LACKS, why

    def fails(self, why: str) -> None:
        """What has not been seen to work does not."""
        for column in COLUMNS:
            if column not in self.cells:
                self.cells[column], self.notes[column] = FAILED, why

    @property
    def passed(self) -> bool:
        """Whether all that the client can do holds."""
        return FAILED not in self.cells.values()


Check = Callable[[Node, Row], Awaitable[None]]


@dataclass(frozen=True)
class Client:
    """A client and what tries it."""

    name: str
    check: Check


async def until(holds: Callable[[], Awaitable[Any]], what: str, patience: float = 60.0) -> Any:
    """The first truth that `holds` tells. Raises AssertionError."""
    deadline = time.monotonic() + patience
    while True:
        if found := await holds():
            return found
        assert time.monotonic() < deadline, f"{what}: not within {patience:.0f} s"
        await asyncio.sleep(0.1)


async def lines_of(
    command: Sequence[str], heard: Callable[[str], Awaitable[str | None]], patience: float
) -> None:
    """Run a program; each line it prints is heard, and what that returns is written to it, or,
    with `END`, its input is closed.

    Raises AssertionError where it fails or takes longer than `patience` seconds.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    complaints = asyncio.create_task(process.stderr.read())
    try:
        async with asyncio.timeout(patience):
            async for line in process.stdout:
                answer = await heard(line.decode().strip())
                if answer == END:
                    process.stdin.close()
                elif answer is not None:
                    process.stdin.write(answer.encode() + b"\n")
            process.stdin.close()
            code = await process.wait()
    except TimeoutError:
        raise AssertionError(f"it was not done within {patience:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    said = (await complaints).decode(errors="replace").strip().splitlines()
    assert code == 0, f"exit code {code}: {said[-1] if said else 'no word'}"
