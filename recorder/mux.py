"""Muxing without transcoding, by PyAV: one track to CMAF fragments, or video and audio to a WebM.

`Fragmenter` is one continuous MP4 muxer that writes into memory. FFmpeg ends a fragment when it is
given the first packet of the next one, and flushes: so what has come out after a `mux` call is
whole boxes, and every sample's length is known. `frag_discont` makes the first fragment start at
its own time instead of 0. One track per file: with two, FFmpeg would interleave and hold back.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
from av.container import InputContainer, OutputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from recorder.codecs import OPUS_RATE, template
from recorder.errors import MediaError

VIDEO_RATE = 90_000
"""Ticks per second of every video track we write, as in RTP."""

AUDIO_FRAGMENT_US = 2_000_000

_FRAGMENTED = "empty_moov+default_base_moof+frag_discont+skip_trailer+cmaf"
_MILLISECOND = Fraction(1, 1_000)
_CUES_BYTES = 192 * 1024  # room for about 8,000 keyframes, 9 hours of 4 s GOPs, before the media


class Fragment(NamedTuple):
    """One or more `moof` + `mdat`; times in ticks of the track."""

    data: bytes
    start: int
    end: int


class Fragmenter:
    """Samples of one track and one set of parameters in, fragments out.

    Give it samples in order, each lasting to the next. A video fragment begins at each keyframe,
    an audio fragment every `AUDIO_FRAGMENT_US`. Raises MediaError.
    """

    def __init__(self, codec: str, keyframe: bytes) -> None:
        self.rate = OPUS_RATE if codec == "opus" else VIDEO_RATE
        self._sink = _Sink()
        self._start: int | None = None
        self._end = 0
        with _media_errors(), template(codec, keyframe) as source:
            self._container = _open_fragmented(self._sink, audio=codec == "opus")
            self._stream = self._container.add_stream_from_template(source.streams[0], opaque=True)
            self._stream.time_base = Fraction(1, self.rate)
            self.width, self.height = _size(source.streams[0])
            self._container.start_encoding()
        self.init = self._sink.take()
        """The init segment: `ftyp` and `moov`."""

    def mux(self, data: bytes, start: int, duration: int, keyframe: bool) -> Fragment | None:
        """Add a sample; returns the fragment that ends where this sample starts, if one does."""
        packet = av.Packet(data)
        packet.stream = self._stream  # whose time base it takes when it has none
        packet.pts = packet.dts = start
        packet.duration = duration
        if keyframe:
            packet.is_keyframe = True
        try:  # not `with _media_errors()`, which would cost as much as the muxing
            self._container.mux_one(packet)
        except av.FFmpegError as error:
            raise _as_media_error(error) from error
        fragment = self._fragment(start) if self._sink.parts else None
        if self._start is None or fragment:
            self._start = start
        self._end = start + duration
        return fragment

    def close(self) -> Fragment | None:
        """The last fragment, if a sample waits."""
        with _media_errors():
            self._container.close()
        return self._fragment(self._end)

    def _fragment(self, end: int) -> Fragment | None:
        data = self._sink.take()
        return Fragment(data, self._start or 0, end) if data else None


class WebmWriter:
    """Writes a WebM with cues (RFC 9559, 5.1.5), so that a browser can seek in it at once.

    The cues are written on `close`, into room kept before the media. Raises OSError, MediaError;
    after either it can only be closed, and its file is worth nothing.
    """

    def __init__(self, path: Path, codec: str, keyframe: bytes, *, audio: bool) -> None:
        with _media_errors(), template(codec, keyframe) as picture, template("opus", b"") as sound:
            self._file = path.open("w+b")
            options = {"reserve_index_space": str(_CUES_BYTES), "fflags": "+bitexact"}
            self._container = av.open(self._file, "w", format="webm", options=options)
            self._video = self._add(picture)
            self._audio = self._add(sound) if audio else None

    def mux_video(self, data: bytes, time_us: int, keyframe: bool) -> None:
        """Add a video frame; it lasts until the next."""
        self._mux(self._video, data, time_us, 0, keyframe)

    def mux_audio(self, data: bytes, time_us: int, duration_us: int) -> None:
        """Add an Opus packet, when there is an audio track."""
        if self._audio is not None:
            self._mux(self._audio, data, time_us, duration_us, True)

    def close(self) -> None:
        """Write what waits, and the cues."""
        try:
            with _media_errors():
                self._container.close()
        finally:
            self._file.close()

    def _add(self, source: InputContainer) -> Stream:
        stream = self._container.add_stream_from_template(source.streams[0], opaque=True)
        stream.time_base = _MILLISECOND
        return stream

    def _mux(
        self, stream: Stream, data: bytes, time_us: int, duration_us: int, keyframe: bool
    ) -> None:
        packet = av.Packet(data)
        packet.stream = stream
        packet.time_base = _MILLISECOND
        packet.pts = packet.dts = time_us // 1_000
        packet.duration = duration_us // 1_000
        packet.is_keyframe = keyframe
        with _media_errors():
            self._container.mux_one(packet)


class _Sink:
    """A file that keeps what is written to it, for PyAV."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        """What was written since the last call."""
        data = b"".join(self.parts)
        self.parts.clear()
        return data


def _open_fragmented(sink: _Sink, *, audio: bool) -> OutputContainer:
    options = {
        "movflags": _FRAGMENTED if audio else f"{_FRAGMENTED}+frag_keyframe",
        "avoid_negative_ts": "disabled",
        "flush_packets": "1",
        "fflags": "+bitexact",  # no muxer version inside: the same bytes after an upgrade
    }
    if audio:
        options["frag_duration"] = str(AUDIO_FRAGMENT_US)
    return av.open(sink, "w", format="mp4", options=options)


def _size(stream: Stream) -> tuple[int, int]:
    return (stream.width, stream.height) if isinstance(stream, VideoStream) else (0, 0)


@contextmanager
def _media_errors() -> Iterator[None]:
    """FFmpeg's complaints are about the media; what a file object raises passes as it is."""
    try:
        yield
    except av.FFmpegError as error:
        raise _as_media_error(error) from error


def _as_media_error(error: av.FFmpegError) -> MediaError:
    return MediaError(f"a frame cannot be muxed: {error}")
