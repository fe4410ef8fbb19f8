"""What the commands of `tongbu archive` share: the data folder, errors as sentences, bars."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy.exc import DatabaseError

from recorder.archive import upload
from recorder.archive.layout import LESSON_ID, Entry, LessonFolder, lesson_folders
from recorder.archive.policy import Policy
from recorder.archive.storage import Storage
from recorder.catalogue import Catalogue
from recorder.errors import ArchiveError, RecorderError
from signaling.errors import ConfigError

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False)


class UserError(click.ClickException):
    """Something the user can mend."""

    exit_code = 2


@contextmanager
def told() -> Iterator[None]:
    """Errors of ours as one sentence."""
    try:
        yield
    except (RecorderError, ConfigError) as error:
        text = str(error)
        raise UserError(text if text.endswith(".") else f"{text}.") from None
    except DatabaseError as error:
        raise UserError(f"The catalogue cannot be read: {error.orig}.") from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise UserError(f"{where}{error.strerror or error}.") from None


class Archive:
    """The data folder that the commands work on."""

    def __init__(self, data_dir: Path, wanted: Policy, database: str) -> None:
        self.data_dir = data_dir
        self.policy = wanted
        self._database = database

    @property
    def lessons(self) -> Path:
        """Where the lessons are."""
        return self.data_dir / "lessons"

    def catalogue(self) -> Catalogue:
        """The list of lessons. Raises CatalogueError."""
        return Catalogue(self.data_dir, self._database)

    def storage(self) -> Storage | None:
        """The storage, if there is one. Raises StorageError."""
        return Storage.of(self.policy)

    def needed_storage(self) -> Storage:
        """The storage. Raises ArchiveError when none is configured."""
        storage = self.storage()
        if storage is None:
            raise ArchiveError("no storage is configured: set archive.storage in the configuration")
        return storage

    def folder(self, lesson: str, *, there: bool = True) -> Path:
        """A lesson's folder, by its id or the only lesson that begins so. Raises ArchiveError."""
        if LESSON_ID.fullmatch(lesson):
            folder = self.lessons / lesson
            if there and not folder.is_dir():
                raise ArchiveError(f"there is no lesson {lesson} in {self.data_dir}")
            return folder
        found = [path for path in lesson_folders(self.data_dir) if lesson and lesson in path.name]
        if len(found) == 1 and "/" not in lesson:
            return found[0]
        if found and "/" not in lesson:
            names = ", ".join(path.name for path in found[:5])
            raise ArchiveError(f"{lesson} may be several lessons: {names}")
        raise ArchiveError(f"{lesson!r} is no lesson's id: `tongbu archive list` shows them")

    def folders(self, lessons: tuple[str, ...]) -> list[Path]:
        """Those that are named, or every finished one."""
        if lessons:
            return [self.folder(lesson) for lesson in lessons]
        return [path for path in lesson_folders(self.data_dir) if LessonFolder(path).finished]


@contextmanager
def whole_lesson(archive: Archive, folder: Path) -> Iterator[Path]:
    """A lesson's folder with all its media: fetched for the while when it is in the storage."""
    known = upload.read(folder)
    if not LessonFolder(folder).finished:
        raise ArchiveError(f"{folder.name} is not finished")
    if known is None or known.local == "kept":
        yield folder
        return
    scratch = Path(tempfile.mkdtemp(prefix=".export-", dir=archive.data_dir))
    try:
        with bytes_bar("fetching", sum(size for size, _ in known.files.values())) as advance:
            upload.restore(
                scratch / folder.name, archive.needed_storage(), lambda name, size: advance(size)
            )
        yield scratch / folder.name
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def bytes_bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar that is told of bytes as they are done."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TimeRemainingColumn(), console=err, transient=True) as progress:
        task = progress.add_task(what, total=total or None)
        yield lambda size: progress.advance(task, size)


@contextmanager
def seconds_bar(what: str) -> Iterator[Callable[[float, float | None], None]]:
    """A bar that is told how far a film has come, and of how long (None: as before)."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f}%"))
    with Progress(*columns, TimeRemainingColumn(), console=err, transient=True) as progress:
        task = progress.add_task(what, total=None)

        def at(seconds: float, of: float | None) -> None:
            if of is None:
                progress.update(task, completed=seconds)
            else:
                progress.update(task, completed=seconds, total=of or None)

        yield at


def where_is(folder: Path) -> str:
    """Where a lesson's media is, in words."""
    try:
        known = upload.read(folder)
    except (ArchiveError, OSError):
        return "?"
    if known is None:
        return "here"
    return "here, storage" if known.local == "kept" else "storage"


def began(entry: Entry) -> str:
    """When a lesson began, UTC."""
    return f"{datetime.fromtimestamp(entry.started_at, UTC):%Y-%m-%d %H:%M}"


def length(seconds: float) -> str:
    """A duration as h:mm:ss."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def size_of(count: float) -> str:
    """Bytes in words."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1_000:
            return f"{count:.0f} {unit}"
        count /= 1_000
    return f"{count:.1f} TB"


def unix_time(text: str) -> float:
    """A date and time, in this machine's time zone unless it names one. Raises UserError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UserError(f"--date {text} is not a date such as 2024-05-06T07:08.") from None
    return (moment if moment.tzinfo else moment.astimezone()).timestamp()
