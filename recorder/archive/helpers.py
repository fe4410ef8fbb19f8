"""Starts the processes of `recorder.archive.aftercare` when there is something for them to do."""

import contextlib
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from recorder.archive import policy
from recorder.catalogue import restoring
from recorder.errors import ArchiveError

HOURLY = 3_600.0
"""Seconds after which retention and forgotten lessons are looked at even if no lesson ended."""

_WAITS = (2.0, 5.0, 15.0, 60.0, 300.0, 900.0)  # seconds until what failed is tried again
_KINDS = ("extras", "storage")
_CATALOGUE = "catalogue"

_log = logging.getLogger(__name__)

Start = Callable[[str], "subprocess.Popen[bytes]"]


class Helpers:
    """One process of each kind at a time. Call `tick` often; `close` at the end."""

    def __init__(
        self,
        data_dir: Path,
        clock: Callable[[], float] = time.monotonic,
        start: Start | None = None,
    ) -> None:
        self._clock = clock
        start = start or _starter(data_dir)
        self._data_dir = data_dir
        self._kinds = [_Kind(kind, data_dir, start) for kind in _KINDS]
        self._catalogue = _Kind(_CATALOGUE, data_dir, start)
        self._archived = 0

    def tick(self, archived: int) -> None:
        """`archived` is the number of lessons that are finished: when it grows there is work."""
        now = self._clock()
        more = archived > self._archived
        self._archived = archived
        self._catalogue.tick(now, restoring.wanted(self._data_dir))
        if archived:
            for kind in self._kinds:
                kind.tick(now, more)

    def close(self) -> None:
        """End them; what they did not finish is done another time."""
        for kind in (*self._kinds, self._catalogue):
            kind.close()


class _Kind:
    """One kind of process: when it runs, and when it runs again."""

    def __init__(self, name: str, data_dir: Path, start: Start) -> None:
        self._name = name
        self._data_dir = data_dir
        self._start = start
        self._process: subprocess.Popen[bytes] | None = None
        self._due = 0.0
        self._wanted = False
        self._failures = 0

    def tick(self, now: float, more: bool) -> None:
        self._wanted |= more
        if self._process is not None:
            code = self._process.poll()
            if code is None:
                return
            self._process = None
            self._ended(code, now)
        if now >= self._due or (self._wanted and not self._failures):
            self._wanted = False
            self._due = now + HOURLY
            if self._has_work():
                self._spawn(now)

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1.0)
                return
            process.kill()
            process.wait()

    def _ended(self, code: int, now: float) -> None:
        if code == 0:
            self._failures = 0
        else:
            self._due = now + _WAITS[min(self._failures, len(_WAITS) - 1)]
            self._failures += 1

    def _spawn(self, now: float) -> None:
        try:
            self._process = self._start(self._name)
        except OSError as error:
            _log.warning("%s cannot be tended to: %s", self._name, error)
            self._ended(1, now)

    def _has_work(self) -> bool:
        """Whether the operator wants it at all: no process for a storage that is not there."""
        if self._name == _CATALOGUE:
            return restoring.wanted(self._data_dir)
        if self._name != "storage":
            return True
        try:
            wanted = policy.read(self._data_dir)
        except (ArchiveError, OSError):
            return True  # the process tells what is wrong
        return bool(wanted.storage or wanted.retention)


def _starter(data_dir: Path) -> Start:
    def start(kind: str) -> "subprocess.Popen[bytes]":
        command: Sequence[str] = (sys.executable, "-m", "recorder.archive.aftercare", kind)
        options = ("--data-dir", str(data_dir), "--parent", str(os.getpid()))
        return subprocess.Popen(  # its stdout is not ours: that is read by the supervisor
            [*command, *options], stdin=subprocess.DEVNULL, stdout=sys.stderr
        )

    return start
