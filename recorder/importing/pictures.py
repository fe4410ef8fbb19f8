"""A film's pictures as H264 that every browser plays."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
from av.video.frame import PictureType, VideoFrame

RATE = 90_000
WIDEST, HIGHEST = 1920, 1080

_GOP = 2 * RATE

Opened = Callable[[bytes], None]
"""Takes the first keyframe, with its parameter sets."""

Emit = Callable[[bytes, int, bool], None]
"""Takes a coded picture, when it is shown in ticks, and whether it is a keyframe."""


class Coded:
    """Pictures of any codec, decoded and encoded again."""

    def __init__(self, opened: Opened, emit: Emit) -> None:
        self.size = (0, 0)
        self._opened: Opened | None = opened
        self._emit = emit
        self._encoder: Any = None
        self._last = -1
        self._keyframe_due = 0

    def push(self, packet: Any, start: float) -> None:
        """Add a packet; `start` is the film's clock at lesson time 0. A damaged one is left out."""
        try:
            frames = packet.decode()
        except av.FFmpegError:
            return
        for frame in frames:
            if frame.time is not None:
                self._add(frame, round((frame.time - start) * RATE))

    def finish(self) -> None:
        """Write what waits."""
        if self._encoder is not None:
            self._write(self._encoder.encode(None))

    def _add(self, frame: VideoFrame, at: int) -> None:
        at = max(at, 0)
        if at <= self._last:
            return  # two pictures at a time: one is enough
        if self._encoder is None:
            self._open(frame)
        self._last = at
        picture = frame.reformat(*self.size, format="yuv420p")
        picture.pts, picture.time_base = at, Fraction(1, RATE)
        due = at >= self._keyframe_due
        picture.pict_type = PictureType.I if due else PictureType.NONE
        if due:
            self._keyframe_due = at + _GOP
        self._write(self._encoder.encode(picture))

    def _open(self, frame: VideoFrame) -> None:
        scale = min(1.0, WIDEST / frame.width, HIGHEST / frame.height)
        self.size = (_even(frame.width * scale), _even(frame.height * scale))
        encoder: Any = av.CodecContext.create("libx264", "w")
        encoder.width, encoder.height = self.size
        encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, RATE)
        encoder.max_b_frames, encoder.gop_size = 0, 100_000
        encoder.options = {
            "preset": "veryfast",
            "crf": "23",
            "profile": "high",
            "forced-idr": "1",
            "rc-lookahead": "10",
        }
        self._encoder = encoder

    def _write(self, packets: list[Any]) -> None:
        for packet in packets:
            data = bytes(packet)
            if packet.is_keyframe:
                if self._opened is not None:
                    self._opened(data)
                    self._opened = None
                data = _without_parameter_sets(data)
            self._emit(data, packet.pts, packet.is_keyframe)


def _without_parameter_sets(keyframe: bytes) -> bytes:
    """Annex B less SPS, PPS and AUD: the initialisation segment has the sets."""
    units = (unit.rstrip(b"\0") for unit in keyframe.split(b"\0\0\1")[1:])
    kept = [unit for unit in units if unit and unit[0] & 31 not in (7, 8, 9)]
    return b"".join(b"\0\0\0\1" + unit for unit in kept)


def _even(pixels: float) -> int:
    return max(2, round(pixels) & ~1)
