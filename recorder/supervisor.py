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
_GOOD_WORK = 2.0
"""Seconds: a worker that worked so long was no hopeless case, and what ended it is news."""

_log = logging.getLogger(__name__)


class Backoff:
    """How long to wait before the next worker: ever longer, while they come to nothing. Pure."""

    def __init__(self) -> None:
        self._next = _FIRST_WAIT

    def wait(self, worked: float) -> float:
        """Seconds, after a worker that was at work for so many: not counted is how it began."""
        wait = _FIRST_WAIT if worked >= _GOOD_WORK else self._next
        self._next = min(wait * 2, _LONGEST_WAIT)
        return wait


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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`database`: the catalogue's URL, if it is not in the data folder; it has a password.

        `clock` gives seconds, of which only differences matter.
        """
        self._data_dir = data_dir
        self._database = database
        self._command = command
        self._on_state = on_state or (lambda state: None)
        self._on_news = on_news or (lambda news: None)
        self._clock = clock
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
        backoff = Backoff()
        while True:
            worked = await self._listen(process)
            code = await process.wait()
            self.restarts += 1
            _log.warning("the recorder ended with %d; starting it again", code)
            self._on_state("failing: the recorder is starting again")
            await asyncio.sleep(backoff.wait(worked))
            process = self._process = await self._respawn()

    async def _listen(self, process: Process) -> float:
        """Hear it until it is silent; how many seconds it was at work, from its first word."""
        assert process.stdout is not None  # it was asked for
        began: float | None = None
        async for line in process.stdout:
            began = self._clock() if began is None else began
            self._hear(line.decode(errors="replace").strip())
        return 0.0 if began is None else self._clock() - began

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
