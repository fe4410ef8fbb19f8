"""Mends a finished lesson: what is damaged or missing comes from the storage, or from the journal.

The journal is read into a folder beside the lessons, and only whole files are moved from there into
the lesson's own: a repair that is broken off has harmed nothing, and the worker may run meanwhile.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from recorder.archive import sums, talk, upload
from recorder.archive.extras.make import make
from recorder.archive.layout import lesson_folders, read_entry, read_manifest
from recorder.archive.storage import Storage
from recorder.archive.verify import Fault, expected, faults
from recorder.catalogue import Catalogue
from recorder.errors import ArchiveError, RecorderError, StorageError
from recorder.pipeline.follow import OpenReader, is_locked
from recorder.pipeline.lesson import LessonRecorder

_RECORDS = 2_000
_EXTRAS = ("extras.json", "media/extras/")

OnStep = Callable[[str], None]
"""Told in a few words what is being done."""


@dataclass(slots=True)
class Report:
    """What a repair did: names are paths from the lesson's folder."""

    mended: list[str] = field(default_factory=list)
    left: list[Fault] = field(default_factory=list)
    """What is still wrong."""


def repair(
    lesson: Path,
    open_reader: OpenReader,
    catalogue: Catalogue,
    storage: Storage | None = None,
    on_step: OnStep = lambda step: None,
) -> Report:
    """Mend a lesson, and its row in the catalogue.

    Raises ArchiveError when it is still being recorded, or nothing of it is left anywhere;
    StorageError, OSError.
    """
    report = Report()
    if is_locked(lesson / "journal"):
        raise ArchiveError(f"{lesson.name} is still being recorded: end it first")
    wrong = _wrong(lesson)
    if sums.FILE in wrong and _mend_sums(lesson):
        report.mended.append(sums.FILE)
        wrong = _wrong(lesson)
    if wrong and storage is not None:
        on_step("asking the storage")
        report.mended += _from_storage(lesson, storage)
        wrong = _wrong(lesson)
    if any(_is_recorded(name) for name in wrong) and (lesson / "journal").is_dir():
        on_step("reading the journal")
        report.mended += _from_journal(lesson, open_reader, wrong)
        wrong = _wrong(lesson)
    if not (lesson / "manifest.json").exists():
        raise ArchiveError(f"{lesson.name}: there is neither a journal nor a stored copy of it")
    if _extras_wanted(lesson, wrong):
        on_step("making thumbnails and chapters")
        report.mended += _extras(lesson, open_reader)
    report.left = faults(lesson)
    catalogue.save(read_entry(lesson))
    return report


def rebuild_catalogue(catalogue: Catalogue, data_dir: Path) -> int:
    """Make the rows of the catalogue anew from the lessons' folders; returns how many."""
    catalogue.reconcile(data_dir)
    count = 0
    for lesson in lesson_folders(data_dir):
        try:
            catalogue.save(read_entry(lesson))
            count += 1
        except (FileNotFoundError, ArchiveError):
            continue  # not finished: the worker's; or to be repaired first
    return count


def _wrong(lesson: Path) -> set[str]:
    """The names of the files that are not as they should be."""
    try:
        return {fault.name for fault in faults(lesson)}
    except (FileNotFoundError, NotADirectoryError):
        return {"manifest.json"}


def _is_recorded(name: str) -> bool:
    """Whether the recorder makes it of the journal."""
    return _is_file_of_it(name) or name == "manifest.json"


def _from_storage(lesson: Path, storage: Storage) -> list[str]:
    """What the storage has of it, if anything; only what was verified as it came."""
    if not storage.has(lesson.name, "manifest.json"):
        return []
    try:
        known = upload.read(lesson) if lesson.is_dir() else None
    except ArchiveError:
        known = None
    if known is not None and known.local != "kept":
        return []  # it is not here on purpose
    try:
        return upload.restore(lesson, storage)
    except StorageError:  # damaged there as well: then the journal must do
        return []


def _from_journal(lesson: Path, open_reader: OpenReader, wrong: set[str]) -> list[str]:
    """Record the lesson once more, and take from that what is wrong here."""
    with _recorded_anew(lesson, open_reader) as anew:
        digests = {f"media/{n}": str(f["sha256"]) for n, f in read_manifest(anew).files.items()}
        if (anew / talk.FILE).exists():
            digests[talk.FILE] = sums.digest(anew / talk.FILE)
        wanted = _wanted(lesson, wrong)
        same = wanted is not None and all(
            digests.get(name) == wanted.get(name) for name in wrong if _is_file_of_it(name)
        )
        # bytes that another version of the recorder made go together only with each other
        names = [name for name in wrong if _is_file_of_it(name)] if same else list(digests)
        for name in names:
            _move(anew / name, lesson / name)
        if not same or "manifest.json" in wrong:
            _move(anew / sums.FILE, lesson / sums.FILE)
            _move(anew / "manifest.json", lesson / "manifest.json")
            sums.add(lesson, _beside(lesson))
            names += ["manifest.json"]
        return sorted(names)


def _wanted(lesson: Path, wrong: set[str]) -> dict[str, str] | None:
    """The digests that files should have; None when nothing trustworthy says so."""
    if "manifest.json" in wrong:
        return None
    try:
        return expected(lesson)
    except (RecorderError, OSError):
        return None


def _is_file_of_it(name: str) -> bool:
    """The recorder's, other than the manifest."""
    media = name.startswith("media/") and not name.startswith(_EXTRAS)
    return media or name == talk.FILE


@contextmanager
def _recorded_anew(lesson: Path, open_reader: OpenReader) -> Iterator[Path]:
    """The lesson as the journal has it, in a folder that is gone afterwards."""
    scratch = lesson.parent.parent / f".repair-{os.getpid()}"
    folder = scratch / lesson.name
    folder.mkdir(parents=True)
    try:
        (folder / "journal").symlink_to(lesson.absolute() / "journal")
        recorder = LessonRecorder(folder, open_reader)
        try:
            while not recorder.over:
                recorder.step(_RECORDS)
            recorder.finish()
        finally:
            recorder.close()
        yield folder
    except FileNotFoundError as error:
        raise ArchiveError(f"{lesson.name} has no journal to be mended from") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as file:
        os.fsync(file.fileno())
    source.replace(target)


def _extras_wanted(lesson: Path, wrong: set[str]) -> bool:
    return any(name.startswith(_EXTRAS) for name in wrong) or not (lesson / "extras.json").exists()


def _extras(lesson: Path, open_reader: OpenReader) -> list[str]:
    if not (lesson / sums.FILE).exists():
        _rewrite_sums(lesson)
    has_journal = (lesson / "journal").is_dir()
    extras = make(lesson, open_reader if has_journal else None)
    return ["extras.json", *(f"media/{name}" for name in extras.files)]


def _mend_sums(lesson: Path) -> bool:
    """Make the list anew, if the manifest can be trusted: the list says so, or is no list."""
    try:
        listed = sums.read(lesson)
    except (FileNotFoundError, ArchiveError):
        listed = {}
    try:
        manifest = sums.digest(lesson / "manifest.json")
        read_manifest(lesson)
    except (OSError, ArchiveError):
        return False
    if listed.get("manifest.json", manifest) != manifest:
        return False
    _rewrite_sums(lesson, listed)
    return True


def _rewrite_sums(lesson: Path, listed: Mapping[str, str] | None = None) -> None:
    """From the manifest; what it does not list is as it was listed, or else as it is."""
    digests = {f"media/{n}": str(f["sha256"]) for n, f in read_manifest(lesson).files.items()}
    digests["manifest.json"] = sums.digest(lesson / "manifest.json")
    for name in _beside(lesson):
        digests[name] = (listed or {}).get(name) or sums.digest(lesson / name)
    sums.write(lesson, digests)


def _beside(lesson: Path) -> list[str]:
    """What is there beside the recording: the journal, and the extras."""
    journal = (path for path in (lesson / "journal").glob("[!.]*") if path.name != "lock")
    extras = (lesson / "media" / "extras").glob("[!.]*")
    single = [path for name in ("extras.json", talk.FILE) if (path := lesson / name).exists()]
    return [path.relative_to(lesson).as_posix() for path in (*journal, *extras, *single)]
