"""How the rows of a catalogue come to agree with the archive's folders, whoever may be waiting.

A few lessons are made up for at once, by whoever notices. More of them (a catalogue that was lost,
or that an older version made) would keep a node from starting for a minute: a file beside the
catalogue asks for a process of low priority (`recorder.archive.aftercare`), which takes the newest
lessons first, in batches, so that others write in between and the page fills while one looks at it.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from recorder.archive.layout import Entry, lesson_folders, read_entry
from recorder.errors import ArchiveError

FILE = "catalogue.unfinished"
"""While it is there, lessons are missing in the catalogue."""

FEW = 100
"""Lessons that are made up for at once: a tenth of a second."""
BATCH = 50
"""Lessons in a transaction: others wait no longer than that takes."""

_PAUSE = 0.05
"""Seconds between two batches. SQLite has no queue: whoever waits looks again and again."""
_TELL = 5.0
"""Seconds between two lines in the log."""
_MOST = 1 << 30
UNFINISHED = ("live", "finishing")
"""States that are not a lesson's last: its manifest may say another by now."""

_log = logging.getLogger(__name__)

Gone = Callable[[], bool]
"""Whether whoever wanted this has gone."""


class Rows(Protocol):
    """What is done with a catalogue here."""

    def states(self) -> Mapping[str, str]:
        """The states of this data folder's lessons, by their ids."""

    def save_all(self, entries: list[Entry]) -> None:
        """Write the rows of lessons whose folders are there."""

    def remove(self, lesson_id: str) -> None:
        """Forget a lesson."""

    def stale(self, limit: int) -> int:
        """How many lessons are indexed by other rules than ours; at most `limit`."""

    def index_anew(self, limit: int) -> int:
        """Index so many of them, the newest first; returns how many it were."""


def wanted(data_dir: Path) -> bool:
    """Whether somebody has noticed that many lessons are missing."""
    return (data_dir / FILE).exists()


def begin(rows: Rows, data_dir: Path) -> None:
    """Make up for a few lessons; ask for more to be made up for. Raises DatabaseError."""
    gone, missing = _differences(rows, data_dir)
    if len(gone) + len(missing) + rows.stale(FEW + 1) <= FEW:
        restore(rows, data_dir)
        return
    try:
        (data_dir / FILE).touch()
    except OSError as error:
        _log.warning("the catalogue stays without some lessons for now: %s", error)


def index_few(rows: Rows) -> None:
    """Index what came from an older version of us, unless that is for `restore`."""
    if 0 < rows.stale(FEW + 1) <= FEW:
        rows.index_anew(FEW)


def restore(
    rows: Rows,
    data_dir: Path,
    left: Gone = lambda: False,
    sleep: Callable[[float], None] = lambda seconds: None,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Make up for all of them, batch by batch; False when it was not wanted to the end.

    Raises DatabaseError, OSError; what was done until then stays, and is not done again.
    """
    asked = _asked(data_dir)
    gone, missing = _differences(rows, data_dir)
    for lesson_id in gone:
        rows.remove(lesson_id)
    progress = _Progress("made", len(missing), clock)
    for first in range(0, len(missing), BATCH):
        if left():
            return False
        rows.save_all(list(_finished(missing[first : first + BATCH])))
        progress.tell(first + BATCH)
        sleep(_PAUSE)
    progress, done = _Progress("indexed", rows.stale(_MOST), clock), 0
    while made := rows.index_anew(BATCH):
        if left():
            return False
        done += made
        progress.tell(done)
        sleep(_PAUSE)
    if missing:
        for lesson_id in _differences(rows, data_dir)[0]:  # deleted meanwhile
            rows.remove(lesson_id)
    if asked is not None and _asked(data_dir) == asked:  # nobody has asked again
        (data_dir / FILE).unlink(missing_ok=True)
    return True


class _Progress:
    """A line in the log now and then, where there is much to do."""

    def __init__(self, what: str, total: int, clock: Callable[[], float]) -> None:
        self._what = what
        self._total = total
        self._clock = clock
        self._next = clock() if total > FEW else None

    def tell(self, done: int) -> None:
        now = self._clock()
        if self._next is None or (now < self._next and done < self._total):
            return
        self._next = now + _TELL
        done = min(done, self._total)
        _log.info("the catalogue is %s anew: %d of %d lessons", self._what, done, self._total)


def _differences(rows: Rows, data_dir: Path) -> tuple[list[str], list[Path]]:
    """Lessons that have rows and no folder; folders that may have no row, the newest first."""
    states = rows.states()
    folders = {path.name: path for path in lesson_folders(data_dir)}
    missing = [path for name, path in folders.items() if states.get(name) in (None, *UNFINISHED)]
    return [name for name in states if name not in folders], missing[::-1]


def _finished(folders: list[Path]) -> Iterator[Entry]:
    """What the manifests say; a lesson without one is the worker's to record."""
    for folder in folders:
        try:
            yield read_entry(folder)
        except FileNotFoundError:
            continue
        except (ArchiveError, OSError) as error:  # one folder must not stop the others
            _log.warning("%s: %s", folder.name, error)


def _asked(data_dir: Path) -> int | None:
    """When somebody asked for it last."""
    with suppress(FileNotFoundError):
        return (data_dir / FILE).stat().st_mtime_ns
    return None
