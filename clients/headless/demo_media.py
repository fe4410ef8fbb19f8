"""The demo lesson as two files, made once and kept: what `tongbu demo` and `tongbu selftest` teach.

Constrained baseline H264 without B-frames and Opus: what every browser takes and what can be sent
by WebRTC as it is. A pre-encoded file cannot answer a request for a keyframe, so the camera has
one every second: that bounds how long a school that joins waits for its first picture.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from clients.headless import demo_scene, demo_voice
from clients.headless.marks import HEIGHT, WIDTH

SECONDS = 20.0
"""Length of both files: whole frames, Opus packets and flash periods, so that they loop."""
CAMERA_RATE = 30
SLIDES_RATE = 5

_VERSION = "2"  # part of the folder's name: raise it when the pictures or the sound change
_CAMERA_BITRATE = 1_500_000
_SLIDES_BITRATE = 400_000
_VOICE_BITRATE = 32_000
_CAMERA_GOP = CAMERA_RATE  # frames
_SLIDES_GOP = 2 * SLIDES_RATE
_OPUS_FRAME = 960  # samples: 20 ms

Advance = Callable[[], None]


@dataclass(frozen=True)
class DemoFiles:
    """Where the demo lesson lies."""

    camera: Path
    slides: Path


def demo_files(folder: Path | None = None, *, quiet: bool = False) -> DemoFiles:
    """The demo lesson's files, made now if they are not there yet (about 15 s).

    Without a folder they are kept in the user's cache. Raises OSError when the folder cannot be
    written.
    """
    home = folder or cache_folder()
    home.mkdir(parents=True, exist_ok=True)
    files = DemoFiles(home / "camera.mp4", home / "slides.mp4")
    if not (files.camera.exists() and files.slides.exists()):
        _make(files, quiet)
    return files


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/tongbu/demo-<version>`, or the same in `~/.cache`."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "tongbu" / f"demo-{_VERSION}"


def make_camera(path: Path, seconds: float = SECONDS, advance: Advance = lambda: None) -> None:
    """Write the teacher's camera and voice; `advance` is called for every frame."""
    with _published(path) as container:
        video = _video_stream(container, CAMERA_RATE, _CAMERA_GOP, _CAMERA_BITRATE)
        audio = container.add_stream("libopus", rate=demo_voice.RATE, layout="mono")
        audio.bit_rate = _VOICE_BITRATE
        _encode_voice(container, audio, seconds)
        _encode(container, video, demo_scene.camera(seconds, CAMERA_RATE), advance)


def make_slides(path: Path, seconds: float = SECONDS, advance: Advance = lambda: None) -> None:
    """Write the slides; `advance` is called for every frame."""
    with _published(path) as container:
        video = _video_stream(container, SLIDES_RATE, _SLIDES_GOP, _SLIDES_BITRATE)
        _encode(container, video, demo_scene.slides(seconds, SLIDES_RATE), advance)


def _make(files: DemoFiles, quiet: bool) -> None:
    columns = (TextColumn("Preparing the demo lesson"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True, disable=quiet) as progress:
        task = progress.add_task("", total=SECONDS * (CAMERA_RATE + SLIDES_RATE))

        def advance() -> None:
            progress.advance(task)

        make_camera(files.camera, advance=advance)
        make_slides(files.slides, advance=advance)


def _video_stream(container: OutputContainer, rate: int, gop: int, bitrate: int) -> VideoStream:
    stream = container.add_stream("libx264", rate=rate)
    stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    stream.bit_rate = bitrate
    stream.gop_size = gop
    stream.time_base = Fraction(1, rate)
    stream.options = {
        "preset": "veryfast",
        "profile": "baseline",
        "level": "31",  # what the offer says: 42e01f
        "maxrate": str(bitrate),
        "bufsize": str(bitrate),
        "x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes=0",
    }
    return stream


def _encode(
    container: OutputContainer,
    stream: VideoStream,
    pictures: Iterator[demo_scene.Picture],
    advance: Advance,
) -> None:
    for number, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts = number
        container.mux(stream.encode(frame))
        advance()
    container.mux(stream.encode())


def _encode_voice(container: OutputContainer, stream: AudioStream, seconds: float) -> None:
    samples = (demo_voice.voice(seconds) * np.iinfo(np.int16).max).astype(np.int16)
    for start in range(0, len(samples), _OPUS_FRAME):
        block = samples[None, start : start + _OPUS_FRAME]
        frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
        frame.sample_rate, frame.pts = demo_voice.RATE, start
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


@contextmanager
def _published(path: Path) -> Iterator[OutputContainer]:
    """An MP4 that appears under its name only when it is complete."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with av.open(partial, "w", format="mp4") as container:
            yield container
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
