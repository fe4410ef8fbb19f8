"""Placed frames of one source in, HLS segments out.

Every rendition begins at lesson time 0, has no holes and ends with the lesson, so that players can
switch and seek between them by time alone. What a source did not send is filled:

- audio with Opus silence, to within a hundredth of a frame;
- video by showing the last keyframe again, one sample each `HOLD_US`; before its first keyframe,
  by that one. Frames that would refer to pictures in between are then dropped up to a keyframe.

What is emitted depends on the frames alone, not on when this is called: `advance` only emits
earlier what the next frame would have caused anyway.
"""

import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import av

from recorder.archive.layout import LessonFolder, View
from recorder.errors import MediaError
from recorder.pipeline import codecs
from recorder.pipeline.cmaf import length_prefixed
from recorder.pipeline.gaps import Gaps
from recorder.pipeline.mux import VIDEO_RATE, init_segment
from recorder.pipeline.playlist import Stream
from recorder.pipeline.segments import PART_SECONDS, Segmenter, segment_name

if TYPE_CHECKING:
    from sfu._media import Frame

HOLD_US = 6_000_000
"""A video source silent for longer is held; also the longest held sample."""

_HOLD = HOLD_US * 9 // 100
_SEGMENT = VIDEO_RATE * 19 // 10  # a 2 s GOP of a camera that is a little fast is a segment too
_AUDIO_SEGMENT = codecs.OPUS_RATE * 2
_SLIDES = "slides"
_SLIDES_PART = 1.0  # seconds; a shared screen that stands still is sent once a second
_FRAME = VIDEO_RATE // 30  # how long the last frame of a lesson is shown
_TOLERANCE = 480  # samples an Opus packet may be off before silence goes in, or it is dropped


class _Rendition:
    """What audio and video share."""

    def __init__(self, name: str, folder: LessonFolder, segments: Segmenter) -> None:
        self.name = name
        self.segments = segments
        self.playlist = segments.playlist
        self.gaps = Gaps(name)
        self.frames = 0
        """Frames of the source that made it; fillings are not counted."""
        self.dropped = 0
        """Frames that could not be shown: late, damaged, or referring to lost ones."""
        self._folder = folder

    @property
    def stream(self) -> Stream | None:
        """What a master playlist says of it; None before the first segment."""
        init = self.segments.init
        if not self.playlist.count or init is None:
            return None
        uri = f"{self.name}/index.m3u8"
        codec = self.segments.codec_string
        return Stream(uri, codec, self.playlist, init.width, init.height)

    def publish_playlist(self) -> None:
        """Bring the playlist on disk up to date."""
        if self.playlist.count:
            self._folder.replace_playlist(f"{self.name}/index.m3u8", self.playlist)

    def close(self) -> None:
        """Let go of the open segment, for when this is dropped before its end."""
        self.segments.abandon()


class AudioRendition(_Rendition):
    """Opus at 48 kHz, every sample of the lesson accounted for."""

    def __init__(self, name: str, folder: LessonFolder, zero: float) -> None:
        super().__init__(name, folder, Segmenter(name, folder, zero, shortest=_AUDIO_SEGMENT))
        self.listeners: list[Callable[[bytes, int, int], None]] = []
        """Told of every packet, fillings too: data, start and duration in samples."""
        self._cursor = 0  # where the last packet ends
        self._waiting = b""  # the last packet: it lasts until the next one starts
        self._start = 0  # where it starts
        self._unpublished: list[tuple[bytes, int, int]] = []
        self.segments.open(init_segment("opus", b""))

    @property
    def end_us(self) -> int:
        """The lesson time up to which there is audio."""
        return self._cursor * 125 // 6

    def push(self, time_us: int, frame: "Frame", track: int) -> None:
        """Add a packet of the source."""
        data = frame.data
        start = time_us * 6 // 125
        length = codecs.opus_duration(data)
        ahead = start - self._cursor
        if not length or ahead < -_TOLERANCE:
            self.dropped += 1
            return
        if ahead > _TOLERANCE:
            self._fill(start)
        self.gaps.note(time_us, time_us + length * 125 // 6, track, loss=frame.after_loss)
        self._add(start, data, length)
        self.frames += 1

    def advance(self, horizon_us: int) -> None:
        """No packet before `horizon_us` will come any more."""
        whole = (horizon_us * 6 // 125 - self._cursor) // 960
        if whole > 0:
            self._fill(self._cursor + whole * 960)

    def finish(self, end_us: int) -> None:
        """Fill up to the end of the lesson, and close."""
        end = end_us * 6 // 125
        self._fill(end)
        if self._waiting:
            self._flush(max(end, self._cursor))
        self.segments.close()
        self.playlist.ended = True

    def history(self) -> Iterator[tuple[bytes, int, int]]:
        """Every packet so far, as the listeners would have heard it."""
        if self.playlist.count:
            yield from self._published()
        yield from self._unpublished

    def _fill(self, until: int) -> None:
        for data, length in codecs.silence(until - self._cursor):
            self._add(self._cursor, data, length)

    def _add(self, start: int, data: bytes, length: int) -> None:
        if self._waiting:
            if start <= self._start:
                start = self._start + 1
            self._flush(start)
        self._waiting, self._start, self._cursor = data, start, start + length

    def _flush(self, end: int) -> None:
        """Mux the packet that waits, now that its end is known."""
        packet = self._waiting, self._start, end - self._start
        self._unpublished.append(packet)
        if self.segments.add(self._waiting, self._start, end, True, True):
            self._unpublished.clear()
        for listener in self.listeners:
            listener(*packet)

    def _published(self) -> Iterator[tuple[bytes, int, int]]:
        folder = self._folder.media / self.name
        names = [self.segments.init_name, *map(segment_name, range(self.playlist.count))]
        joined = io.BytesIO(b"".join((folder / name).read_bytes() for name in names))
        with av.open(joined, mode="r", format="mp4") as source:
            for packet in source.demux(audio=0):
                if packet.pts is not None:
                    yield bytes(packet), packet.pts, packet.duration or 0


class VideoRendition(_Rendition):
    """A video view that browsers play from fMP4. Raises MediaError, OSError."""

    def __init__(self, name: str, codec: str, folder: LessonFolder, zero: float) -> None:
        seconds = _SLIDES_PART if name.startswith(_SLIDES) else PART_SECONDS
        segments = Segmenter(name, folder, zero, shortest=_SEGMENT, part_seconds=seconds)
        super().__init__(name, folder, segments)
        self.codec = codec
        self._prefixed = codec == "H264"
        self._current: tuple[int, codecs.Parameters] | None = None
        self._waiting = b""  # the last sample: it lasts until the next one starts
        self._start = 0  # where it starts
        self._earliest = 0  # where the next may start
        self._is_key = False
        self._still = b""  # the last keyframe, to be shown again
        self._broken = True  # what a delta frame refers to is missing
        self._lossy = False  # frames were lost since the last one shown

    def describe(self) -> View:
        """What the catalogue says of this view."""
        stream = self.stream
        if stream is None:
            return View(self.name, self.codec, 0, 0)
        return View(self.name, self.codec, stream.width, stream.height, hls=f"{self.name}.m3u8")

    @property
    def end_us(self) -> int:
        """The lesson time up to which there is video."""
        return (self._start + _FRAME) * 100 // 9 if self._waiting else 0

    def push(self, time_us: int, frame: "Frame", track: int) -> None:
        """Add a frame of the source."""
        data, keyframe, loss = frame.data, frame.keyframe, frame.after_loss
        start = time_us * 9 // 100
        self._hold(start)
        start = max(start, self._earliest)
        self._lossy |= loss
        if keyframe:
            self._broken = not self._begin(start, data, track)
        elif loss:
            self._broken = True
        if self._broken:
            self.dropped += 1
            return
        if keyframe:
            data = self._still
        elif self._prefixed:
            data = length_prefixed(data)
        self._add(start, data, keyframe)
        self.gaps.note(time_us, time_us, track, loss=self._lossy)
        self._lossy = False
        self.frames += 1

    def advance(self, horizon_us: int) -> None:
        """No frame before `horizon_us` will come any more."""
        self._hold(horizon_us * 9 // 100)

    def finish(self, end_us: int) -> None:
        """Hold the last picture to the end of the lesson, and close."""
        end = end_us * 9 // 100
        self._hold(end)
        self._flush(max(end, self._earliest), last=True)
        self.segments.close()
        self.playlist.ended = True

    def _begin(self, start: int, keyframe: bytes, track: int) -> bool:
        """Be ready for a keyframe that starts at `start`; False when it cannot be used."""
        try:
            current = track, codecs.parameters(self.codec, keyframe)
            init = None if current == self._current else init_segment(self.codec, keyframe)
        except MediaError:
            return False
        first = self._current is None
        self._current = current
        self._still = length_prefixed(keyframe) if self._prefixed else keyframe
        if init is not None:
            self._flush(start, last=True)
            self.segments.close()
            self.segments.open(init)
        if first and start > 0:
            self._add(0, self._still, True)
            self._hold(start)
        return True

    def _hold(self, until: int) -> None:
        """Show the last keyframe again as often as needed to come within _HOLD of `until`."""
        while until - self._start > _HOLD and self._waiting:
            self._add(self._start + _HOLD, self._still, True)
            self._broken = True

    def _add(self, start: int, data: bytes, keyframe: bool) -> None:
        self._flush(start, last=keyframe)
        self._waiting, self._start, self._is_key = data, start, keyframe
        self._earliest = start + 1

    def _flush(self, end: int, *, last: bool) -> None:
        """Write the sample that waits, now that its end is known; `last` before a keyframe."""
        if self._waiting:
            self.segments.add(self._waiting, self._start, end, self._is_key, last)
            self._waiting = b""
