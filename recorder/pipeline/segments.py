"""Samples of one track in, CMAF segments on disk out, part by part.

A segment's file grows by a part (a CMAF chunk) each `PART_SECONDS` of lesson time, so
that a live lesson is watched a part behind its edge. Where a part or a segment ends depends on
the times of the samples alone; the native `Samples` (`sfu/media/src/recording/`) says where. So a
replay comes to the same bytes: it finds them on disk, and goes on where a killed worker stopped.
"""

import os
from pathlib import Path
from typing import NamedTuple

from recorder.archive.layout import LessonFolder
from recorder.news import Closed, Opened, Part
from recorder.pipeline import codecs
from recorder.pipeline.mux import Init
from recorder.pipeline.playlist import MediaPlaylist, Segment
from sfu._media import Samples

PART_SECONDS = 0.2
"""How long a part is wished to be."""

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
        at, end = self.size, self.size + len(data)
        if end > self._there or os.pread(self._file, len(data), at) != data:
            while at < end:  # a full disk takes a part first, and then says so
                at += os.pwrite(self._file, data[at - self.size :], at)
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


class Cut(NamedTuple):
    """How long segments and parts are."""

    shortest: int
    """Ticks after which a segment ends where it can."""
    part_seconds: float = PART_SECONDS


class Segmenter:
    """One rendition's samples to segments, its playlist and the news of it. Raises OSError.

    `open` an init segment; `write` whenever something was done with the `samples`; `close` before
    another init and at the end. A segment ends where the next sample may begin one and it has
    lasted the shortest time of its `cut`.
    """

    def __init__(
        self,
        name: str,
        folder: LessonFolder,
        zero: float,
        samples: Samples,
        cut: Cut,
    ) -> None:
        self.name = name
        self.samples = samples
        self.playlist = MediaPlaylist(zero)
        self.init: Init | None = None
        self.codec_string = ""
        self.init_name = ""
        self._folder = folder
        self._shortest = cut.shortest
        self._part_target = round(cut.part_seconds * _SLACK, 3)
        self._longest = 0
        self._inits = 0
        self._file: SegmentFile | None = None
        self._parts = 0  # of the segment
        self._listed = True  # its parts so far are all told

    def open(self, init: Init) -> None:
        """Begin a new init segment."""
        self.init = init
        self.codec_string = codecs.codec_string(init.data)
        self._inits += 1
        self.init_name = f"init-{self._inits:04d}.mp4"
        self._longest = round(self._part_target * init.rate)
        enough = round(self._part_target * _SHORTEST * init.rate) + 1
        self.samples.set_cut(self._longest, enough, self._shortest)
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

    def write(self) -> None:
        """Bring what has become whole to the disk, and tell of it."""
        for data, start, end, independent in self.samples.poll():
            if data is None:
                self._end_segment(start, end)
            else:
                self._add_part(data, end - start, independent)

    def close(self) -> None:
        """End the segment that is open, if one is."""
        self.samples.close()
        self.write()

    def abandon(self) -> None:
        """Let go of the file, for when the next worker is to go on."""
        if self._file is not None:
            self._file.close()

    def _add_part(self, data: bytes, duration: int, independent: bool) -> None:
        assert self.init is not None
        if self._file is None:
            name = f"{self.name}/{segment_name(self.playlist.count)}"
            self._file = SegmentFile(self._folder.media / name)
            self._parts, self._listed = 0, True
        offset = self._file.size
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

    def _end_segment(self, start: int, end: int) -> None:
        assert self._file is not None  # a part was added
        assert self.init is not None
        file, self._file = self._file, None
        number = self.playlist.count
        uri = segment_name(number)
        file.finish()
        self._folder.add(f"{self.name}/{uri}", file.size)
        at, duration = start / self.init.rate, (end - start) / self.init.rate
        self.playlist.append(Segment(uri, self.init_name, at, duration, file.size))
        self._folder.tell(Closed(self._folder.id, self.name, number, uri, file.size, at, duration))


def segment_name(number: int) -> str:
    """The file of a segment; the first has number 0."""
    return f"{number + 1:06d}.m4s"
