"""A shared screen, really coded: slides of text-like blocks, a mouse that moves, a still camera."""

from fractions import Fraction
from typing import Any

import av
import numpy as np

from tests.recorder.media import Coded

FPS = 5
SIZE = (640, 360)


def screen(
    seconds: int,
    changes: list[float],
    *,
    codec: str = "libx264",
    keyframe_every: float = 4.0,
    mouse: bool = True,
) -> list[Coded]:
    """A screen share whose slide changes at the given times."""
    encoder: Any = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height = SIZE
    encoder.pix_fmt, encoder.time_base, encoder.framerate = "yuv420p", Fraction(1, FPS), FPS
    encoder.gop_size, encoder.thread_count, encoder.max_b_frames = 10_000, 1, 0
    encoder.options = (
        {"tune": "zerolatency", "preset": "ultrafast", "sc_threshold": "0", "crf": "28"}
        if codec == "libx264"
        else {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "crf": "30"}
    )
    encoder.bit_rate = 0 if codec == "libx264" else 500_000
    packets = []
    next_key = 0.0
    for number in range(seconds * FPS):
        now = number / FPS
        slide = sum(change <= now + 1e-9 for change in changes)
        picture = slide_picture(slide)
        if mouse:
            left, top = int(now * 37) % (SIZE[0] - 12), int(now * 23) % (SIZE[1] - 16)
            picture[top : top + 16, left : left + 12] = 20
        frame = av.VideoFrame.from_ndarray(picture, "gray").reformat(format="yuv420p")
        frame.pts, frame.time_base = number, encoder.time_base
        if now >= next_key:
            frame.pict_type = av.video.frame.PictureType.I
            next_key = now + keyframe_every
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return [Coded(Fraction(p.pts, FPS), bytes(p), p.is_keyframe) for p in packets]


def slide_picture(number: int) -> np.ndarray:
    """White, with lines of dark blocks that differ from slide to slide."""
    random = np.random.default_rng(number)
    width, height = SIZE
    picture = np.full((height, width), 230, np.uint8)
    for line in range(3 + number % 5):
        top = 30 + line * 36
        glyphs = random.integers(0, 2, (10, 50), dtype=np.uint8)
        text = np.kron(glyphs, np.ones((2, 8), np.uint8)) * 200
        picture[top : top + 20, 60 : 60 + 400] -= text
    return picture
