"""Makes a finished lesson's extras: thumbnails, chapters, the journal's checksums.

Whatever of it fails is noted in extras.json and harms nothing else. Trouble of the machine (a full
disk) is raised instead: then there is no extras.json, and the next attempt begins anew.
"""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.video.frame import VideoFrame

from recorder.archive import atomic, reading, sums, talk
from recorder.archive.extras import chapters as chapter_rules
from recorder.archive.extras import look, slides, sprites
from recorder.archive.extras.chapters import Chapter, Happening
from recorder.archive.layout import Extras, Manifest, View, read_manifest, write_extras
from recorder.archive.reading import Media, Piece
from recorder.errors import RecorderError
from recorder.pipeline.follow import OpenReader

FOLDER = "extras"
"""In the media folder."""

_SETTLED = 0.3  # seconds after which a new slide can be expected to be drawn whole
_EVENTS = 100_000  # of a journal that are looked at

_log = logging.getLogger(__name__)

_FILMS = ("slides", "camera")
"""The views whose pictures are shown on the seek bar, the best first; else any."""


class Maker:
    """Makes one lesson's extras."""

    def __init__(self, lesson: Path, open_reader: OpenReader | None) -> None:
        """`open_reader` opens the journal, where there is one. Raises ArchiveError, OSError."""
        self._lesson = lesson
        self._media = lesson / "media"
        self._open_reader = open_reader
        self._manifest: Manifest = read_manifest(lesson)
        self._extras = Extras()

    def make(self) -> Extras:
        """Make all, and write extras.json. Raises OSError."""
        (self._media / FOLDER).mkdir(parents=True, exist_ok=True)
        self._try("The thumbnails", self._make_thumbnails)
        self._try("The chapters", self._make_chapters)
        write_extras(self._lesson, self._extras)
        journal = sorted((self._lesson / "journal").glob("[!.]*"))
        names = [f"journal/{path.name}" for path in journal if _is_media(path)]
        extras = [f"media/{name}" for name in self._extras.files]
        talked = [talk.FILE] if (self._lesson / talk.FILE).exists() else []
        sums.add(self._lesson, ["extras.json", *extras, *names, *talked])
        return self._extras

    def _try(self, what: str, make: Callable[[], None]) -> None:
        """One bad picture must not cost the rest."""
        try:
            make()
        except OSError as error:
            if not isinstance(error, av.FFmpegError | FileNotFoundError):
                raise
            self._note(what, error)
        except (RecorderError, ValueError, ArithmeticError, LookupError) as error:
            self._note(what, error)

    def _note(self, what: str, error: Exception) -> None:
        _log.warning("%s: %s could not be made: %s", self._lesson.name, what, error)
        self._extras.notes.append(f"{what} could not be made: {type(error).__name__}.")

    def _make_thumbnails(self) -> None:
        view = self._film()
        if view is None:
            return
        album, times = sprites.Album(), []
        for at, picture in _tiles(self._media, view):
            times.append(at)
            self._write_sheets("sprite", album.add(picture))
        self._write_sheets("sprite", album.last())
        ends = [*times[1:], max(self._manifest.entry.duration_s, times[-1])] if times else []
        cues = [
            (start, end, _fragment("sprite", album.tile(number)))
            for number, (start, end) in enumerate(zip(times, ends, strict=True))
        ]
        if cues:
            name = f"{FOLDER}/thumbnails.vtt"
            self._write(name, sprites.webvtt(cues).encode())
            self._extras.thumbnails = name

    def _make_chapters(self) -> None:
        entry = self._manifest.entry
        gaps = [asdict(gap) for gap in self._manifest.gaps]
        found = chapter_rules.chapters(
            entry.duration_s, entry.title, self._slide_changes(), self._happenings(), gaps
        )
        found = self._illustrated(found)
        self._write(f"{FOLDER}/chapters.json", chapter_rules.as_json(found).encode())
        name = f"{FOLDER}/chapters.vtt"
        self._write(name, chapter_rules.webvtt(found).encode())
        self._extras.chapters = name

    def _slide_changes(self) -> list[float]:
        """Of all views whose source is the screen, one after the other."""
        return sorted(
            at
            for view in self._manifest.entry.views
            if view.source.partition("-")[0] == "slides"
            for at in _changes(self._media, view)
        )

    def _happenings(self) -> list[Happening]:
        """The journal's events; none when there is no journal, or no clock to place them by."""
        audio = self._media / "audio" / "index.m3u8"
        films = [self._media / view.source / "index.m3u8" for view in self._manifest.entry.views]
        zeros = [reading.media_playlist(path).zero for path in [audio, *films] if path.exists()]
        zero = next((zero for zero in zeros if zero is not None), None)
        if zero is None or self._open_reader is None:
            return []
        try:
            reader = self._open_reader(str(self._lesson / "journal"))
        except (OSError, ValueError):
            return []
        found: list[Happening] = []
        while (records := reader.read(2_000)) and len(found) < _EVENTS:
            for record in records:
                if type(record).__name__ == "LessonEvent":
                    found += _happening(record, zero)
        return found

    def _illustrated(self, found: Sequence[Chapter]) -> list[Chapter]:
        """The chapters with a picture each, of the first keyframe in it."""
        view = self._film()
        if view is None or view.hls is None:
            return list(found)
        media = reading.media_playlist(self._media / view.source / "index.m3u8")
        album, result = sprites.Album(), []
        for chapter in found:
            picture = _picture_in(media, chapter)
            if picture is None:
                result.append(chapter)
                continue
            self._write_sheets("chapters", album.add(picture))
            tile = album.tile(album.count - 1)
            thumbnail = {"file": f"{FOLDER}/{_sheet('chapters', tile.sheet)}", **asdict(tile)}
            del thumbnail["sheet"]
            result.append(replace(chapter, thumbnail=thumbnail))
        self._write_sheets("chapters", album.last())
        return result

    def _film(self) -> View | None:
        """The view whose pictures tell most."""
        views = {view.source: view for view in self._manifest.entry.views if view.hls or view.webm}
        best = [views[name] for name in _FILMS if name in views]
        return next(iter([*best, *views.values()]), None)

    def _write_sheets(self, kind: str, sheets: Iterator[sprites.Sheet]) -> None:
        for sheet in sheets:
            self._write(f"{FOLDER}/{_sheet(kind, sheet.number)}", sheet.jpeg)

    def _write(self, name: str, data: bytes) -> None:
        path = self._media / name
        atomic.write(path, data)
        self._extras.files[name] = {"size": len(data), "sha256": sums.digest(path)}


def make(lesson: Path, open_reader: OpenReader | None) -> Extras:
    """Make a finished lesson's extras, again if there are any. Raises OSError, ArchiveError."""
    return Maker(lesson, open_reader).make()


def _changes(media: Path, view: View) -> list[float]:
    """When a view's slides changed."""
    if view.webm is not None:
        path = media / view.webm
        with av.open(str(path)) as container:
            return slides.changes(reading.samples_of_file(path), _by_seeking(container))
    playlist = reading.media_playlist(media / view.source / "index.m3u8")

    def differ(one: float, other: float) -> bool:
        return look.differ(*(reading.keyframe_at(playlist, at) for at in (one, other)))

    return slides.changes(reading.samples(playlist), differ)


def _by_seeking(container: InputContainer) -> slides.Differ:
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1

    def picture(seconds: float) -> VideoFrame | None:
        container.seek(round(seconds * 1e6))
        return next(container.decode(stream), None)

    return lambda one, other: look.differ(picture(one), picture(other))


def _tiles(media: Path, view: View) -> Iterator[tuple[float, VideoFrame]]:
    """Pictures of a view for the seek bar, each with the lesson time that it stands for."""
    if view.webm is not None:
        yield from _tiles_of_file(media / view.webm)
        return
    playlist = reading.media_playlist(media / view.source / "index.m3u8")
    step, due = sprites.spacing(playlist.duration), 0.0
    for piece in playlist.pieces:
        if piece.start + piece.duration <= due:
            continue
        picture = _first_picture(piece)
        if picture is not None:
            yield piece.start, picture
            due = max(due + step, piece.start + step / 2)


def _tiles_of_file(path: Path) -> Iterator[tuple[float, VideoFrame]]:
    """The same from a WebM, by its cues."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        stream.codec_context.skip_frame = "NONKEY"
        duration = (container.duration or 0) / 1e6
        step, at = sprites.spacing(duration), 0.0
        while at < duration:
            container.seek(round(at * 1e6))
            picture = next(container.decode(stream), None)
            if picture is None:
                return
            yield at, picture
            at += step


def _first_picture(piece: Piece) -> VideoFrame | None:
    """None where a segment cannot be decoded: its tile is left out."""
    try:
        return reading.first_picture(piece)
    except av.FFmpegError:
        return None


def _picture_in(media: Media, chapter: Chapter) -> VideoFrame | None:
    """The first keyframe at which the chapter's picture is there, or the one before."""
    inside = (
        piece
        for piece in media.pieces
        if chapter.start + _SETTLED <= piece.start + 1e-3 < chapter.end
    )
    around = (
        piece
        for piece in media.pieces
        if piece.start <= chapter.start < piece.start + piece.duration
    )
    first = chapter.start == 0 and media.pieces[:1]
    piece = first[0] if first else next(inside, None) or next(around, None)
    return _first_picture(piece) if piece else None


def _happening(record: Any, zero: float) -> list[Happening]:
    try:
        event = json.loads(record.json)
    except ValueError:
        return []
    if not isinstance(event, dict):
        return []
    return [Happening(max(0.0, record.arrival_us / 1e6 - zero), event)]


def _is_media(path: Path) -> bool:
    """A journal's segment: not its lock, nor what an editor left."""
    return path.is_file() and path.name != "lock" and path.stat().st_size > 0


def _sheet(kind: str, number: int) -> str:
    return f"{kind}-{number + 1:04d}.jpg"


def _fragment(kind: str, tile: sprites.Tile) -> str:
    """A tile as a media fragment (W3C Media Fragments, 4.2.2), relative to the WebVTT file."""
    return f"{_sheet(kind, tile.sheet)}#xywh={tile.x},{tile.y},{tile.w},{tile.h}"
