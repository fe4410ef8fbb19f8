"""What is recorded when the disk fills, and how long until it does.

Below one watermark video is not recorded any more, below the next one no sound either; events, and
what the recorder writes of the archive, have the rest. What was given up is taken up again when a
quarter more than the watermark is free. `DiskWatch` decides, and is pure; `DiskGuard` looks every
two seconds and carries it out.
"""

import asyncio
import contextlib
import logging
import math
import os
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from signaling import notes

logger = logging.getLogger(__name__)

LOOK_EVERY = 2.0
"""Seconds."""
_WINDOW = 600.0
"""Seconds over which the rate at which the disk fills is measured."""
_LEAST = 30.0
"""Seconds without which nothing is known of the rate."""
_AGAIN = 1.25
_LEVELS = ("everything", "sound", "events")
_LIMITED = {"sound": "video is not recorded", "events": "neither video nor sound is recorded"}


@dataclass(frozen=True, slots=True)
class Watermarks:
    """Bytes free below which something is not recorded; 0 never. Hours at which to warn."""

    video: int
    sound: int
    warn_hours: float


@dataclass(frozen=True, slots=True)
class Disk:
    """How it is with the disk."""

    free_bytes: int
    keeps: str
    """everything, sound or events: what is recorded."""
    hours_left: float | None
    """Until video is not recorded any more, at the rate of the last minutes; None: not in sight."""
    warning: bool
    """Fewer hours than the operator wants to be told of."""

    @property
    def trouble(self) -> str | None:
        """What a teacher should know; None while everything is recorded."""
        what = _LIMITED.get(self.keeps)
        free = f"{self.free_bytes / 1e9:.1f} GB free"
        return None if what is None else f"disk nearly full ({free}): {what}"

    @property
    def sentence(self) -> str | None:
        """What an operator should know; None while there is no reason to worry."""
        if self.trouble is not None:
            return self.trouble
        if not self.warning or self.hours_left is None:
            return None
        return f"the disk has room for {self.hours_left:.1f} more hours of recording"

    def as_json(self) -> dict[str, object]:
        """For the API."""
        return {
            "free_bytes": self.free_bytes,
            "keeps": self.keeps,
            "hours_left": self.hours_left,
            "warning": self.sentence,
        }


class DiskWatch:
    """Hears how much is free, again and again."""

    def __init__(self, watermarks: Watermarks) -> None:
        self._watermarks = watermarks
        self._level = 0
        self._samples: deque[tuple[float, int]] = deque()
        """When, and how many bytes were written until then."""
        self._written = 0
        self._free: int | None = None

    def handle(self, free: int, now: float) -> Disk:
        """So many bytes are free; `now` is in seconds, of a steady clock."""
        if self._free is not None:
            self._written += max(0, self._free - free)
        self._free = free
        self._samples.append((now, self._written))
        while now - self._samples[0][0] > _WINDOW:
            self._samples.popleft()
        self._level = self._wanted(free)
        hours = self._hours(free, now)
        warning = self._level > 0 or (hours is not None and hours < self._watermarks.warn_hours)
        return Disk(free, _LEVELS[self._level], hours, warning)

    def _wanted(self, free: int) -> int:
        wanted = 0
        for level, mark in ((1, self._watermarks.video), (2, self._watermarks.sound)):
            if free < mark * (_AGAIN if self._level >= level else 1.0):
                wanted = level
        return wanted

    def _hours(self, free: int, now: float) -> float | None:
        since, written = self._samples[0]
        if now - since < _LEAST or written == self._written:
            return None
        rate = (self._written - written) / (now - since)
        room = max(0, free - self._watermarks.video)
        hours = room / rate / 3600
        return round(hours, 1) if math.isfinite(hours) else None


Notes = Mapping[str, Callable[[Mapping[str, Any]], None]]
"""Those who write an event to the journal of a lesson, by the lesson's id."""


class DiskGuard:
    """Looks at the disk of a data folder, and has journals keep what there is room for."""

    def __init__(
        self,
        watch: DiskWatch,
        free: Callable[[], int],
        keep: Callable[[str], None],
        lessons: Callable[[], Notes],
        clock: Callable[[], float],
    ) -> None:
        """`free` tells bytes and may wait for the disk; `keep` is told what journals keep;
        `lessons` are those that are recorded now."""
        self._watch = watch
        self._measure = free
        self._keep = keep
        self._lessons = lessons
        self._clock = clock
        self._told: dict[str, str] = {}
        self._task: asyncio.Task[None] | None = None
        self.disk: Disk | None = None
        """What was seen last."""

    async def start(self) -> None:
        """Look once, and from then on again and again."""
        await self.look()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Look no more. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def look(self) -> None:
        """See what is free, and act on it. A disk that cannot be asked changes nothing."""
        try:
            free = await asyncio.to_thread(self._measure)
        except OSError as error:
            logger.warning("the disk does not say what is free: %s", error)
            return
        before, self.disk = self.disk, self._watch.handle(free, self._clock())
        if before is None or before.keeps != self.disk.keeps:
            self._keep(self.disk.keeps)
        self._log(before, self.disk)
        self._tell(self.disk.keeps)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            await self.look()

    def _log(self, before: Disk | None, now: Disk) -> None:
        changed = before is None or (before.keeps, before.warning) != (now.keeps, now.warning)
        if now.sentence is not None and changed:
            level = logging.ERROR if now.trouble else logging.WARNING
            logger.log(level, "%s", now.sentence)
        elif before is not None and before.trouble is not None and now.trouble is None:
            logger.info("everything is recorded again")

    def _tell(self, keeps: str) -> None:
        """Each lesson's journal says from when on it lacks what."""
        lessons = self._lessons()
        for lesson_id, note in lessons.items():
            if self._told.get(lesson_id, "everything") != keeps:
                note(notes.recording_limited(keeps))
                self._told[lesson_id] = keeps
        for gone in self._told.keys() - lessons.keys():
            del self._told[gone]


def free_bytes(folder: Path) -> int:
    """What a process without privileges may still write to the folder's disk. Raises OSError."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
