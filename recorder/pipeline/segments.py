"""Samples of one track in, CMAF segments on disk out, part by part.

A segment's file grows by a part (`cmaf.chunk`) each `PART_SECONDS` of lesson time, so
that a live lesson is watched a part behind its edge. Where a part or a segment ends depends on
the times of the samples alone. So a replay comes to the same bytes: it finds them on disk, and
goes on where a killed worker stopped.
"""

import os
from pathlib import Path

from recorder.archive.layout import LessonFolder
from recorder.news import Closed, Opened, Part
from recorder.pipeline import cmaf, codecs
from recorder.pipeline.mux import Init
from recorder.pipeline.playlist import MediaPlaylist, Segment

PART_SECONDS = 0.2
"""How long a part is wished to be."""

_SYNC, _DELTA = cmaf.SYNC, cmaf.DELTA
_SHORTEST = 0.85  # of its target a part must last, says RFC 8216bis (4.4.3.7)
_SLACK = 1.1  # uneven samples may make a part so much longer than wished


class SegmentFile:
    """A file that grows. What an earlier worker wrote is kept where it is what would be written.

    Raises OSError; after that it can only be closed.
    """

    def __init__(self, path: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            self._file = os.open(path, flags, 0o644)
        except FileNotFoundError:  # the first file of its folder; the lesson's own must be there
            path.parent.parent.mkdir(exist_ok=True)
            path.parent.mkdir(exist_ok=True)
            self._file = os.open(path, flags, 0o644)
        self.size = 0
        self._there = os.fstat(self._file).st_size

    def append(self, data: bytes) -> None:
        """Add the bytes at the end of what was appended to this object."""
        end = self.size + len(data)
        if end > self._there or os.pread(self._file, len(data), self.size) != data:
            _write_at(self._file, data, self.size)
        self.size = end

    def finish(self) -> None:
        """Cut off what an earlier worker wrote beyond the end, and close."""
        if self._there > self.size:
            os.ftruncate(self._file, self.size)
        self.close()

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        if self._file >= 0:
            file, self._file = self._file, -1
            os.close(file)


class Segmenter:
    """One rendition's samples to segments, its playlist and the news of it. Raises OSError.

    `open` an init segment; `add` samples, each lasting to the next; `close` before another init
    and at the end. A segment ends where the next sample may begin one and it has lasted
    `shortest` ticks.
    """

    def __init__(
        self,
        name: str,
        folder: LessonFolder,
        zero: float,
        *,
        shortest: int,
        part_seconds: float = PART_SECONDS,
    ) -> None:
        self.name = name
        self.playlist = MediaPlaylist(zero)
        self.init: Init | None = None
        self.codec_string = ""
        self.init_name = ""
        self._folder = folder
        self._shortest = shortest
        self._part_target = round(part_seconds * _SLACK, 3)
        self._longest = self._enough = 0
        self._inits = 0
        self._chunks = 0
        self._file: SegmentFile | None = None
        self._start = 0  # of the segment
        self._parts = 0  # of the segment
        self._listed = True  # its parts so far are all told
        self._samples: list[bytes] = []  # of the part
        self._table: list[int] = []
        self._part_start = self._part_end = 0
        self._early = self._latest = 0  # where the part may end, and must
        self._may_end = 0  # where the segment may

    def open(self, init: Init) -> None:
        """Begin a new init segment."""
        self.init = init
        self.codec_string = codecs.codec_string(init.data)
        self._inits += 1
        self.init_name = f"init-{self._inits:04d}.mp4"
        self._longest = round(self._part_target * init.rate)
        self._enough = round(self._part_target * _SHORTEST * init.rate) + 1
        self._folder.publish(f"{self.name}/{self.init_name}", init.data)
        self._folder.tell(
            Opened(
                self._folder.id,
                self.name,
                self.init_name,
                self.codec_string,
                self.playlist.zero,
                self._part_target,
                init.width,
                init.height,
            )
        )

    def add(self, data: bytes, start: int, end: int, sync: bool, last: bool) -> bool:
        """Add a sample; with `last`, the next one may begin a segment. True when one was closed."""
        table = self._table
        if end > self._latest and table:
            self._end_part()
            table = self._table
        if not table:
            if self._file is None:
                self._begin(start)
            self._part_start = start
            self._latest, self._early = start + self._longest, start + self._enough
        self._samples.append(data)
        table += (end - start, len(data), _SYNC if sync else _DELTA)
        self._part_end = end
        if last and end >= self._may_end:
            self.close()
            return True
        if end >= self._early:
            self._end_part()
        return False

    def close(self) -> None:
        """End the segment that is open, if one is."""
        if self._table:
            self._end_part()
        if self._file is None or self.init is None:
            return
        file, self._file = self._file, None
        rate, number = self.init.rate, self.playlist.count
        uri = segment_name(number)
        file.finish()
        self._folder.add(f"{self.name}/{uri}", file.size)
        start, duration = self._start / rate, (self._part_end - self._start) / rate
        self.playlist.append(Segment(uri, self.init_name, start, duration, file.size))
        self._folder.tell(
            Closed(self._folder.id, self.name, number, uri, file.size, start, duration)
        )

    def abandon(self) -> None:
        """Let go of the file, for when the next worker is to go on."""
        if self._file is not None:
            self._file.close()

    def _begin(self, start: int) -> None:
        name = f"{self.name}/{segment_name(self.playlist.count)}"
        self._file = SegmentFile(self._folder.media / name)
        self._start, self._parts, self._listed = start, 0, True
        self._may_end = start + self._shortest

    def _end_part(self) -> None:
        assert self._file is not None  # a sample was added
        assert self.init is not None
        self._chunks += 1
        data = cmaf.chunk(self._chunks, self._part_start, self._samples, self._table)
        independent = self._table[2] == _SYNC
        self._samples, self._table = [], []
        offset, duration = self._file.size, self._part_end - self._part_start
        self._file.append(data)
        # A single sample may last longer than a part may: a picture that stands still. Then this
        # segment is given out when it is whole, for its parts must be listed all in a row.
        self._listed = self._listed and duration <= self._longest
        if self._listed:
            part = Part(
                self._folder.id,
                self.name,
                self.playlist.count,
                self._parts,
                offset,
                len(data),
                round(duration / self.init.rate, 6),
                independent,
            )
            self._folder.tell(part)
        self._parts += 1


def segment_name(number: int) -> str:
    """The file of a segment; the first has number 0."""
    return f"{number + 1:06d}.m4s"


def _write_at(file: int, data: bytes, offset: int) -> None:
    """All of it: a full disk takes a part first, and then says so."""
    written = 0
    while written < len(data):
        written += os.pwrite(file, data[written:], offset + written)
