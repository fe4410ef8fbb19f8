"""Small media files for tests: pictures that carry their number, and the demo's voice."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from clients.headless import demo_voice
from clients.headless.marks import BLACK, CAMERA_STRIP, WIDTH

RATE = 30
SIZE = (320, 180)

_ENCODERS = {"h264": "libx264", "vp8": "libvpx", "mpeg4": "mpeg4"}
_OPTIONS = {
    "h264": {"preset": "ultrafast", "profile": "baseline", "x264-params": "keyint=15:scenecut=0"},
    "vp8": {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "auto-alt-ref": "0"},
    "mpeg4": {},
}


def write_clip(
    path: Path,
    *,
    seconds: float = 2.0,
    video: str | None = "h264",
    audio: str | None = "libopus",
    b_frames: bool = False,
    layout: str = "mono",
) -> Path:
    """A clip of numbered pictures with the voice, in the container that the name's suffix says."""
    with av.open(path, "w") as container:
        if video:
            picture = container.add_stream(_ENCODERS[video], rate=RATE)
            picture.width, picture.height = SIZE
            picture.pix_fmt = "yuv420p"
            picture.gop_size = 15
            picture.time_base = Fraction(1, RATE)
            picture.options = (
                {"x264-params": "bframes=2:b-adapt=0"} if b_frames else _OPTIONS[video]
            )
        if audio:
            sound = container.add_stream(audio, rate=demo_voice.RATE, layout=layout)
            samples = (demo_voice.voice(seconds) * 32767).astype(np.int16)
            for start in range(0, len(samples), 960):
                block = np.repeat(samples[None, start : start + 960], 1 + (layout == "stereo"))
                sample = av.AudioFrame.from_ndarray(block[None, :], format="s16", layout=layout)
                sample.sample_rate, sample.pts = demo_voice.RATE, start
                container.mux(sound.encode(sample))
            container.mux(sound.encode())
        if video:
            for number in range(round(seconds * RATE)):
                frame = av.VideoFrame.from_ndarray(numbered(number), format="yuv420p")
                frame.pts = number
                container.mux(picture.encode(frame))
            container.mux(picture.encode())
    return path


def numbered(number: int) -> np.ndarray:
    """A small yuv420p picture with its number in the strip and a block that moves."""
    width, height = SIZE
    full = np.full((720, 1280), BLACK + 40, np.uint8)
    CAMERA_STRIP.draw(full, number)
    scale = WIDTH // width
    picture = np.full((height * 3 // 2, width), 128, np.uint8)
    picture[:height] = full[::scale, ::scale]
    left = number * 4 % (width - 40)
    picture[60:100, left : left + 40] = 200
    return picture
