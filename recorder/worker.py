"""The recorder process: follows every journal under a data folder until its archive is whole.

    python -m recorder.worker --data-dir D

One thread takes turns between the lessons. It may be killed at any time: the next one replays.
SIGTERM: what has ended is finished if that takes under two seconds, then it exits with 0. States
("ok", or "failing: " and a reason) and news of live lessons (`recorder.news`) go to stdout, one a
line, for the supervisor; logs to stderr.

Two kinds of trouble are kept apart. The machine's (OSError: disk full, folder not writable) is
waited out, for as long as it takes. A lesson's own (anything else) is tried three times, then
that lesson is archived as degraded, with the reason; its journal stays.
"""

import argparse
import errno
import fcntl
import logging
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
from sqlalchemy.exc import DatabaseError

from recorder.archive.helpers import Helpers
from recorder.archive.layout import (
    Entry,
    LessonFolder,
    entry_from_id,
    lesson_folders,
    read_manifest,
)
from recorder.catalogue import Catalogue
from recorder.errors import RecorderError
from recorder.news import Ended, News, encode
from recorder.pipeline.follow import POLL_SECONDS, OpenReader
from recorder.pipeline.lesson import LessonRecorder, give_up
from recorder.supervisor import DATABASE

TRIES = 3
"""A lesson that fails so often of itself is archived as degraded."""

STOP_SECONDS = 1.8
"""How long ended lessons may still be worked on after SIGTERM."""

_RECORDS = 2_000  # a turn of one lesson: about 30 s of media, 30 ms of work
_PATIENCE = (1.0, 2.0, 5.0, 10.0, 30.0)  # seconds between tries while the machine is in trouble
_LOOK_SECONDS = 1.0  # how often it is asked whether the catalogue should say something else
_REFRESH_SECONDS = 30.0  # the catalogue's duration of a live lesson is no older

_log = logging.getLogger("recorder.worker")


class Worker:
    """All lessons of a data folder. `round` again and again; `clock` gives monotonic seconds."""

    def __init__(
        self,
        data_dir: Path,
        open_reader: OpenReader,
        clock: Callable[[], float] = time.monotonic,
        on_state: Callable[[str], None] = lambda state: None,
        tell: Callable[[News], None] = lambda news: None,
        database: str = "",
    ) -> None:
        """`database` as `Catalogue` takes it. Raises OSError, CatalogueError."""
        (data_dir / "lessons").mkdir(parents=True, exist_ok=True)
        self._data_dir = data_dir
        self._lessons = str(data_dir / "lessons")  # a string: it is looked at often
        self._open_reader = open_reader
        self._clock = clock
        self._on_state = on_state
        self._tell = tell
        self._state = ""
        self._jobs: dict[str, _Job] = {}
        self._done: set[str] = set()
        self._seen = -1
        self.catalogue = Catalogue(data_dir, database)
        self.catalogue.begin()

    def round(self) -> bool:
        """Give every lesson a turn; False when none had anything to do."""
        now = self._clock()
        self._scan()
        busy = False
        for job in list(self._jobs.values()):
            busy |= self._turn(job, now)
        troubles = [job.trouble for job in self._jobs.values() if job.trouble]
        self._say(f"failing: {min(troubles)}" if troubles else "ok")
        return busy

    @property
    def behind(self) -> bool:
        """A lesson has more to do at once; else there is time until something new is written."""
        return any(job.behind for job in self._jobs.values())

    @property
    def settled(self) -> bool:
        """No lesson is known to have ended that is not archived."""
        return not any(job.ending for job in self._jobs.values())

    @property
    def archived(self) -> int:
        """How many lessons are known to be archived."""
        return len(self._done)

    def _scan(self) -> None:
        """Find new lessons; cheap while there are none, however many old ones there are."""
        changed = os.stat(self._lessons).st_mtime_ns  # noqa: PTH116  (a Path costs four times as much)
        if changed == self._seen:
            return
        self._seen = changed
        for path in lesson_folders(self._data_dir):
            if path.name not in self._jobs and path.name not in self._done:
                if LessonFolder(path).finished:
                    self._done.add(path.name)
                else:
                    self._jobs[path.name] = _Job(
                        path, self._open_reader, self.catalogue, self._tell
                    )

    def _turn(self, job: "_Job", now: float) -> bool:
        if now < job.not_before:
            return False
        try:
            busy = job.work(now)
        except Exception as error:  # one bad lesson must not stop the others
            self._excuse(job, error, now)
            return False
        if not busy or job.finished:  # caught up: what was in the way is not any more
            job.trouble, job.waits = "", 0
        if job.finished:
            self._done.add(job.folder.name)
            del self._jobs[job.folder.name]
        return busy

    def _excuse(self, job: "_Job", error: Exception, now: float) -> None:
        """Decide what a failed turn means."""
        if not job.folder.is_dir():
            _log.warning("%s: its folder is gone", job.folder.name)
            self.catalogue.remove(job.folder.name)
            self._tell(Ended(job.folder.name))
            job.forget()
            del self._jobs[job.folder.name]
        elif _is_machines(error):
            if not job.trouble:
                _log.warning("%s: %s; trying again until it works", job.folder.name, error)
            job.trouble = _trouble(error)
            job.not_before = now + _PATIENCE[min(job.waits, len(_PATIENCE) - 1)]
            job.waits += 1
            job.forget()
        else:
            job.failures += 1
            job.not_before = now + 1.0
            job.reason = f"{type(error).__name__}: {error}"
            _log.error("%s: %s", job.folder.name, job.reason, exc_info=error)
            job.forget()

    def _say(self, state: str) -> None:
        if state != self._state:
            self._state = state
            self._on_state(state)


class _Job:
    """One lesson's work, and its record of trouble."""

    def __init__(
        self,
        folder: Path,
        open_reader: OpenReader,
        catalogue: Catalogue,
        tell: Callable[[News], None],
    ) -> None:
        self.folder = folder
        self.finished = False
        self.failures = 0
        self.reason = ""
        self.trouble = ""
        self.waits = 0
        self.not_before = 0.0
        self._open_reader = open_reader
        self._catalogue = catalogue
        self._tell = tell
        self._look_at = 0.0
        self._recorder: LessonRecorder | None = None
        self._entry: Entry | None = None
        self._refresh_at = 0.0

    @property
    def ending(self) -> bool:
        """It has ended, and its archive is not whole yet."""
        return self._recorder is not None and self._recorder.over

    @property
    def behind(self) -> bool:
        """The last turn left something to do at once."""
        return self._recorder is not None and (
            self._recorder.over or self._recorder.follower.taken >= _RECORDS // 4
        )

    def work(self, now: float) -> bool:
        """One turn; False when there was nothing to do."""
        if self.failures >= TRIES:
            self._save(give_up(self.folder, self._last_entry(), self.reason), now)
            self._tell(Ended(self.folder.name))
            self.finished = True
            return True
        if self._recorder is None:
            try:
                self._recorder = LessonRecorder(self.folder, self._open_reader, self._tell)
            except FileNotFoundError:  # the engine has made the folder, not yet the journal
                return False
        if self._recorder.over:
            self._recorder.finish()
            self._save(read_manifest(self.folder).entry, now)
            self.finished = True
            return True
        busy = self._recorder.step(_RECORDS)
        if now >= self._look_at or self._recorder.over:
            self._look_at = now + _LOOK_SECONDS
            self._save(self._recorder.entry, now)
        return busy or self._recorder.over

    def forget(self) -> None:
        """Drop what was made of the journal in memory: the next turn replays it."""
        if self._recorder is not None:
            self._recorder.close()
            self._recorder = None

    def _save(self, entry: Entry, now: float) -> None:
        """Tell the catalogue, when a reader would notice."""
        last = self._entry
        same = last is not None and entry == replace(
            last, duration_s=entry.duration_s, bytes=entry.bytes
        )
        if not same or (entry != last and now >= self._refresh_at):
            self._catalogue.save(entry)
            self._entry, self._refresh_at = entry, now + _REFRESH_SECONDS

    def _last_entry(self) -> Entry:
        return self._entry or entry_from_id(self.folder.name)


def _is_machines(error: Exception) -> bool:
    """Trouble of the machine, to be waited out; FFmpeg's errors are OSErrors too, but not that."""
    return isinstance(error, OSError | DatabaseError) and not isinstance(error, av.FFmpegError)


def _trouble(error: Exception) -> str:
    if isinstance(error, OSError):
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return "disk full" if full else (error.strerror or str(error)).lower()
    return f"catalogue: {getattr(error, 'orig', error)}"


def _own(data_dir: Path) -> int | None:
    """The lock that makes us the only worker of a data folder; None while another has it."""
    descriptor = os.open(data_dir / "recorder.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


class _Stop:
    """SIGTERM, SIGINT or the death of the supervisor."""

    def __init__(self, parent: int | None) -> None:
        self._parent = parent
        self._told = False
        self._wake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._tell)

    def wait(self, seconds: float) -> bool:
        """Wait so long, or less when it is time to stop: then True."""
        select.select([self._wake], [], [], 0 if self._told else seconds)
        orphaned = self._parent is not None and os.getppid() != self._parent
        return self._told or orphaned

    def _tell(self, number: int, frame: object) -> None:
        self._told = True


class _Mouth:
    """Lines to the supervisor, until there is none: an orphan works on in silence."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._lines: list[str] = []

    def say(self, state: str) -> None:
        """Tell a state, after all news so far."""
        self._lines.append(f"{state}\n")
        self.flush()

    def tell(self, news: News) -> None:
        """Tell news with the next `flush`: many parts are one write. Not the end of a lesson: it
        can be played now, and what is still to do (its checksums) takes a while."""
        self._lines.append(f"{encode(news)}\n")
        if isinstance(news, Ended):
            self.flush()

    def flush(self) -> None:
        """Say what waits."""
        data = "".join(self._lines).encode()
        self._lines.clear()
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except BrokenPipeError:
            self._file = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)


def run(data_dir: Path, open_reader: OpenReader, stop: _Stop) -> None:
    """Work until told to stop. Raises OSError, CatalogueError when it cannot begin."""
    data_dir.mkdir(parents=True, exist_ok=True)
    while _own(data_dir) is None:  # an orphan of a killed node finishes what it has in hand
        if stop.wait(POLL_SECONDS):
            return
    mouth = _Mouth(sys.stdout.fileno())
    worker = Worker(
        data_dir,
        open_reader,
        on_state=mouth.say,
        tell=mouth.tell,
        database=os.environ.get(DATABASE, ""),
    )
    helpers = Helpers(data_dir)

    def turn() -> bool:
        busy = worker.round()
        mouth.flush()
        return busy

    turn()
    while not stop.wait(0 if worker.behind else POLL_SECONDS):
        turn()
        helpers.tick(worker.archived)
    helpers.close()
    deadline = time.monotonic() + STOP_SECONDS
    while (turn() or not worker.settled) and time.monotonic() < deadline:
        pass


def main(arguments: list[str] | None = None) -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m recorder.worker", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--parent", type=int, help="exit when this process is gone")
    options = parser.parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s", stream=sys.stderr)
    av.logging.set_level(av.logging.PANIC)  # what matters comes as exceptions
    stop = _Stop(options.parent)
    try:
        from sfu._media import JournalReader  # native: only the real process needs it

        run(options.data_dir, JournalReader, stop)
    except (RecorderError, OSError, ImportError) as error:
        print(f"The recorder cannot start: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
