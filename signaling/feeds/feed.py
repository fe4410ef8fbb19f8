"""One stream from or to elsewhere: a process that is kept alive until the feed is stopped.

Media libraries hang and crash on what strangers send, so that each attempt is a process of its own,
with bounds on what it may take. It gets its job as a line of JSON on its standard input (a command
line is for all to see, and URLs hold passwords), and ends when that input does: also when the node
is killed. What it says comes as lines of JSON on its standard output, every 2 s while it is well.
"""

import asyncio
import contextlib
import json
import logging
import os
import resource
import secrets
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from signaling.feeds.address import MediaUrl
from signaling.feeds.attempts import Attempts

logger = logging.getLogger(__name__)

SILENCE = 45.0
"""Seconds without a word after which a process counts as hung: opening a source may take 20."""
FAREWELL = 3.0
"""Seconds that a process has to end in good order."""

_MAX_LINE = 16 * 1024
_TOLD = ("video", "audio", "bytes", "behind_s")
"""What of a process's reports the API tells."""

# What one process may take. Memory: two 1080p coders take some 300 MB.
_LIMITS = (
    (resource.RLIMIT_DATA, 2 << 30),
    (resource.RLIMIT_NOFILE, 256),
    (resource.RLIMIT_CORE, 0),
    (resource.RLIMIT_FSIZE, 0),
)

Job = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Spec:
    """What a feed is, whatever happens to it."""

    lesson: str
    url: MediaUrl
    command: Sequence[str]
    """Arguments of our Python."""
    job: Callable[[], Job]
    """Makes the job of an attempt: each has a token of its own."""
    shown: Mapping[str, object]
    """What the API says of it besides its state."""
    name: str
    """For the log."""


class Feed:
    """One feed; it runs from `start` to `stop`, or until its process ends in good order."""

    def __init__(self, spec: Spec, on_end: Callable[["Feed"], None]) -> None:
        self.id = secrets.token_hex(4)
        self.spec = spec
        self.state = "connecting"
        """"connecting", "waiting", "live", "failing: " and why, or "ended"."""
        self._on_end = on_end
        self._attempts = Attempts()
        self._told: dict[str, object] = {}
        self._process: Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._live_since: float | None = None
        self._patience = FAREWELL
        self._stopped = False

    def describe(self) -> dict[str, object]:
        """What the API says of it; nothing that is secret."""
        return {
            "id": self.id,
            "url": self.spec.url.shown,
            **self.spec.shown,
            "state": self.state,
            "restarts": self._attempts.restarts,
            **self._told,
        }

    def start(self) -> None:
        """Begin; returns at once."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self, patience: float = FAREWELL) -> None:
        """End it, in good order if that takes no longer than `patience` seconds. Idempotent."""
        self._patience = patience
        if self._task is not None:
            if not self._stopped:
                self._task.cancel()  # once: a second time would keep the process from being ended
            self._stopped = True
            await asyncio.wait([self._task])
        self.state = "ended"

    async def over(self, patience: float) -> None:
        """Give it time to end by itself, then stop it."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=patience)
        await self.stop()

    async def _run(self) -> None:
        while True:
            reason = await self._attempt()
            if reason is None:
                break
            live = 0.0 if self._live_since is None else time.monotonic() - self._live_since
            if self.state == "live":
                logger.warning("%s broke off: %s", self.spec.name, reason)
            elif self._attempts.restarts == 0:
                logger.warning("%s does not work: %s", self.spec.name, reason)
            self.state = f"failing: {reason}"
            await asyncio.sleep(self._attempts.wait(live))
        self.state = "ended"
        logger.info("%s has ended", self.spec.name)
        self._on_end(self)

    async def _attempt(self) -> str | None:
        """One process's life: why it failed, None where it ended in good order."""
        self._live_since = None
        self._told.clear()
        try:
            process = self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *self.spec.command,
                stdin=PIPE,
                stdout=PIPE,
                limit=_MAX_LINE,
                env=_environment(),
            )
        except OSError as error:
            return f"No process can be started ({error.strerror})."
        try:
            _bound(process.pid)
            assert process.stdin is not None
            process.stdin.write(json.dumps(self.spec.job()).encode() + b"\n")
            last = await self._listen(process)
        finally:
            await _end(process, self._patience)
        if last is None:
            return _died(process.returncode or 0)
        if last.get("state") == "ended":
            return None
        return _sentence(last.get("reason"))

    async def _listen(self, process: Process) -> Mapping[str, Any] | None:
        """Hear the process out; its last word, None where it had none."""
        assert process.stdout is not None
        last: Mapping[str, Any] | None = None
        while True:
            try:
                async with asyncio.timeout(SILENCE):
                    line = await process.stdout.readline()
            except TimeoutError:
                return {"reason": "The process hung."}
            except ValueError:  # a line without end: not from our own program
                return None
            if not line:
                return last
            report = _report(line)
            self._take(report)
            last = report if report.get("state") in ("ended", "failing") else None

    def _take(self, report: Mapping[str, Any]) -> None:
        if "note" in report:
            logger.info("%s: %s", self.spec.name, _sentence(report["note"]))
        self._told.update({key: report[key] for key in _TOLD if key in report})
        state = report.get("state")
        if state == "live" and self.state != "live":
            self._live_since = time.monotonic()
            words = (str(report[key]) for key in ("video", "audio") if key in report)
            logger.info("%s is live: %s", self.spec.name, ", ".join(words))
        if state in ("live", "waiting"):
            self.state = str(state)


def _environment() -> dict[str, str]:
    """Ours, without our own configuration: it may hold the keys."""
    return {key: value for key, value in os.environ.items() if not key.startswith("TONGBU_")}


def _bound(pid: int) -> None:
    """Limit what a process may take; it has just begun and has read nothing from anybody."""
    for what, most in _LIMITS:
        with contextlib.suppress(OSError, ValueError):  # gone already, or the node has less itself
            resource.prlimit(pid, what, (most, most))


async def _end(process: Process, patience: float) -> None:
    """Close its input, and insist after a while."""
    if process.returncode is not None:
        return
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(patience):
            await _drained(process)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _drained(process: Process) -> None:
    """Wait for its end; who does not read what it says keeps it from ending."""
    assert process.stdout is not None
    while await process.stdout.read(_MAX_LINE):
        pass
    await process.wait()


def _report(line: bytes) -> Mapping[str, Any]:
    """What a process says; what is no report says nothing."""
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _sentence(value: object) -> str:
    """What a process says went wrong: bounded, and on one line."""
    text = value if isinstance(value, str) and value else "It broke off."
    return "".join(char if char.isprintable() else "?" for char in text[:200])


def _died(code: int) -> str:
    if code == -signal.SIGALRM:
        return "The other side keeps us waiting."
    return f"The process died ({signal.Signals(-code).name if code < 0 else code})."
