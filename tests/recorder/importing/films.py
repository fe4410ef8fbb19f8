"""Video files as schools have them: containers and codecs old and new, with a beep and a flash."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.recorder.media import is_flash

SIZE = (320, 180)


def film(
    path: Path,
    video: str = "libx264",
    audio: str | None = "aac",
    *,
    seconds: float = 4.0,
    fps: int = 25,
    gop: int = 50,
    options: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
    pixels: str = "yuv420p",
    audio_from: float = 0.0,
) -> Path:
    """A film that is white, and beeps, for a tenth of each second."""
    with av.open(str(path), "w") as out:
        out.metadata.update(metadata or {})
        picture: Any = out.add_stream(video, rate=fps, options=options or {})
        picture.width, picture.height = SIZE
        picture.pix_fmt, picture.codec_context.gop_size = pixels, gop
        sound: Any = None
        if audio:
            rate = 48_000 if "opus" in audio else 44_100
            sound = out.add_stream(audio, rate=rate)
            sound.layout = "mono"
        heard = audio_from
        for number in range(round(seconds * fps)):
            now = number / fps
            grey = np.full(SIZE[::-1], 235 if is_flash(now) else 90, np.uint8)
            left = int(now * 60) % (SIZE[0] - 16)
            grey[: SIZE[1] // 4, left : left + 16] = 160
            frame = av.VideoFrame.from_ndarray(grey, "gray").reformat(format=pixels)
            frame.pts, frame.time_base = number, Fraction(1, fps)
            out.mux(picture.encode(frame))
            while sound is not None and heard <= now:
                heard = _beep(out, sound, heard)
        out.mux(picture.encode(None))
        if sound is not None:
            out.mux(sound.encode(None))
    return path


def _beep(out: Any, sound: Any, at: float) -> float:
    rate = sound.codec_context.sample_rate
    count = sound.codec_context.frame_size or 1024
    times = at + np.arange(count) / rate
    loud = (times >= 0.5) & ((times - 0.5) % 1.0 < 0.1)
    samples = (np.sin(times * 2 * np.pi * 1_000) * loud * 0.4).astype(np.float32)[None]
    frame = av.AudioFrame.from_ndarray(samples, "fltp", "mono")
    frame.sample_rate, frame.pts = rate, round(at * rate)
    frame.time_base = Fraction(1, rate)
    resampler = av.AudioResampler(sound.codec_context.format.name, "mono", rate)
    for resampled in resampler.resample(frame):
        resampled.pts = frame.pts
        out.mux(sound.encode(resampled))
    return at + count / rate
