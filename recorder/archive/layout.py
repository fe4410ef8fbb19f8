"""A lesson's folder on disk, and what it says of itself.

    lessons/<lesson id>/journal/        written by the engine
    lessons/<lesson id>/media/          made here
        camera.m3u8, audio.m3u8         masters, one per view, and the audio alone
        camera/index.m3u8               a media playlist; init-0001.mp4 and 000001.m4s beside it
        camera.webm                     a VP8 view
        poster.jpg
        extras/                         made later (`extras/make.py`), listed in extras.json
    lessons/<lesson id>/SHA256SUMS      every file's checksum, for `sha256sum -c`
    lessons/<lesson id>/manifest.json   written last: its presence says that the rest is whole
    lessons/<lesson id>/extras.json     what was made after that

docs/archive.md tells all of it to those who have no Tongbu.

Every file appears whole, by a rename, but for two that grow: a segment, part by part until it is
listed (`segments.py`), and the playlist of a lesson that is not over. A published segment is
never changed; replaying a journal publishes the same bytes again, which is then no write at all.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recorder.archive import atomic, sums
from recorder.errors import ArchiveError
from recorder.news import News
from recorder.pipeline import playlist

LESSON_ID = re.compile(r"(\d{8}-\d{6})-([\w-]{1,64})-[0-9a-f]{4}")
"""`YYYYMMDD-HHMMSS-<name>-<4 hex>`, UTC; group 1 is the time, group 2 the lesson's name."""

MANIFEST_VERSION = 1

_EXTINF = re.compile(r"#EXTINF:([0-9.]+)")

POSTER = "poster.jpg"


@dataclass(frozen=True, slots=True)
class View:
    """A video source of an archived lesson; `hls` and `webm` are paths in the media folder."""

    source: str
    codec: str
    width: int
    height: int
    hls: str | None = None
    webm: str | None = None
    kind: str = "video"


@dataclass(frozen=True, slots=True)
class Audio:
    """The audio of an archived lesson; `hls` is a path in the media folder."""

    codec: str
    hls: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What the catalogue says of a lesson; paths are relative to its media folder."""

    id: str
    lesson: str
    title: str
    state: str
    """live, finishing, complete, recovered (the node died) or degraded (see `reason`)."""
    started_at: float
    """Unix seconds."""
    duration_s: float = 0.0
    poster: str | None = None
    bytes: int = 0
    views: tuple[View, ...] = ()
    audio: Audio | None = None
    downloads: tuple[str, ...] = ()
    reason: str | None = None
    """One sentence on what is missing, when something is."""
    thumbnails: str | None = None
    """WebVTT for the seek bar; known once the extras are made, as `chapters` is."""
    chapters: str | None = None
    school: str = ""
    subject: str = ""
    grade: str = ""
    teacher: str = ""
    series: str = ""
    language: str = ""
    """A tag of RFC 5646."""
    notes: str = ""
    tags: tuple[str, ...] = ()
    hold: bool = False
    """It must not be removed, whatever the rules say (see `details.py`)."""
    keep_until: float | None = None
    """Unix seconds until which it stays; None leaves that to the rules."""

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Entry":
        """The inverse of `asdict`. Raises ArchiveError."""
        try:
            views = tuple(View(**view) for view in value["views"])
            audio = value["audio"] and Audio(**value["audio"])
            lists = {name: tuple(value.get(name, ())) for name in ("downloads", "tags")}
            return cls(**{**value, "views": views, "audio": audio, **lists})
        except (KeyError, TypeError) as error:
            raise ArchiveError(f"not an archive entry: {error}") from error


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of a source without media, with its reason."""

    source: str
    start_s: float
    duration_s: float
    reason: str
    """One of `gaps.Reason`."""


@dataclass(slots=True)
class Manifest:
    """What `manifest.json` holds: the entry, what was counted, and every file's checksum."""

    entry: Entry
    tracks: list[dict[str, Any]] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    version: int = MANIFEST_VERSION


class LessonFolder:
    """The folder of one lesson; all writing of the recorder goes through here. Raises OSError."""

    def __init__(self, path: Path, tell: Callable[[News], None] = lambda news: None) -> None:
        """`tell` hears of every part as it is published."""
        self.path = path
        self.tell = tell
        self.id = path.name
        self.journal = path / "journal"
        self.media = path / "media"
        self.bytes = 0
        """What the published media files hold so far, playlists not counted."""
        self._files: dict[str, dict[str, Any]] = {}
        self._listed: dict[str, tuple[int, int]] = {}
        """Of a playlist on disk: segments, and the target duration if it was written here."""

    @property
    def finished(self) -> bool:
        """A manifest is there: the archive is whole and will not change."""
        return (self.path / "manifest.json").exists()

    def publish(self, name: str, data: bytes) -> None:
        """Put a file into the media folder for good."""
        self._put(name, data)
        self.add(name, len(data), hashlib.sha256(data).hexdigest())

    def add(self, name: str, size: int, digest: str = "") -> None:
        """Take note of a media file that is there for good; `digest` is its SHA-256.

        One that is not given is made for the manifest: a second of it for each 200 MB is too much
        while lessons are live.
        """
        if name not in self._files:
            self.bytes += size
        self._files[name] = _facts(size, digest)

    def adopt(self, temporary: Path, name: str) -> None:
        """Publish a file that was written elsewhere in this folder."""
        atomic.sync_to_disk(temporary)
        size = temporary.stat().st_size
        temporary.replace(self.media / name)
        self.add(name, size)

    def replace(self, name: str, data: bytes) -> None:
        """Publish a file that may change: a master playlist, the poster."""
        self._put(name, data)
        self._files[name] = _facts(len(data), hashlib.sha256(data).hexdigest())

    def replace_playlist(self, name: str, media: playlist.MediaPlaylist) -> None:
        """Publish a media playlist, unless the one on disk already says more (we replay)."""
        if media.ended:
            self.replace(name, media.render().encode())
            return
        known = self._listed.get(name) or (self._listed_on_disk(name), 0)
        if media.count > known[0]:
            if known[1] == media.target:  # a rename for each segment would cost more than its media
                _append(self.media / name, media.growth(known[0]).encode())
            else:
                self._put(name, media.render().encode())
            known = media.count, media.target
        self._listed[name] = known

    def write_manifest(self, manifest: Manifest) -> None:
        """Say that the archive is whole; on disk, with all it lists, before this returns."""
        for name, facts in self._files.items():
            facts["sha256"] = facts["sha256"] or _digest(self.media / name)
        manifest.files = dict(sorted(self._files.items()))
        for name in manifest.files:
            atomic.sync_to_disk(self.media / name)
        for folder in {(self.media / name).parent for name in manifest.files}:
            atomic.sync_to_disk(folder)
        text = json.dumps(asdict(manifest), ensure_ascii=False, indent=1).encode()
        digests = {f"media/{name}": facts["sha256"] for name, facts in manifest.files.items()}
        digests["manifest.json"] = hashlib.sha256(text).hexdigest()
        sums.write(self.path, digests)
        atomic.write(self.path / "manifest.json", text, sync=True)
        atomic.sync_to_disk(self.path)

    def close_playlists(self) -> float:
        """End the playlists as they are on disk, and take stock of the files beside them.

        Returns how many seconds the longest of them has.
        """
        longest = 0.0
        for path in sorted(self.media.rglob("*.m3u8")):
            name = path.relative_to(self.media).as_posix()
            text = path.read_text()
            self.replace(name, (playlist.end(text) if "#EXTINF" in text else text).encode())
            longest = max(longest, sum(map(float, _EXTINF.findall(text))))
        for path in sorted(self.media.rglob("*")):
            name = path.relative_to(self.media).as_posix()
            if path.is_file() and not path.name.startswith(".") and name not in self._files:
                self.add(name, path.stat().st_size)
        return longest

    def temporary(self, name: str) -> Path:
        """Where a file may be written before it is adopted."""
        self.media.mkdir(exist_ok=True)
        return self.media / f".{name}"

    def _put(self, name: str, data: bytes) -> None:
        target = self.media / name
        if _same(target, data):
            return
        try:
            atomic.write(target, data)
        except FileNotFoundError:  # the first file of its folder; the lesson's own must be there
            self.media.mkdir(exist_ok=True)
            target.parent.mkdir(exist_ok=True)
            atomic.write(target, data)

    def _listed_on_disk(self, name: str) -> int:
        try:
            return playlist.segments_listed((self.media / name).read_text())
        except FileNotFoundError:
            return 0


def read_manifest(lesson: Path) -> Manifest:
    """The manifest of a lesson's folder.

    Raises FileNotFoundError when it is not finished, ArchiveError when it is not a manifest.
    """
    try:
        value = json.loads((lesson / "manifest.json").read_text())
        entry = Entry.from_json(value.pop("entry"))
        gaps = [Gap(**gap) for gap in value.pop("gaps")]
        return Manifest(entry=entry, gaps=gaps, **value)
    except (ValueError, KeyError, TypeError, AttributeError, ArchiveError) as error:
        raise ArchiveError(f"{lesson.name}: the manifest cannot be read: {error}") from error


@dataclass(slots=True)
class Extras:
    """What `extras.json` holds: what was made of a lesson after it could be played."""

    thumbnails: str | None = None
    chapters: str | None = None
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """One sentence for each thing that could not be made."""
    version: int = 1


def read_extras(lesson: Path) -> Extras | None:
    """The extras of a lesson; None when there are none yet. Raises ArchiveError, OSError."""
    try:
        value = json.loads((lesson / "extras.json").read_text())
        extras = Extras(**value)
        if not isinstance(extras.files, dict):
            raise TypeError("files is not a mapping")
        return extras
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise ArchiveError(f"{lesson.name}: extras.json cannot be read: {error}") from error


def write_extras(lesson: Path, extras: Extras) -> None:
    """Say what was made; their files are on disk before. Raises OSError."""
    for name in extras.files:
        atomic.sync_to_disk(lesson / "media" / name)
    text = json.dumps(asdict(extras), ensure_ascii=False, indent=1)
    atomic.write(lesson / "extras.json", text.encode(), sync=True)


def read_entry(lesson: Path) -> Entry:
    """What the catalogue says of a finished lesson: the manifest's entry, with its extras.

    Raises FileNotFoundError when it is not finished, ArchiveError.
    """
    entry = read_manifest(lesson).entry
    try:
        extras = read_extras(lesson)
    except ArchiveError:  # a lesson can be played without them
        extras = None
    if extras is None:
        return entry
    return replace(entry, thumbnails=extras.thumbnails, chapters=extras.chapters)


def verify(lesson: Path) -> list[str]:
    """What is wrong with an archive, one sentence each (see `recorder.archive.verify`)."""
    from recorder.archive.verify import faults  # which needs this module's types

    return [str(fault) for fault in faults(lesson)]


def lesson_folders(data_dir: Path) -> Iterator[Path]:
    """The folders under `lessons/` whose names are lesson ids, oldest first."""
    with suppress(FileNotFoundError):
        for path in sorted((data_dir / "lessons").iterdir()):
            if LESSON_ID.fullmatch(path.name):
                yield path


def entry_from_id(lesson_id: str) -> Entry:
    """What the id alone says of a lesson. Raises ArchiveError when it is not a lesson id."""
    match = LESSON_ID.fullmatch(lesson_id)
    try:
        started = datetime.strptime(match[1], "%Y%m%d-%H%M%S") if match else None
    except ValueError:
        started = None
    if match is None or started is None:
        raise ArchiveError(f"{lesson_id} is not a lesson id")
    unix = started.replace(tzinfo=UTC).timestamp()
    return Entry(lesson_id, match[2], match[2], "live", unix)


def _facts(size: int, digest: str) -> dict[str, Any]:
    return {"size": size, "sha256": digest}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _same(path: Path, data: bytes) -> bool:
    """The file is there with just these bytes."""
    try:
        return path.stat().st_size == len(data) and path.read_bytes() == data
    except FileNotFoundError:
        return False


def _append(path: Path, data: bytes) -> None:
    with path.open("ab", buffering=0) as file:
        file.write(data)
