"""Brings finished lessons into the storage, and lets local copies go once that is certain.

The order is what keeps a lesson safe, whatever breaks off at any point:

1. every local file is hashed and must be what SHA256SUMS says: a damaged one is never stored;
2. all files but the manifest are put, those left out that the storage has already (so an upload
   that broke off goes on where it was);
3. the storage's listing is compared with all of them: size and ETag, or the bytes read back;
4. only then manifest.json is put, and checked in the same way;
5. only then `upload.json` says "verified", and only what says so may lose its local copy, after
   the listing was compared once more.
"""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from recorder.archive import atomic, sums
from recorder.archive.layout import LESSON_ID
from recorder.archive.storage import Local, Storage, Stored, local
from recorder.errors import ArchiveError, StorageError

FILE = "upload.json"
DETAILS = "details.json"

_MANIFEST = "manifest.json"
_AT_ONCE = 4  # files on their way; a lesson has thousands of small ones
_STAYS = ("media/poster.jpg", "media/extras/")
"""What a lesson without its local copy still shows at once: lists and seek bars."""

OnFile = Callable[[str, int], None]
"""Told of each file that is stored: its path from the lesson's folder, its bytes."""


@dataclass(frozen=True, slots=True)
class Upload:
    """What `upload.json` holds. `local` is kept, removing (from then on, incomplete) or removed."""

    storage: str
    sums: str
    """SHA-256 of the SHA256SUMS that was stored: another one means that the lesson changed."""
    verified_at: float
    """Unix seconds."""
    files: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Size and ETag in the storage, by path from the lesson's folder."""
    details: str = ""
    """SHA-256 of the details.json that was stored."""
    local: str = "kept"
    version: int = 1


def read(lesson: Path) -> Upload | None:
    """What is known of a lesson's upload; None before one is verified. Raises ArchiveError."""
    try:
        value = json.loads((lesson / FILE).read_text())
        files = {name: (int(size), str(etag)) for name, (size, etag) in value["files"].items()}
        return Upload(**{**value, "files": files})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ArchiveError(f"{lesson.name}: {FILE} cannot be read: {error}") from error


def is_stored(lesson: Path, storage: Storage) -> bool:
    """The lesson, as it is now, was verified to be in this storage."""
    upload = read(lesson)
    return (
        upload is not None
        and upload.storage == storage.url
        and upload.sums == sums.digest(lesson / sums.FILE)
        and upload.details == _details_digest(lesson)
    )


def store(
    lesson: Path, storage: Storage, now: float, on_file: OnFile = lambda name, size: None
) -> Upload:
    """Bring a finished lesson into the storage. Raises StorageError, ArchiveError, OSError."""
    known = read(lesson)
    if known is not None and known.local != "kept":
        return _store_details(lesson, storage, known)
    digests = sums.read(lesson)
    sums_digest = sums.digest(lesson / sums.FILE)
    files = {name: _checked(lesson / name, name, digest) for name, digest in digests.items()}
    files[sums.FILE] = _checked(lesson / sums.FILE, sums.FILE, sums_digest)
    if (lesson / DETAILS).exists():
        files[DETAILS] = local(lesson / DETAILS)
    manifest = {_MANIFEST: files.pop(_MANIFEST)}
    there = _put(lesson, storage, files, storage.listing(lesson.name), on_file)
    _verify(lesson.name, storage, files, there)
    there = _put(lesson, storage, manifest, there, on_file)
    _verify(lesson.name, storage, {**files, **manifest}, there)
    upload = Upload(
        storage=storage.url,
        sums=sums_digest,
        verified_at=now,
        files={name: (there[name].size, there[name].etag) for name in {**files, **manifest}},
        details=files[DETAILS].sha256 if DETAILS in files else "",
    )
    _write(lesson, upload)
    return upload


def check(lesson: Path, storage: Storage, *, read_back: bool = False) -> list[str]:
    """What is wrong with a stored lesson, one sentence each; `read_back` hashes every byte.

    Raises StorageError, ArchiveError.
    """
    upload = read(lesson)
    if upload is None:
        return ["It is not in the storage."]
    there = storage.listing(lesson.name)
    wrong = [
        f"{name}: it is not in the storage as it was put"
        for name, (size, etag) in upload.files.items()
        if there.get(name) != Stored(size, etag)
    ]
    if read_back and not wrong:
        for name, digest in sums.read(lesson).items():
            if name in upload.files and storage.digest(lesson.name, name) != digest:
                wrong.append(f"{name}: the content in the storage has changed")
    return wrong


def free(lesson: Path, storage: Storage) -> int:
    """Let the local copy of a stored lesson go; returns the bytes.

    Raises StorageError when the storage does not have it whole, ArchiveError, OSError.
    """
    upload = read(lesson)
    if upload is None or upload.storage != storage.url:
        raise StorageError(f"{lesson.name} is not in the storage")
    if upload.local == "kept" and not is_stored(lesson, storage):
        raise StorageError(f"{lesson.name} has changed since it was stored")
    if wrong := check(lesson, storage):
        raise StorageError(f"{lesson.name} stays here, as the storage is not whole: {wrong[0]}")
    if upload.local == "removed":
        return 0
    _write(lesson, replace(upload, local="removing"))
    freed = 0
    for name in upload.files:
        if name.startswith(("media/", "journal/")) and not name.startswith(_STAYS):
            path = lesson / name
            if path.exists():
                freed += path.stat().st_size
                path.unlink()
    _write(lesson, replace(upload, local="removed"))
    return freed


def restore(lesson: Path, storage: Storage, on_file: OnFile = lambda name, size: None) -> list[str]:
    """Bring back what is missing or damaged here; the names of those files.

    The folder need not be there. Raises StorageError, ArchiveError, OSError.
    """
    if not LESSON_ID.fullmatch(lesson.name):
        raise ArchiveError(f"{lesson.name} is not a lesson id")
    try:
        digests = sums.parse(b"".join(storage.read(lesson.name, sums.FILE)).decode())
    except (FileNotFoundError, UnicodeDecodeError):
        raise StorageError(f"{lesson.name} is not whole in the storage") from None
    brought = []
    names = sorted(digests, key=lambda name: (name == _MANIFEST, name))  # the manifest last
    for name in [sums.FILE, *names, DETAILS]:
        digest = digests.get(name)
        if name == DETAILS and (lesson / name).exists():
            continue
        if digest is not None and _is(lesson / name, digest):
            continue
        if _fetch(lesson, storage, name, digest):
            brought.append(name)
            on_file(name, (lesson / name).stat().st_size)
    upload = read(lesson) if (lesson / FILE).exists() else None
    if upload is not None:
        _write(lesson, replace(upload, local="kept"))
    return brought


def _fetch(lesson: Path, storage: Storage, name: str, digest: str | None) -> bool:
    target = lesson / name
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.new")
    try:
        with temporary.open("wb") as file:
            for data in storage.read(lesson.name, name):
                file.write(data)
        if digest is not None and sums.digest(temporary) != digest:
            raise StorageError(f"{lesson.name}: {name} is damaged in the storage")
        temporary.replace(target)
    except FileNotFoundError:
        if digest is not None:
            raise StorageError(f"{lesson.name}: {name} is not in the storage") from None
        return False
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _put(
    lesson: Path,
    storage: Storage,
    files: Mapping[str, Local],
    there: Mapping[str, Stored],
    on_file: OnFile,
) -> dict[str, Stored]:
    """Put what the storage does not have; returns its listing afterwards."""
    missing = [name for name, file in files.items() if there.get(name) != _as_stored(file)]
    for name in files.keys() - missing:
        on_file(name, files[name].size)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        jobs = {
            name: pool.submit(storage.put, lesson.name, name, lesson / name) for name in missing
        }
        try:
            for name, job in jobs.items():
                job.result()
                on_file(name, files[name].size)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return storage.listing(lesson.name) if missing else dict(there)


def _verify(
    lesson: str, storage: Storage, files: Mapping[str, Local], there: Mapping[str, Stored]
) -> None:
    """Raise StorageError unless the storage has all of them, as they are."""
    for name, file in files.items():
        found = there.get(name)
        if found is None or found.size != file.size:
            raise StorageError(f"{lesson}: {name} is not in the storage as it was put")
        if found.etag != file.etag and storage.digest(lesson, name) != file.sha256:
            raise StorageError(f"{lesson}: {name} came to harm on its way to the storage")


def _checked(path: Path, name: str, digest: str) -> Local:
    found = local(path)
    if found.sha256 != digest:
        raise ArchiveError(f"{name} is damaged and is not stored: repair the lesson first")
    return found


def _store_details(lesson: Path, storage: Storage, known: Upload) -> Upload:
    """What may change of a lesson whose media is gone from here."""
    digest = _details_digest(lesson)
    if digest and digest != known.details:
        file = {DETAILS: local(lesson / DETAILS)}
        there = _put(lesson, storage, file, {}, lambda name, size: None)
        _verify(lesson.name, storage, file, there)
        files = {**known.files, DETAILS: (there[DETAILS].size, there[DETAILS].etag)}
        known = replace(known, details=digest, files=files)
        _write(lesson, known)
    return known


def _details_digest(lesson: Path) -> str:
    try:
        return sums.digest(lesson / DETAILS)
    except FileNotFoundError:
        return ""


def _is(path: Path, digest: str) -> bool:
    try:
        return sums.digest(path) == digest
    except OSError:
        return False


def _as_stored(file: Local) -> Stored:
    return Stored(file.size, file.etag)


def _write(lesson: Path, upload: Upload) -> None:
    """On disk before this returns: what it says decides what may be deleted."""
    atomic.write(lesson / FILE, json.dumps(asdict(upload), indent=1).encode(), sync=True)
    atomic.sync_to_disk(lesson)
