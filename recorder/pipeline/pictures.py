"""The poster: a keyframe that is not black, from the middle of the lesson when there is one.

A lesson may last hours, so only a handful of keyframes are kept, evenly spread, and only they can
ever be decoded: the cost is bounded.
"""

import io
from dataclasses import dataclass, field
from fractions import Fraction
from typing import cast

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

_KEPT = 8
_WIDTH = 640
_DARK = 32  # mean luma (16 is black) below which a picture is not worth showing
_DECODERS = {"H264": "h264", "VP8": "vp8", "VP9": "vp9", "AV1": "libdav1d"}


@dataclass(slots=True)
class Poster:
    """Keyframes in, one JPEG out."""

    codec: str
    _spacing: int = 1_000_000
    _kept: list[tuple[int, bytes]] = field(default_factory=list)

    def offer(self, time_us: int, keyframe: bytes) -> bool:
        """Consider a keyframe; says whether it was kept."""
        if self._kept and time_us < self._kept[-1][0] + self._spacing:
            return False
        self._kept.append((time_us, keyframe))
        if len(self._kept) > _KEPT:
            self._spacing *= 2
            self._kept = self._kept[::2]
        return True

    def newest(self) -> bytes | None:
        """A JPEG of the newest kept keyframe, or None when it is dark or damaged."""
        return _picture(self.codec, self._kept[-1][1]) if self._kept else None

    def best(self) -> bytes | None:
        """A JPEG of the kept keyframe nearest to the middle that is not dark."""
        middle = len(self._kept) / 2
        by_distance = sorted(range(len(self._kept)), key=lambda i: abs(i - middle))
        pictures = (_picture(self.codec, self._kept[i][1]) for i in by_distance)
        return next((picture for picture in pictures if picture), None)


def poster_of(frame: VideoFrame) -> bytes | None:
    """A JPEG of a picture, or None when it is too dark to be shown. Raises av.FFmpegError."""
    return None if _luma(frame) < _DARK else _jpeg(frame)


def _picture(codec: str, keyframe: bytes) -> bytes | None:
    try:
        frame = _decode(codec, keyframe)
        return poster_of(frame) if frame is not None else None
    except av.FFmpegError:  # a poster is not worth a lesson
        return None


def _decode(codec: str, keyframe: bytes) -> VideoFrame | None:
    decoder = cast(VideoCodecContext, VideoCodecContext.create(_DECODERS[codec], mode="r"))
    decoder.thread_count = 1
    frames = [*decoder.decode(av.Packet(keyframe)), *decoder.decode(None)]
    return frames[0] if frames else None


def _luma(frame: VideoFrame) -> float:
    """The mean brightness, of a thumbnail."""
    width, height = 32, 18
    plane = frame.reformat(width, height, "gray").planes[0]
    data, stride = bytes(plane), plane.line_size
    total = sum(sum(data[row * stride : row * stride + width]) for row in range(height))
    return total / (width * height)


def _jpeg(frame: VideoFrame) -> bytes:
    width = min(_WIDTH, frame.width) & ~1
    height = max(2, round(frame.height * width / frame.width)) & ~1
    encoder = VideoCodecContext.create("mjpeg", mode="w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    encoder.thread_count = 1
    encoder.qmin = encoder.qmax = 5
    picture = frame.reformat(width, height, "yuvj420p")
    picture.pts, picture.time_base = 0, encoder.time_base
    out = io.BytesIO()
    for packet in [*encoder.encode(picture), *encoder.encode(None)]:
        out.write(bytes(packet))
    return out.getvalue()
