"""From what a source sends to what a lesson carries: H264 without B-frames, and Opus.

What is that already passes through untouched, but for parameter sets before each keyframe; what is
not is decoded and encoded again, that track alone.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Protocol

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.bitstream import BitStreamFilterContext
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

MAX_HEIGHT = 1080
"""A larger picture is encoded no larger than this."""
KEYFRAME_EVERY = 2.0
"""Seconds between keyframes that we encode ourselves."""

_RATE = 48_000  # Opus in RTP (RFC 7587, 4.1)
_BLOCK = 960  # samples in 20 ms
_BITS_PER_PIXEL = 2.0  # a second, so 1.8 Mbit/s for 720p: pictures of people who talk
_OFF_COURSE = 0.08  # seconds by which sound may be away from its place before it is put back
_B_FRAMES = 3
_PARAMETER_SETS = (7, 8)  # SPS, PPS (RFC 6184, 5.2 by way of H.264 table 7-1)
_IDR = 5
_H264_UNITS = frozenset((1, *range(5, 24)))  # no data partitioning, nothing reserved
_TOO_MANY = 10
_OPUS_MS = (*(10, 20, 40, 60) * 3, *(10, 20) * 2, *(2.5, 5, 10, 20) * 4)  # RFC 6716, table 2

Timed = tuple[bytes, float]
"""A coded frame, and its media time in seconds."""


class Converter(Protocol):
    """Makes what can be sent of what came."""

    def convert(self, packet: "Packet[Any]", seconds: float) -> Iterator[Timed]:
        """What one packet becomes; raises av.FFmpegError where it cannot be decoded."""


class BFrames(Exception):  # noqa: N818 - named for what was found
    """A stream that passed through turns out to be out of order."""


class Changed(Exception):  # noqa: N818
    """What comes is of another codec than it was in the beginning."""


class _Doubt:
    """Counts what cannot be of the codec it should be; a damaged packet now and then can."""

    def __init__(self) -> None:
        self._in_a_row = 0

    def note(self, fits: bool) -> bool:
        """Whether the packet may be used. Raises Changed."""
        self._in_a_row = 0 if fits else self._in_a_row + 1
        if self._in_a_row >= _TOO_MANY:
            raise Changed
        return fits


def passes_video(stream: VideoStream) -> bool:
    """Whether WebRTC's receivers take this picture as it is."""
    context = stream.codec_context
    return (
        context.codec.canonical_name == "h264"
        and not context.has_b_frames
        and context.pix_fmt in ("yuv420p", "yuvj420p", None)
    )


def passes_audio(stream: AudioStream) -> bool:
    """Whether it is Opus of one or two channels (RFC 7587 knows no others)."""
    context = stream.codec_context
    return context.codec.canonical_name == "opus" and context.layout.nb_channels <= 2


class VideoPassthrough:
    """H264 as Annex B, from its first keyframe on, parameter sets before each."""

    def __init__(self, stream: VideoStream) -> None:
        extradata = stream.codec_context.extradata or b""
        length_prefixed = extradata[:1] == b"\x01"  # avcC (ISO/IEC 14496-15, 5.3.3)
        self._filter = (
            BitStreamFilterContext("h264_mp4toannexb", stream) if length_prefixed else None
        )
        self._sets = b"" if length_prefixed else _parameter_sets(extradata)
        self._begun = False
        self._last = float("-inf")
        self._steps_back = 0
        self._doubt = _Doubt()

    def convert(self, packet: "Packet[Any]", seconds: float) -> Iterator[Timed]:
        """The packet as it is. Raises BFrames, Changed."""
        keyframe, damaged = packet.is_keyframe, packet.is_corrupt
        self._watch_order(seconds, keyframe)
        for out in self._filter.filter(packet) if self._filter else [packet]:  # which empties it
            data = bytes(out)
            if not self._doubt.note(_is_h264(data)):
                continue
            if keyframe:
                yield self._with_sets(data), seconds
            elif self._begun and not damaged:
                yield data, seconds

    def _watch_order(self, seconds: float, keyframe: bool) -> None:
        """A step back is a clock that was set; several before the next keyframe are B-frames."""
        if keyframe:
            self._steps_back = 0
        elif seconds < self._last:
            self._steps_back += 1
            if self._steps_back == _B_FRAMES:
                raise BFrames
        self._last = seconds

    def _with_sets(self, data: bytes) -> bytes:
        self._begun = True
        own = _parameter_sets(data)
        if own:
            self._sets = own
            return data
        return self._sets + data


class AudioPassthrough:
    """Opus as it is."""

    def __init__(self) -> None:
        self._doubt = _Doubt()

    def convert(self, packet: "Packet[Any]", seconds: float) -> Iterator[Timed]:
        """The packet as it is. Raises Changed."""
        data = bytes(packet)
        if self._doubt.note(_is_opus(data)):
            yield data, seconds


class VideoTranscoder:
    """Any picture, as H264 constrained baseline with a keyframe each 2 s."""

    def __init__(self, stream: VideoStream) -> None:
        self._decoder = stream.codec_context
        self._decoder.thread_type = "SLICE"  # threads by frame would add a picture's delay each
        self._base = stream.time_base or Fraction(1, 90_000)
        self._rate = Fraction(stream.average_rate or 25).limit_denominator(1_001)
        self._encoder: VideoCodecContext | None = None
        self._size = (0, 0)
        self._keyframe_at = float("-inf")

    def convert(self, packet: "Packet[Any]", seconds: float) -> Iterator[Timed]:
        """The pictures that are complete with this packet."""
        for frame in self._decoder.decode(packet):
            at = seconds if frame.pts is None else float(frame.pts * self._base)
            yield from self._encode(frame, at)

    def _encode(self, frame: VideoFrame, seconds: float) -> Iterator[Timed]:
        size = _fitted(frame.width, frame.height)
        if self._encoder is None or size != self._size:
            self._encoder, self._size = _x264(size, self._rate), size
            self._keyframe_at = float("-inf")
        picture = frame.reformat(*size, format="yuv420p")
        picture.pts, picture.time_base = round(seconds * 90_000), Fraction(1, 90_000)
        due = not 0 <= seconds - self._keyframe_at < KEYFRAME_EVERY
        picture.pict_type = PictureType.I if due else PictureType.NONE
        if due:
            self._keyframe_at = seconds
        for packet in self._encoder.encode(picture):
            yield bytes(packet), seconds


class AudioTranscoder:
    """Any sound, as Opus in packets of 20 ms."""

    def __init__(self, stream: AudioStream) -> None:
        self._decoder = stream.codec_context
        channels = min(stream.codec_context.layout.nb_channels, 2)
        self._layout = "mono" if channels < 2 else "stereo"
        self._base = stream.time_base or Fraction(1, _RATE)
        self._resampler = AudioResampler("s16", self._layout, _RATE, frame_size=_BLOCK)
        self._encoder = _opus(self._layout)
        self._next: float | None = None  # where the next packet belongs
        self._taken = 0.0  # seconds of sound that have come in and not gone out yet

    def convert(self, packet: "Packet[Any]", seconds: float) -> Iterator[Timed]:
        """The packets of 20 ms that are complete with this one."""
        for frame in self._decoder.decode(packet):
            at = seconds if frame.pts is None else float(frame.pts * self._base)
            frame.pts = None  # the resampler should not know of gaps: we count ourselves
            if self._next is None or abs(at - self._heard()) > _OFF_COURSE:
                self._next = at
                self._resampler = AudioResampler("s16", self._layout, _RATE, frame_size=_BLOCK)
                self._taken = 0.0
            self._taken += frame.samples / (frame.sample_rate or _RATE)
            yield from self._encode(self._resampler.resample(frame))

    def _heard(self) -> float:
        """Where the sound is up to that has come in."""
        return (self._next or 0.0) + self._taken

    def _encode(self, blocks: list[AudioFrame]) -> Iterator[Timed]:
        for block in blocks:
            block.pts = None
            for packet in self._encoder.encode(block):
                assert self._next is not None
                yield bytes(packet), self._next
                self._next += _BLOCK / _RATE
                self._taken -= _BLOCK / _RATE


def _is_h264(data: bytes) -> bool:
    """Whether Annex B data begins with a NAL unit that H264 knows (H.264, table 7-1)."""
    start = data.find(b"\0\0\1", 0, 5)
    return (
        0 <= start < len(data) - 3 and data[start + 3] < 128 and data[start + 3] & 31 in _H264_UNITS
    )


def _is_opus(data: bytes) -> bool:
    """Whether it can be an Opus packet: at most 120 ms of frames (RFC 6716, 3.2.5)."""
    if not data:
        return False
    code = data[0] & 3
    count = 1 if code == 0 else 2 if code < 3 else data[1] & 63 if len(data) > 1 else 0
    return 0 < count * _OPUS_MS[data[0] >> 3] <= 120


def _parameter_sets(data: bytes) -> bytes:
    """The SPS and PPS in Annex B data, as Annex B; empty when either is missing."""
    kept: dict[int, list[bytes]] = {kind: [] for kind in _PARAMETER_SETS}
    start = data.find(b"\0\0\1")
    while start >= 0 and start + 3 < len(data):
        kind = data[start + 3] & 31
        if kind in (1, _IDR):
            break  # parameter sets stand before the picture
        following = data.find(b"\0\0\1", start + 3)
        unit = data[start + 3 : following if following >= 0 else None].rstrip(b"\0")
        if kind in kept:
            kept[kind].append(unit)
        start = following
    if not all(kept.values()):
        return b""
    return b"".join(b"\0\0\0\1" + unit for units in kept.values() for unit in units)


def _fitted(width: int, height: int) -> tuple[int, int]:
    """Even, and no higher than MAX_HEIGHT."""
    scale = min(1.0, MAX_HEIGHT / max(height, 1))
    return max(round(width * scale) & ~1, 2), max(round(height * scale) & ~1, 2)


def _x264(size: tuple[int, int], rate: Fraction) -> VideoCodecContext:
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height = size
    encoder.pix_fmt, encoder.framerate, encoder.time_base = "yuv420p", rate, Fraction(1, 90_000)
    encoder.bit_rate = round(size[0] * size[1] * _BITS_PER_PIXEL)
    encoder.max_b_frames = 0
    encoder.options = {
        "preset": "veryfast",
        "tune": "zerolatency",
        "profile": "baseline",
        "forced-idr": "1",
        "maxrate": str(encoder.bit_rate),
        "bufsize": str(encoder.bit_rate),
    }
    return encoder


def _opus(layout: str) -> AudioCodecContext:
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = _RATE, layout, "s16"
    encoder.time_base = Fraction(1, _RATE)
    encoder.bit_rate = 32_000 if layout == "mono" else 64_000
    return encoder
