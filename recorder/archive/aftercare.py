"""What is done with lessons after they are over, each kind of it in a process of its own.

    python -m recorder.archive.aftercare extras    --data-dir D    thumbnails, chapters, checksums
    python -m recorder.archive.aftercare storage   --data-dir D    uploads, retention
    python -m recorder.archive.aftercare catalogue --data-dir D    its rows, where they are missing

A process of low priority and not a thread: pictures are decoded that were made elsewhere, which
must not be able to end the recording of live lessons, nor make it wait for the interpreter's lock.
Each does all there is to do and exits: 0 when it is done, 75 (EX_TEMPFAIL) when something has to be
tried again. The worker starts them; when both are killed at any time nothing is lost.
"""

import argparse
import fcntl
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
from sqlalchemy.exc import DatabaseError

from recorder.archive import policy, retention, upload
from recorder.archive.extras.make import make
from recorder.archive.layout import (
    Extras,
    LessonFolder,
    lesson_folders,
    read_entry,
    write_extras,
)
from recorder.archive.storage import Storage
from recorder.catalogue import Catalogue, restoring
from recorder.errors import ArchiveError, RecorderError, StorageError
from recorder.pipeline.follow import OpenReader
from recorder.supervisor import DATABASE

AGAIN = 75
"""Exit code: something is left that has to be tried again."""

TRIES = 3
"""A lesson whose extras have ended the process so often has none."""

_NICE = {"catalogue": 5, "extras": 10, "storage": 15}

_log = logging.getLogger("recorder.archive.aftercare")

Gone = Callable[[], bool]
"""Whether whoever wanted this has gone."""


def make_extras(data_dir: Path, open_reader: OpenReader | None, gone: Gone = lambda: False) -> bool:
    """Make the extras of every finished lesson that has none, the newest first.

    True when all are made.
    """
    catalogue = _catalogue(data_dir)
    done = True
    for folder in reversed(list(_finished(data_dir))):
        if (folder / "extras.json").exists():
            continue
        if gone():
            return False
        try:
            _make_one(folder, open_reader)
            catalogue.save(read_entry(folder))
        except (OSError, DatabaseError, ArchiveError) as error:
            if folder.exists():
                _log.warning("%s: no extras for now: %s", folder.name, error)
                done = False
    return done


def _make_one(folder: Path, open_reader: OpenReader | None) -> None:
    """What ends the process must not do so for ever: attempts are counted before they are made."""
    counter = folder / ".extras-tries"
    tries = counter.stat().st_size if counter.exists() else 0
    if tries >= TRIES:
        write_extras(folder, Extras(notes=["The extras could not be made: the attempts crashed."]))
    else:
        with counter.open("ab") as file:
            file.write(b"x")
        try:
            extras = make(folder, open_reader)
        except OSError:
            counter.unlink(missing_ok=True)  # the machine's trouble is none of the lesson's
            raise
        for note in extras.notes:
            _log.warning("%s: %s", folder.name, note)
    counter.unlink(missing_ok=True)


def tend_storage(data_dir: Path, now: Callable[[], float], gone: Gone = lambda: False) -> bool:
    """Upload what is not in the storage yet, oldest first; then do what the policy says.

    True when all is done.
    """
    wanted = policy.read(data_dir)
    storage = Storage.of(wanted)
    done = storage is None or _upload_all(data_dir, storage, now, gone)
    executor = retention.Executor(data_dir, storage, _catalogue(data_dir))
    for decision in retention.survey(data_dir, wanted, now()):
        if gone():
            return False
        try:
            if executor.carry_out([decision], now()):
                _log.info("%s: %sd: %s", decision.lesson, decision.action, decision.why)
        except (RecorderError, OSError) as error:
            _log.warning("%s: not %sd for now: %s", decision.lesson, decision.action, error)
            done = False
    return done


def restore_catalogue(data_dir: Path, gone: Gone = lambda: False) -> bool:
    """Make the rows that the catalogue lacks, while others use it. True when all are there."""
    catalogue = _catalogue(data_dir)
    try:
        return restoring.restore(catalogue, data_dir, gone, time.sleep)
    finally:
        catalogue.close()


def _catalogue(data_dir: Path) -> Catalogue:
    return Catalogue(data_dir, os.environ.get(DATABASE, ""))


def _upload_all(data_dir: Path, storage: Storage, now: Callable[[], float], gone: Gone) -> bool:
    done = True
    for folder in _finished(data_dir):
        if gone():
            return False
        if not (folder / "extras.json").exists():
            done = False  # they come first: what was stored is not to change
            continue
        try:
            if not upload.is_stored(folder, storage):
                upload.store(folder, storage, now())
                _log.info("%s: stored", folder.name)
        except (RecorderError, OSError) as error:
            if not folder.exists():
                _forget(folder.name, storage)
                continue
            _log.warning("%s: not stored for now: %s", folder.name, error)
            # a damaged lesson waits for `tongbu archive repair`, and does not hold up the rest
            done = done and isinstance(error, ArchiveError)
            if isinstance(error, StorageError) and not _answers(storage):
                return False
    return done


def _forget(lesson: str, storage: Storage) -> None:
    """The lesson was deleted while it was on its way: what has arrived goes too."""
    try:
        storage.delete(lesson, list(storage.listing(lesson)))
    except StorageError as error:
        _log.warning("%s: what was stored of it stays: %s", lesson, error)


def _answers(storage: Storage) -> bool:
    try:
        storage.has("none", "manifest.json")
    except StorageError:
        return False
    return True


def _finished(data_dir: Path) -> Iterator[Path]:
    return (folder for folder in lesson_folders(data_dir) if LessonFolder(folder).finished)


def _own(data_dir: Path, kind: str) -> int | None:
    """The lock that makes us the only one of our kind; None while there is another."""
    path = data_dir / f".aftercare-{kind}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def main(arguments: list[str] | None = None) -> int:
    """The command; returns the exit code."""
    name = "python -m recorder.archive.aftercare"
    parser = argparse.ArgumentParser(prog=name, description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("kind", choices=sorted(_NICE))
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--parent", type=int, help="exit when this process is gone")
    options = parser.parse_args(arguments)
    logging.basicConfig(
        format="%(asctime)s %(name)s %(levelname)s %(message)s",
        stream=sys.stderr,
        level=logging.WARNING,  # of libraries
    )
    for name in ("recorder.archive.aftercare", "recorder.catalogue.restoring"):
        logging.getLogger(name).setLevel(logging.INFO)
    av.logging.set_level(av.logging.PANIC)  # what matters comes as exceptions
    os.nice(_NICE[options.kind])

    def gone() -> bool:
        return options.parent is not None and os.getppid() != options.parent

    try:
        if _own(options.data_dir, options.kind) is None:
            return AGAIN
        if options.kind == "extras":
            from sfu._media import JournalReader  # native: only the real process needs it

            done = make_extras(options.data_dir, JournalReader, gone)
        elif options.kind == "catalogue":
            done = restore_catalogue(options.data_dir, gone)
        else:
            done = tend_storage(options.data_dir, time.time, gone)
    except (RecorderError, OSError, DatabaseError, ImportError) as error:
        _log.error("%s cannot be tended to: %s", options.kind, error)
        return AGAIN
    return 0 if done else AGAIN


if __name__ == "__main__":
    sys.exit(main())
