"""Reads an archive's media as a player does: by its playlists, initialisation and media segments.

Nothing here knows how they were written, so it reads what an older version wrote as well.
"""

import io
import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from recorder.errors import ArchiveError

_MAP = re.compile(r'#EXT-X-MAP:URI="([\w.-]+)"')
_URI = re.compile(r"[\w-][\w.-]*")
_DATE = "#EXT-X-PROGRAM-DATE-TIME:"
_AT_ONCE = {"probesize": "32", "analyzeduration": "1", "fpsprobesize": "0"}
"""Opening a segment must not decode it: the initialisation segment says all. Of 7 ms it saves 4."""
_NEAR = 0.001
_LONGEST = 4 << 20
"""Bytes of a playlist that are read: 40 hours of segments."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A media segment, and the initialisation segment it needs; times in lesson seconds."""

    path: Path
    init: Path
    start: float
    duration: float


@dataclass(frozen=True, slots=True)
class Media:
    """A media playlist."""

    pieces: tuple[Piece, ...]
    zero: float | None
    """Unix time of lesson time 0, if the playlist tells."""

    @property
    def duration(self) -> float:
        """Seconds, up to the end of the last segment."""
        return self.pieces[-1].start + self.pieces[-1].duration if self.pieces else 0.0

    def runs(self) -> Iterator[tuple[Piece, ...]]:
        """The segments in order, parted where the initialisation segment changes."""
        for _, run in itertools.groupby(self.pieces, key=lambda piece: piece.init):
            yield tuple(run)


class Sample(NamedTuple):
    """A coded picture as it is stored; `start` in lesson seconds."""

    start: float
    size: int
    keyframe: bool


def media_playlist(path: Path) -> Media:
    """Read a media playlist. Raises OSError, ArchiveError."""
    if path.stat().st_size > _LONGEST:
        raise ArchiveError(f"{path.name} is too long for a playlist")
    pieces: list[Piece] = []
    init: Path | None = None
    zero: float | None = None
    duration, at = 0.0, 0.0
    try:
        for line in path.read_text().splitlines():
            if match := _MAP.match(line):
                init = path.parent / match[1]
            elif line.startswith(_DATE) and zero is None:
                zero = datetime.fromisoformat(line.removeprefix(_DATE)).timestamp() - at
            elif line.startswith("#EXTINF:"):
                duration = float(line[8:].split(",")[0])
            elif _URI.fullmatch(line) and init is not None:
                pieces.append(Piece(path.parent / line, init, at, duration))
                at += duration
    except ValueError as error:  # UnicodeDecodeError is one
        raise ArchiveError(f"{path.name} is not a playlist: {error}") from error
    return Media(tuple(pieces), zero)


def samples(media: Media) -> Iterator[Sample]:
    """The pictures of a view, none decoded. Raises OSError, av.FFmpegError."""
    for run in media.runs():
        with open_run(run) as container:
            yield from _samples(container)


def samples_of_file(path: Path) -> Iterator[Sample]:
    """The same of a view that is one file (WebM)."""
    with av.open(str(path)) as container:
        yield from _samples(container)


def open_run(run: Sequence[Piece]) -> InputContainer:
    """Segments of one initialisation segment, as one file. Raises OSError, av.FFmpegError."""
    return av.open(_Joined([run[0].init, *(piece.path for piece in run)]), mode="r", format="mp4")


def first_picture(piece: Piece) -> VideoFrame | None:
    """The picture that a segment begins with: of a view, a keyframe. Raises av.FFmpegError."""
    return next(_keyframes(piece), None)


def keyframe_at(media: Media, seconds: float) -> VideoFrame | None:
    """The keyframe that starts at this lesson time. Raises OSError, av.FFmpegError."""
    for piece in media.pieces:
        if piece.start - _NEAR <= seconds < piece.start + piece.duration - _NEAR:
            return next((p for p in _keyframes(piece) if (p.time or 0) >= seconds - _NEAR), None)
    return None


def _keyframes(piece: Piece) -> Iterator[VideoFrame]:
    data = io.BytesIO(piece.init.read_bytes() + piece.path.read_bytes())
    with closing(av.open(data, mode="r", format="mp4", options=_AT_ONCE)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        stream.codec_context.skip_frame = "NONKEY"
        yield from container.decode(stream)


def _samples(container: InputContainer) -> Iterator[Sample]:
    stream: VideoStream = container.streams.video[0]
    base = float(stream.time_base or 0)
    for packet in container.demux(stream):
        if packet.pts is not None and packet.size:
            yield Sample(packet.pts * base, packet.size, packet.is_keyframe)


class _Joined(io.RawIOBase):
    """Files in a row as one; each is open only while it is read."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        sizes = [path.stat().st_size for path in paths]
        self._starts = [0, *itertools.accumulate(sizes)]
        self._at = 0
        self._number = 0
        self._file: io.BufferedReader | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (0, self._at, self._starts[-1])[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, those of one file at most."""
        if self._at >= self._starts[-1]:
            return b""
        file = self._current()
        file.seek(self._at - self._starts[self._number])
        data = file.read(size)
        self._at += len(data)
        return data

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        super().close()

    def _current(self) -> io.BufferedReader:
        inside = self._starts[self._number] <= self._at < self._starts[self._number + 1]
        if self._file is None or not inside:
            if self._file is not None:
                self._file.close()
            while self._at >= self._starts[self._number + 1]:
                self._number += 1
            while self._at < self._starts[self._number]:
                self._number -= 1
            self._file = self._paths[self._number].open("rb")
        return self._file
