"""What FFmpeg muxes for us, by PyAV and without transcoding: init segments, and WebM files.

The media segments are our own (`sfu._media.Samples`): FFmpeg cannot end a fragment on demand, and
costs three times as much.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from recorder.errors import MediaError
from recorder.pipeline.codecs import OPUS_RATE, template

VIDEO_RATE = 90_000
"""Ticks per second of every video track we write, as in RTP."""

_INIT_OPTIONS = {
    "movflags": "empty_moov+default_base_moof+skip_trailer+cmaf",
    "flush_packets": "1",
    "fflags": "+bitexact",  # no muxer version inside: the same bytes after an upgrade
}
_MILLISECOND = Fraction(1, 1_000)
_CUES_BYTES = 192 * 1024  # room for about 8,000 keyframes, 9 hours of 4 s GOPs, before the media


class Init(NamedTuple):
    """An init segment: `ftyp` and `moov`, and what they say."""

    data: bytes
    rate: int
    """Ticks per second of the track."""
    width: int = 0
    height: int = 0


def init_segment(codec: str, keyframe: bytes) -> Init:
    """The init segment for samples like this keyframe; of Opus, for any. Raises MediaError."""
    rate = OPUS_RATE if codec == "opus" else VIDEO_RATE
    sink = _Sink()
    with _media_errors(), template(codec, keyframe) as source:
        container = av.open(sink, "w", format="mp4", options=_INIT_OPTIONS)
        stream = container.add_stream_from_template(source.streams[0], opaque=True)
        stream.time_base = Fraction(1, rate)
        width, height = _size(source.streams[0])
        container.start_encoding()
        data = sink.take()
        container.close()
    return Init(data, rate, width, height)


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
