"""Placed frames of one source in, HLS segments out.

Every rendition begins at lesson time 0, has no holes and ends with the lesson, so that players can
switch and seek between them by time alone. What a source did not send is filled:

- audio with Opus silence, to within a hundredth of a frame;
- video by showing the last keyframe again, one sample each 6 s (`Samples.HOLD`); before its first
  keyframe, by that one. Frames that would refer to pictures in between are then dropped up to a
  keyframe.

What is emitted depends on the frames alone, not on when this is called: `advance` only emits
earlier what the next frame would have caused anyway.

Frames that simply follow the one before do not come here: while nothing happens, the native
timeline hands them to `samples` itself (`Timeline.bind`), which refuses whatever there is something
to decide about.
"""

import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import av

from recorder.archive.layout import LessonFolder, View
from recorder.errors import MediaError
from recorder.pipeline import codecs
from recorder.pipeline.gaps import Gaps
from recorder.pipeline.mux import VIDEO_RATE, init_segment
from recorder.pipeline.playlist import Stream
from recorder.pipeline.segments import PART_SECONDS, Cut, Segmenter, segment_name
from sfu._media import Samples

if TYPE_CHECKING:
    from sfu._media import Frame

_SEGMENT = VIDEO_RATE * 19 // 10  # a 2 s GOP of a camera that is a little fast is a segment too
_AUDIO_SEGMENT = codecs.OPUS_RATE * 2
_SLIDES = "slides"
_SLIDES_PART = 1.0  # seconds; a shared screen that stands still is sent once a second
_FRAME = VIDEO_RATE // 30  # how long the last frame of a lesson is shown


class _Rendition:
    """What audio and video share."""

    def __init__(self, name: str, codec: str, folder: LessonFolder, zero: float, cut: Cut) -> None:
        self.name = name
        self.codec = codec
        self.gaps = Gaps(name)
        self.samples = Samples(codec, self.gaps.notable_us)
        self.segments = Segmenter(name, folder, zero, self.samples, cut)
        self.playlist = self.segments.playlist
        self.dropped = 0
        """Frames that could not be shown: late, damaged, or referring to lost ones."""
        self._folder = folder
        self._pushed = 0

    @property
    def frames(self) -> int:
        """Frames of the source that made it; fillings are not counted."""
        return self._pushed + self.samples.taken

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

    def _note(self, start_us: int, end_us: int, track: int, *, loss: bool) -> None:
        """Media of the source: was there a gap before it?"""
        self.gaps.go_on(self.samples.noted_us)
        self.gaps.note(start_us, end_us, track, loss=loss)
        self.samples.noted_us = end_us
        self._pushed += 1

    def _end(self) -> None:
        """Nothing is added any more."""
        self.segments.close()
        self.gaps.go_on(self.samples.noted_us)
        self.playlist.ended = True


class AudioRendition(_Rendition):
    """Opus at 48 kHz, every sample of the lesson accounted for."""

    def __init__(self, name: str, folder: LessonFolder, zero: float) -> None:
        super().__init__(name, "opus", folder, zero, Cut(_AUDIO_SEGMENT))
        self._listeners: list[Callable[[bytes, int, int], None]] = []
        self.segments.open(init_segment("opus", b""))

    @property
    def end_us(self) -> int:
        """The lesson time up to which there is audio."""
        return self.samples.next * 125 // 6

    def listen(self, listener: Callable[[bytes, int, int], None]) -> None:
        """Tell of every packet, those so far and fillings too: data, start and duration in
        samples."""
        for packet in self._history():
            listener(*packet)
        self._listeners.append(listener)
        self.samples.steady = False

    def push(self, time_us: int, frame: "Frame", track: int) -> None:
        """Add a packet of the source."""
        data = frame.data
        start = time_us * 6 // 125
        length = codecs.opus_duration(data)
        ahead = start - self.samples.next
        if not length or ahead < -Samples.TOLERANCE:
            self.dropped += 1
            return
        if ahead > Samples.TOLERANCE:
            self._fill(start)
        self._note(time_us, time_us + length * 125 // 6, track, loss=frame.after_loss)
        self._add(start, data, length)

    def advance(self, horizon_us: int) -> None:
        """No packet before `horizon_us` will come any more."""
        end = self.samples.next
        whole = (horizon_us * 6 // 125 - end) // 960
        if whole > 0:
            self._fill(end + whole * 960)

    def finish(self, end_us: int) -> None:
        """Fill up to the end of the lesson, and close."""
        self._fill(end_us * 6 // 125)
        end = max(end_us * 6 // 125, self.samples.next)
        ended = self._ending()
        self.samples.flush(end, True)
        self.segments.write()
        self._tell(ended, end)
        self._end()

    def _fill(self, until: int) -> None:
        for data, length in codecs.silence(until - self.samples.next):
            self._add(self.samples.next, data, length)

    def _add(self, start: int, data: bytes, length: int) -> None:
        ended = self._ending()
        self.samples.add(start, data, length, True)
        self.segments.write()
        self._tell(ended, self.samples.start)

    def _ending(self) -> tuple[bytes, int]:
        """The packet that waits, if somebody is to be told when its end is known."""
        return (self.samples.waiting, self.samples.start) if self._listeners else (b"", 0)

    def _tell(self, ended: tuple[bytes, int], end: int) -> None:
        data, start = ended
        if data:
            for listener in self._listeners:
                listener(data, start, end - start)

    def _history(self) -> Iterator[tuple[bytes, int, int]]:
        """Every packet so far whose end is known."""
        if self.playlist.count:
            yield from self._published()
        yield from self.samples.unlisted()

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
        super().__init__(name, codec, folder, zero, Cut(_SEGMENT, seconds))
        self._current: tuple[int, codecs.Parameters] | None = None
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
        return (self.samples.start + _FRAME) * 100 // 9 if self.samples.is_waiting else 0

    def push(self, time_us: int, frame: "Frame", track: int) -> None:
        """Add a frame of the source."""
        data, keyframe, loss = frame.data, frame.keyframe, frame.after_loss
        start = time_us * 9 // 100
        self._hold(start)
        start = max(start, self.samples.next)
        self._lossy |= loss
        if keyframe:
            self._broken = not self._begin(start, data, track)
        elif loss:
            self._broken = True
        self.samples.steady = not self._broken
        if self._broken:
            self.dropped += 1
            return
        self._add(start, data, keyframe)
        self._note(time_us, time_us, track, loss=self._lossy)
        self._lossy = False

    def advance(self, horizon_us: int) -> None:
        """No frame before `horizon_us` will come any more."""
        self._hold(horizon_us * 9 // 100)

    def finish(self, end_us: int) -> None:
        """Hold the last picture to the end of the lesson, and close."""
        end = end_us * 9 // 100
        self._hold(end)
        self.samples.flush(max(end, self.samples.next), True)
        self._end()

    def _begin(self, start: int, keyframe: bytes, track: int) -> bool:
        """Be ready for a keyframe that starts at `start`; False when it cannot be used."""
        try:
            current = track, codecs.parameters(self.codec, keyframe)
            init = None if current == self._current else init_segment(self.codec, keyframe)
        except MediaError:
            return False
        first = self._current is None
        self._current = current
        self._still = keyframe
        if init is not None:
            self.samples.flush(start, True)
            self.segments.close()
            self.segments.open(init)
        if first and start > 0:
            self._add(0, keyframe, True)
            self._hold(start)
        return True

    def _hold(self, until: int) -> None:
        """Show the last keyframe again as often as needed to come within HOLD of `until`."""
        while until - self.samples.start > Samples.HOLD and self.samples.is_waiting:
            self._add(self.samples.start + Samples.HOLD, self._still, True)
            self._broken, self.samples.steady = True, False

    def _add(self, start: int, data: bytes, keyframe: bool) -> None:
        self.samples.add(start, data, 1, keyframe)
        self.segments.write()
