"""What does recording a lesson cost, from its journal to HLS?

One camera (720p30 H264, 1.5 Mbit/s, a keyframe each 2 s) and one microphone (Opus), CPU-seconds per
lesson-hour of the recorder's worker process:

- `live`: the journal grows as the engine writes it, 50 ms at a time, and the worker follows;
- `behind`: the journal is there already, and the worker catches up. What it costs then beyond HLS
  (poster, checksums, fsync) is `after_the_bell`.

Beside it FFmpeg on the same media: `-c copy` to HLS of fMP4 segments, and a re-encode by x264
veryfast, both shortened and scaled to an hour. The worker's start and its first lesson are not
counted, nor FFmpeg's start. (The clip is noisy: it costs an encoder more than a classroom does.)
"""

import argparse
import contextlib
import fcntl
import logging
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from benchmarks import recorded
from benchmarks.machine import conditions, cpu_us

HOUR = 3_600.0
LESSON = "20260921-141320-bench-00aa"

_WARM_SECONDS = 8.0  # of a live lesson before anything is counted
_PATIENCE = 300.0
_LOG = logging.getLogger(__name__)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    parser.add_argument("--seconds", type=int, default=600, help="of lesson to catch up with")
    parser.add_argument("--live-seconds", type=int, default=40, help="of lesson to follow")
    parser.add_argument("--encode-seconds", type=int, default=8, help="of lesson to re-encode")


def quick(options: argparse.Namespace) -> None:
    """Less of it, for a look."""
    options.seconds = min(options.seconds, 120)
    options.live_seconds = min(options.live_seconds, 10)
    options.encode_seconds = min(options.encode_seconds, 2)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """One answer."""
    _LOG.info("coding the clip")
    clip = recorded.clip()
    with tempfile.TemporaryDirectory(prefix="tongbu-recording-") as name:
        folder = Path(name)
        live = _live(folder / "live", clip, options.live_seconds)
        behind, after = _behind(folder / "behind", clip, options.seconds)
        return {
            "cpu_s_per_hour": live,
            "cpu_s_per_hour_behind": behind,
            "cpu_s_per_hour_after_the_bell": after,
            "seconds": {"live": options.live_seconds, "behind": options.seconds},
            "bytes_per_hour": _bytes(folder / "behind", options.seconds),
            "video_bits_per_second": clip.bits_per_second,
            "ffmpeg": _ffmpeg(folder / "behind", options),
            "conditions": conditions() | {"cores_used": "wherever the scheduler puts one process"},
        }


class _Worker:
    """The recorder's own process on a data folder; its news are read, as a node reads them."""

    def __init__(self, data_dir: Path) -> None:
        (data_dir / "lessons").mkdir(parents=True)
        command = [sys.executable, "-m", "recorder.worker", "--data-dir", str(data_dir)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        self.wait_for(lambda line: line == b"ok\n")

    @property
    def cpu_seconds(self) -> float:
        """Used so far."""
        return sum(cpu_us(self._process.pid)) / 1e6

    def wait_for(self, condition: Callable[[bytes], bool]) -> None:
        """Read lines until one meets the condition."""
        assert self._process.stdout
        while not condition(line := self._process.stdout.readline()):
            if not line:
                raise RuntimeError("The worker ended.")

    def drain(self) -> None:
        """Read what it says from now on, and throw it away."""
        assert self._process.stdout
        os.set_blocking(self._process.stdout.fileno(), False)
        with contextlib.suppress(TypeError):
            while self._process.stdout.read(1 << 16):
                pass

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.communicate()


@contextlib.contextmanager
def _worker(data_dir: Path) -> Iterator[_Worker]:
    worker = _Worker(data_dir)
    try:
        yield worker
    finally:
        worker.stop()


def _warm_up(worker: _Worker, data_dir: Path, clip: recorded.Clip) -> None:
    """A short lesson before: what a worker does once in its life is not an hour's."""
    made = data_dir.with_name(f"{data_dir.name}-first")
    recorded.write(made / "journal", clip, 20)
    made.rename(data_dir / "lessons" / LESSON.replace("00aa", "00bb"))
    worker.wait_for(lambda line: b'"news":"ended"' in line)
    while not (data_dir / "lessons" / LESSON.replace("00aa", "00bb") / "manifest.json").exists():
        time.sleep(0.05)


def _live(data_dir: Path, clip: recorded.Clip, seconds: int) -> float:
    """CPU-seconds per hour while the worker follows a journal that grows in real time."""
    _LOG.info("following a live lesson for %d s", seconds)
    batches = list(recorded.batches(clip, seconds + _WARM_SECONDS))
    journal = data_dir / "lessons" / LESSON / "journal"
    with _worker(data_dir) as worker:
        _warm_up(worker, data_dir, clip)
        journal.mkdir(parents=True)
        with (journal / "lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with (journal / "00000001.tbj").open("wb", buffering=0) as file:
                return _follow(worker, file, batches) * HOUR / seconds


def _follow(worker: _Worker, file: IO[bytes], batches: list[tuple[float, bytes]]) -> float:
    """What the worker used from `_WARM_SECONDS` on."""
    began, before = time.monotonic(), None
    for due, data in batches:
        time.sleep(max(0.0, began + due - time.monotonic()))
        if before is None and due >= _WARM_SECONDS:
            before = worker.cpu_seconds
        file.write(data)
        worker.drain()
    time.sleep(0.2)
    return worker.cpu_seconds - (before or 0.0)


def _behind(data_dir: Path, clip: recorded.Clip, seconds: int) -> tuple[float, float]:
    """CPU-seconds per hour to HLS, and from there to the manifest."""
    _LOG.info("catching up with %d s", seconds)
    made = data_dir.with_name("made")
    recorded.write(made / "journal", clip, seconds)
    with _worker(data_dir) as worker:
        _warm_up(worker, data_dir, clip)
        before = worker.cpu_seconds
        made.rename(data_dir / "lessons" / LESSON)
        worker.wait_for(lambda line: b'"news":"ended"' in line)
        hls = worker.cpu_seconds
        deadline = time.monotonic() + _PATIENCE
        while not (data_dir / "lessons" / LESSON / "manifest.json").exists():
            if time.monotonic() > deadline:
                raise RuntimeError("The worker wrote no manifest.")
            time.sleep(0.05)
        after = worker.cpu_seconds
    return (hls - before) * HOUR / seconds, (after - hls) * HOUR / seconds


def _bytes(data_dir: Path, seconds: int) -> dict[str, int]:
    folder = data_dir / "lessons" / LESSON
    found = {"journal": _size(folder / "journal"), "hls": _size(folder / "media")}
    return {name: round(size * HOUR / seconds) for name, size in found.items()}


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _ffmpeg(data_dir: Path, options: argparse.Namespace) -> dict[str, float] | None:
    """CPU-seconds per hour of FFmpeg on the archive just made; None where there is no FFmpeg."""
    if shutil.which("ffmpeg") is None:
        return None
    media = data_dir / "lessons" / LESSON / "media"
    joined = data_dir / "joined.mkv"
    _run_ffmpeg(_input(media, options.seconds), ["-c", "copy", str(joined)])
    hls = ["-f", "hls", "-hls_time", "2", "-hls_segment_type", "fmp4", "-hls_list_size", "0"]
    source = ["-i", str(joined)]
    started = _run_ffmpeg(["-t", "0.1", *source], ["-c", "copy", "-f", "null", "-"])

    def cost(seconds: float, *arguments: str) -> float:
        _LOG.info("ffmpeg %s", " ".join(arguments[:4]))
        out = tempfile.mkdtemp(dir=data_dir)
        command = [*arguments, *hls, f"{out}/index.m3u8"]
        used = _run_ffmpeg(["-t", str(seconds), *source], command)
        return round(max(used - started, 0.0) * HOUR / seconds, 2)

    return {
        "copy_cpu_s_per_hour": cost(options.seconds, "-c", "copy"),
        "x264_veryfast_cpu_s_per_hour": cost(
            options.encode_seconds, "-c:v", "libx264", "-preset", "veryfast", "-c:a", "copy"
        ),
    }


def _input(media: Path, seconds: int) -> list[str]:
    """Our own HLS, video and audio."""
    limit = ["-t", str(seconds)]
    video, audio = media / "camera" / "index.m3u8", media / "audio" / "index.m3u8"
    return [*limit, "-i", str(video), *limit, "-i", str(audio)]


def _run_ffmpeg(source: list[str], out: list[str]) -> float:
    """Its CPU-seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    common = ["ffmpeg", "-nostdin", "-loglevel", "error", "-y"]
    subprocess.run([*common, *source, *out], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
