"""Keeps the recorder's worker process alive, and hears from it how it does."""

import asyncio
import contextlib
import logging
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from pathlib import Path

from recorder.news import News, NewsError, decode

DATABASE = "TONGBU_ARCHIVE__DATABASE"
"""The variable of the environment by which the worker is told the catalogue's URL."""

_FIRST_WAIT = 0.2
_LONGEST_WAIT = 10.0
_GOOD_LIFE = 10.0  # a worker that lived so long is started again at once

_log = logging.getLogger(__name__)


class Supervisor:
    """One worker for one data folder, started again whenever it dies.

    `on_state` hears "ok", "failing: <reason>" and, once stopped, "off"; `on_news` what it tells
    of live lessons.
    """

    def __init__(
        self,
        data_dir: Path,
        on_state: Callable[[str], None] | None = None,
        command: Sequence[str] = (sys.executable, "-m", "recorder.worker"),
        on_news: Callable[[News], None] | None = None,
        database: str = "",
    ) -> None:
        """`database`: the catalogue's URL, if it is not in the data folder; it has a password."""
        self._data_dir = data_dir
        self._database = database
        self._command = command
        self._on_state = on_state or (lambda state: None)
        self._on_news = on_news or (lambda news: None)
        self._process: Process | None = None
        self._task: asyncio.Task[None] | None = None
        self.restarts = 0
        """How often a worker has died."""

    @property
    def pid(self) -> int | None:
        """The worker's process id, while there is one."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        """Start the worker. Raises OSError when no process can be had."""
        self._process = await self._spawn()
        self._task = asyncio.create_task(self._keep(self._process))

    async def stop(self, timeout: float) -> None:  # noqa: ASYNC109  (the worker's, not ours)
        """End the worker in good order, or in bad order after `timeout` seconds. Idempotent."""
        if self._task is None:
            return
        task, self._task = self._task, None
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        if self._process is not None:
            await _end(self._process, timeout)
        self._on_state("off")

    async def _keep(self, process: Process) -> None:
        """Listen to the worker; when it is gone start another, ever later if that is hopeless."""
        wait = _FIRST_WAIT
        while True:
            born = time.monotonic()
            await self._listen(process)
            code = await process.wait()
            self.restarts += 1
            _log.warning("the recorder ended with %d; starting it again", code)
            self._on_state("failing: the recorder is starting again")
            if time.monotonic() - born > _GOOD_LIFE:
                wait = _FIRST_WAIT
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)
            process = self._process = await self._respawn()

    async def _listen(self, process: Process) -> None:
        assert process.stdout is not None  # it was asked for
        async for line in process.stdout:
            self._hear(line.decode(errors="replace").strip())

    def _hear(self, line: str) -> None:
        """A line is a state, or an object of news."""
        if not line.startswith("{"):
            self._on_state(line)
            return
        try:
            self._on_news(decode(line))
        except NewsError as error:
            _log.error("%s", error)

    async def _respawn(self) -> Process:
        while True:
            try:
                return await self._spawn()
            except OSError as error:
                _log.error("the recorder cannot be started: %s", error)
                await asyncio.sleep(_LONGEST_WAIT)

    async def _spawn(self) -> Process:
        arguments = ["--data-dir", str(self._data_dir), "--parent", str(os.getpid())]
        environment = {**os.environ, DATABASE: self._database}  # nobody else can read it there
        return await asyncio.create_subprocess_exec(
            *self._command, *arguments, stdout=PIPE, env=environment
        )


async def _end(process: Process, timeout: float) -> None:  # noqa: ASYNC109
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        # communicate, not wait: a worker that fills its pipe could not end
        await asyncio.wait_for(process.communicate(), timeout)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
