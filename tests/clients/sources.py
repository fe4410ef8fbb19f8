"""What cameras and boxes send, as files: codecs that pass through and codecs that do not."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

SIZE = (320, 180)


def write_source(
    path: Path,
    *,
    seconds: float = 2.0,
    video: str | None = "libx264",
    audio: str | None = "libopus",
    size: tuple[int, int] = SIZE,
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    rate: int = 48_000,
    layout: str = "mono",
) -> Path:
    """A clip of a grainy picture that grows brighter, with a tone, interleaved."""
    texture = np.random.default_rng(1).integers(0, 40, (size[1], size[0]), np.uint8)
    with av.open(path, "w") as container:
        picture: Any = container.add_stream(video, rate=30) if video else None
        sound: Any = container.add_stream(audio, rate=rate, layout=layout) if audio else None
        if picture:
            picture.width, picture.height = size
            picture.pix_fmt = pix_fmt
            picture.options = options if options is not None else {"profile": "baseline", "g": "30"}
        block = rate // 30
        for number in range(round(seconds * 30)):
            if picture:
                grey = texture + np.uint8(40 + number % 150)
                frame = av.VideoFrame.from_ndarray(grey, "gray").reformat(format=pix_fmt)
                frame.pts, frame.time_base = number, Fraction(1, 30)
                container.mux(picture.encode(frame))
            if sound:
                times = (np.arange(block) + number * block) / rate
                tone = (np.sin(times * 2 * np.pi * 440) * 8_000).astype(np.int16)
                channels = len(sound.layout.channels)
                samples = av.AudioFrame.from_ndarray(
                    np.repeat(tone[None, :], channels, 1), "s16", layout
                )
                samples.sample_rate, samples.pts = rate, number * block
                container.mux(sound.encode(samples))
        for stream in filter(None, (picture, sound)):
            container.mux(stream.encode())
    return path
