"""A node of our own: started as a child process for the demo, the selftest and the tests."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import deque
from pathlib import Path
from typing import Self

from clients.headless.errors import NodeError

START_TIMEOUT = 30.0
"""Seconds until a node must be ready; the first start compiles Python files."""

_READY = "ready "
_TAIL = 40  # lines of the node's log that are kept for an explanation


class Node:
    """A running `tongbu serve --dev`; `url` is where it listens."""

    def __init__(self, process: Process, *, show_log: bool) -> None:
        self.process = process
        self.url = ""
        self.log: deque[str] = deque(maxlen=_TAIL)
        """The last lines the node wrote to stderr."""
        self._show_log = show_log
        self._readers: list[asyncio.Task[None]] = []

    @classmethod
    async def start(
        cls,
        data_dir: Path,
        *,
        port: int = 0,
        udp_port: int | None = 0,
        tcp_port: int | None = 0,
        environment: dict[str, str] | None = None,
        show_log: bool = False,
    ) -> Self:
        """Start a node and wait until it is ready; 0 is any free port, None what it has as usual.

        Raises NodeError with the node's own words.
        """
        env = {**os.environ, "TONGBU_DATA_DIR": str(data_dir), "PYTHONUNBUFFERED": "1"}
        if udp_port is not None:
            env["TONGBU_RTC__UDP_PORT"] = str(udp_port)
        if tcp_port is not None:
            env["TONGBU_RTC__TCP_PORT"] = str(tcp_port)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "signaling.cli", "serve", "--dev", "--port", str(port)),
            env={**env, **(environment or {})},
            stdout=PIPE,
            stderr=PIPE,
            start_new_session=True,  # Ctrl-C is for us: we end the lesson first
        )
        node = cls(process, show_log=show_log)
        try:
            await node._become_ready()
        except BaseException:
            await node.kill()
            raise
        return node

    async def stop(self, patience: float = 5.0) -> int:
        """Ask it to end (SIGTERM), insist after `patience` seconds; the exit code."""
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        try:
            async with asyncio.timeout(patience):
                code = await self.process.wait()
        except TimeoutError:
            return await self.kill()
        await self._drained()
        return code

    async def kill(self) -> int:
        """End it without a warning (SIGKILL), as a crash does."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        code = await self.process.wait()
        await self._drained()
        return code

    async def _become_ready(self) -> None:
        assert self.process.stderr
        self._readers.append(asyncio.create_task(self._keep_log(self.process.stderr)))
        try:
            async with asyncio.timeout(START_TIMEOUT):
                self.url = await self._ready_line()
        except TimeoutError:
            raise NodeError(f"The node was not ready within {START_TIMEOUT:.0f} s.") from None
        assert self.process.stdout
        self._readers.append(asyncio.create_task(_discard(self.process.stdout)))

    async def _ready_line(self) -> str:
        assert self.process.stdout
        async for line in self.process.stdout:
            text = line.decode(errors="replace").strip()
            if text.startswith(_READY):
                return text.removeprefix(_READY).rstrip("/")
        await self.process.wait()
        await self._drained()
        said = next((line for line in reversed(self.log) if line.strip()), "it said nothing")
        raise NodeError(f"The node did not start: {said.removeprefix('Error: ')}")

    async def _keep_log(self, stream: asyncio.StreamReader) -> None:
        async for line in stream:
            self.log.append(line.decode(errors="replace").rstrip())
            if self._show_log and self.url:  # why a node did not start is told by the error
                print(self.log[-1], file=sys.stderr)

    async def _drained(self) -> None:
        """Wait for the rest of the output. The worker may hold the pipe a little longer."""
        if self._readers:
            await asyncio.wait(self._readers, timeout=1.0)
        for reader in self._readers:
            reader.cancel()


async def _discard(stream: asyncio.StreamReader) -> None:
    async for _ in stream:
        pass
