"""Real coded media for the tests: flashes and beeps, cut into packets as a journal has them."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import av
import numpy as np

_ENCODERS: dict[str, tuple[str, dict[str, str]]] = {
    "H264": ("libx264", {"profile": "baseline", "tune": "zerolatency", "preset": "ultrafast"}),
    "VP8": ("libvpx", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    "VP9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    "AV1": ("libsvtav1", {"preset": "8"}),
}

FLASH_EVERY = 1.0
"""Seconds between flashes; the first is at 0.5 s, and each lasts 0.1 s."""


@dataclass(frozen=True)
class Coded:
    """One coded frame at `seconds` of its clip."""

    seconds: Fraction
    data: bytes
    keyframe: bool


def is_flash(seconds: float) -> bool:
    """A flash and a beep are on at this time of a clip."""
    return 0.0 <= (seconds - 0.5) % FLASH_EVERY < 0.1 and seconds >= 0.5


@cache
def video(
    codec: str = "H264",
    seconds: int = 4,
    *,
    size: tuple[int, int] = (320, 180),
    gop: int = 60,
    fps: int = 30,
) -> tuple[Coded, ...]:
    """A clip that is grey with a moving bar, and white during a flash."""
    name, options = _ENCODERS[codec]
    encoder: Any = av.CodecContext.create(name, "w")
    encoder.width, encoder.height = size
    encoder.pix_fmt, encoder.time_base, encoder.framerate = "yuv420p", Fraction(1, fps), fps
    encoder.gop_size, encoder.options, encoder.thread_count = gop, options, 1
    encoder.max_b_frames = 0
    packets = []
    for number in range(seconds * fps):
        frame = av.VideoFrame.from_ndarray(_picture(number / fps, size), "gray").reformat(
            format="yuv420p"
        )
        frame.pts, frame.time_base = number, encoder.time_base
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return tuple(Coded(Fraction(p.pts, fps), _as_sent(bytes(p)), p.is_keyframe) for p in packets)


@cache
def audio(seconds: int = 4) -> tuple[Coded, ...]:
    """20 ms Opus packets: silence with a 1 kHz beep during each flash."""
    encoder: Any = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "mono", "s16"
    encoder.bit_rate, encoder.time_base = 32_000, Fraction(1, 48_000)
    encoder.options = {"application": "lowdelay"}
    times = np.arange(seconds * 48_000) / 48_000
    beeps = (times >= 0.5) & ((times - 0.5) % FLASH_EVERY < 0.1)
    samples = (np.sin(times * 2 * np.pi * 1_000) * beeps * 12_000).astype(np.int16)
    packets = []
    for at in range(0, len(samples), 960):
        frame = av.AudioFrame.from_ndarray(samples[None, at : at + 960], "s16", "mono")
        frame.sample_rate, frame.pts = 48_000, at
        packets += encoder.encode(frame)
    return tuple(Coded(Fraction(n, 50), bytes(p), True) for n, p in enumerate(packets))


def _as_sent(data: bytes) -> bytes:
    """RTP carries no AV1 temporal delimiters."""
    return data.removeprefix(b"\x12\x00")


def _picture(seconds: float, size: tuple[int, int]) -> np.ndarray:
    width, height = size
    picture = np.full((height, width), 235 if is_flash(seconds) else 90, np.uint8)
    left = int(seconds * 60) % (width - 16)
    picture[: height // 4, left : left + 16] = 160
    return picture
