"""What is lost when the recorder's worker, or the whole node, is killed at a random moment?

A headless teacher teaches lesson after lesson on a real node. In each the worker is killed
(SIGKILL) a few times; every other lesson ends with the death of the node, after which a new one
finishes what the dead one left, and the rest by the bell, with one more death of the worker while
it makes the archive. When and whom follows from the seed.

- `lost_journal_s`: of each lesson, the most that any track lacks in the journal: stretches of lost
  packets, and, where the node was killed, from its last packet to the kill. By who was killed.
- `lost_playable_s`: the same for what the camera's view in the finished archive shows: from the
  last picture that can be played to the kill (or the lesson's last one), and any hole before it.
- `archives_verified`: lessons whose archive is whole by its checksums (`recorder.archive.verify`)
  and whose playlists have an end; `wrong` says what is not.
- `finished_s`: from the death of the node, or the bell, to the manifest.
"""

import argparse
import asyncio
import contextlib
import io
import itertools
import logging
import os
import random
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av

from benchmarks.machine import conditions
from benchmarks.span import percentile
from clients.headless.api import Api
from clients.headless.demo_media import demo_files
from clients.headless.media import inspect as inspect_media
from clients.headless.node import Node
from clients.headless.publish import Publication
from clients.headless.replay import fetch_view
from clients.headless.whip import Endpoint
from recorder.archive import lesson_folders, read_manifest, verify
from recorder.errors import RecorderError
from recorder.follow import is_locked
from recorder.journal_inspect import inspect
from sfu._media import Frame, JournalReader

PER_LESSON = 4
"""Kills."""
PATIENCE = 60.0
"""Seconds until something must have happened, on a machine that is busy with other things."""
_LESSON = "crash"
_INTERVALS = {"audio": 0.02, "video": 1 / 30}
"""Seconds between what the teacher's tracks carry: so much is always on its way."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """One lesson: when the worker is killed, in seconds after one was there, and its end."""

    worker: tuple[float, ...]
    node: float | None
    """So long after the last of these the node is killed; None: the bell, and then the worker."""

    @property
    def kills(self) -> int:
        """All of them; the last is the node's, or the worker's after the bell."""
        return len(self.worker) + 1


def plans(kills: int, seed: int) -> list[Plan]:
    """So many kills, spread over lessons; every other one ends with the node's death."""
    moments = random.Random(seed)
    lessons: list[Plan] = []
    while (left := kills - sum(plan.kills for plan in lessons)) > 0:
        worker = tuple(moments.uniform(0.3, 2.0) for _ in range(min(PER_LESSON, left) - 1))
        last = moments.uniform(1.0, 3.0) if len(lessons) % 2 == 0 else None
        lessons.append(Plan(worker, last))
    return lessons


@dataclass(slots=True)
class Lesson:
    """What became of one."""

    plan: Plan
    folder: Path
    ended_us: int | None = None
    """When the node was killed, Unix microseconds; None where it was not."""
    finished_s: float = 0.0
    state: str = ""
    lost_journal_s: float = 0.0
    lost_playable_s: float = 0.0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1, help="of the moments")


def quick(options: argparse.Namespace) -> None:
    """Less of it, for a look."""
    options.kills = min(options.kills, 8)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """One answer."""
    lessons = asyncio.run(_run(plans(options.kills, options.seed)))
    return {"seed": options.seed, **answer(lessons), "conditions": conditions()}


def answer(lessons: Sequence[Lesson]) -> dict[str, Any]:
    """The figures of the lessons."""
    by_node = [lesson for lesson in lessons if lesson.plan.node is not None]
    by_worker = [lesson for lesson in lessons if lesson.plan.node is None]
    node_kills = len(by_node)
    finished = sorted(lesson.finished_s for lesson in lessons)
    return {
        "kills": sum(lesson.plan.kills for lesson in lessons),
        "node_kills": node_kills,
        "worker_kills": sum(lesson.plan.kills for lesson in lessons) - node_kills,
        "lessons": len(lessons),
        "lesson_seconds": round(sum(lesson.seconds for lesson in lessons), 1),
        "lost_journal_s": {
            "worker_max": _most(lesson.lost_journal_s for lesson in by_worker),
            "node_max": _most(lesson.lost_journal_s for lesson in by_node),
        },
        "lost_playable_s": {
            "worker_max": _most(lesson.lost_playable_s for lesson in by_worker),
            "node_max": _most(lesson.lost_playable_s for lesson in by_node),
        },
        "archives": len(lessons),
        "archives_verified": sum(not lesson.wrong for lesson in lessons),
        "states": {
            state: sum(lesson.state == state for lesson in lessons)
            for state in sorted({lesson.state for lesson in lessons})
        },
        "finished_s": {
            "p50": round(percentile(finished, 0.5), 2),
            "max": round(finished[-1], 2),
        },
        "each": [_row(lesson) for lesson in lessons],
        "wrong": [f"{lesson.folder.name}: {what}" for lesson in lessons for what in lesson.wrong],
    }


def _row(lesson: Lesson) -> dict[str, object]:
    return {
        "kills": lesson.plan.kills,
        "last": "worker" if lesson.plan.node is None else "node",
        "seconds": lesson.seconds,
        "lost_journal_s": round(lesson.lost_journal_s, 3),
        "lost_playable_s": round(lesson.lost_playable_s, 3),
        "finished_s": round(lesson.finished_s, 2),
        "state": lesson.state,
    }


def _most(values: Any) -> float:
    return round(max(values, default=0.0), 3)


async def _run(lessons: Sequence[Plan]) -> list[Lesson]:
    file = inspect_media(demo_files(quiet=True).camera)
    done: list[Lesson] = []
    kills = sum(plan.kills for plan in lessons)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        data_dir = Path(name)
        node = await Node.start(data_dir)
        try:
            for plan in lessons:
                _LOG.info("%d of %d kills, %d lessons done", _killed(done), kills, len(done))
                node, lesson = await _teach(node, data_dir, plan, file)
                await asyncio.to_thread(examine, lesson)
                done.append(lesson)
                if plan.node is None:
                    # Each lesson on a node of its own: its supervisor waits longer from death to
                    # death, and has not known any yet.
                    await node.stop()
                    node = await Node.start(data_dir)
        finally:
            await node.stop()
    return done


def _killed(done: Sequence[Lesson]) -> int:
    return sum(lesson.plan.kills for lesson in done)


async def _teach(node: Node, data_dir: Path, plan: Plan, file: Any) -> tuple[Node, Lesson]:
    """A lesson and its kills; the node that lives afterwards."""
    before = {folder.name for folder in lesson_folders(data_dir)}
    async with _teacher(node.url, file):
        folder = await _until(lambda: _new(data_dir, before), "the lesson")
        await _until(lambda: any((folder / "journal").glob("*.tbj")), "the journal")
        lesson = Lesson(plan, folder)
        for moment in plan.worker:
            await _kill_worker(node, moment)
        if plan.node is not None:
            await asyncio.sleep(plan.node)
            lesson.ended_us = time.time_ns() // 1_000
            await node.kill()
    began = time.monotonic()
    if plan.node is not None:
        node = await Node.start(data_dir)
    else:
        await _kill_worker(node, 0.05)
    await _until(lambda: (folder / "manifest.json").exists(), "the archive")
    lesson.finished_s = time.monotonic() - began
    return node, lesson


@contextlib.asynccontextmanager
async def _teacher(url: str, file: Any) -> AsyncIterator[None]:
    """Somebody teaches, until the block ends or the node does."""
    async with Api(url) as api:
        token = await api.become("teacher", _LESSON)
    async with Endpoint(f"{url}/{_LESSON}/whip", token) as endpoint:
        publication = Publication(endpoint, file, None, loop=True)
        await publication.start()
        try:
            yield
        finally:
            with contextlib.suppress(Exception):  # a dead node does not answer
                await publication.stop()


async def _kill_worker(node: Node, after: float) -> None:
    """Kill the worker so long after it was there; it is gone when this returns."""
    pid = await _until(lambda: worker_of(node.process.pid), "a worker")
    await asyncio.sleep(after)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    await _until(lambda: worker_of(node.process.pid) != pid, "the worker's death")


async def _until(holds: Any, what: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (value := holds()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come within {PATIENCE:.0f} s")
        await asyncio.sleep(0.02)
    return value


def _new(data_dir: Path, before: set[str]) -> Path | None:
    new = (folder for folder in lesson_folders(data_dir) if folder.name not in before)
    return next(new, None)


def worker_of(node_pid: int) -> int | None:
    """The recorder's worker of a node, while there is one."""
    for children in Path(f"/proc/{node_pid}/task").glob("*/children"):
        for child in map(int, children.read_text().split()):
            with contextlib.suppress(OSError):
                if b"recorder.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                    return child
    return None


# --- what is left of a lesson


def examine(lesson: Lesson) -> None:
    """Fill in what was lost, from the journal and from the archive."""
    try:
        lesson.wrong += verify(lesson.folder)
        lesson.state = read_manifest(lesson.folder).entry.state
        _examine_journal(lesson)
        _examine_archive(lesson)
    except (RecorderError, OSError, ValueError, av.FFmpegError) as error:
        lesson.wrong.append(f"{type(error).__name__}: {error}")


def _examine_journal(lesson: Lesson) -> None:
    journal = lesson.folder / "journal"
    facts = inspect(journal)
    if is_locked(journal):
        lesson.wrong.append("somebody still writes the journal")
    lesson.seconds = facts.seconds
    lost = [gap.seconds for track in facts.tracks for gap in track.gaps if gap.reason == "loss"]
    if lesson.ended_us is not None:
        after = (lesson.ended_us - (facts.began_us or 0)) / 1e6
        lost += [
            after - (track.last_s or 0.0) - _INTERVALS.get(track.kind, 0.0)
            for track in facts.tracks
        ]
    elif facts.state != "ended":
        lesson.wrong.append("the journal has no end")
    lesson.lost_journal_s = max([0.0, *lost])


def _examine_archive(lesson: Lesson) -> None:
    """Compare what the journal holds of the camera with what can be played of it."""
    written = camera_frames(lesson.folder / "journal")
    played, complete = asyncio.run(camera_pictures(lesson.folder))
    if not complete:
        lesson.wrong.append("the playlist has no end")
    if not written or not played:
        lesson.wrong.append(f"{len(played)} pictures of {len(written)} can be played")
        return
    interval = _INTERVALS["video"]
    end_us = lesson.ended_us or written[-1]
    behind = (end_us - written[min(len(played), len(written)) - 1]) / 1e6
    holes = (next_ - one - interval for one, next_ in itertools.pairwise(played))
    lesson.lost_playable_s = max(0.0, behind - interval, *holes)


def camera_frames(journal: Path) -> list[int]:
    """When each of the camera's frames arrived, Unix microseconds."""
    cameras = {t.track for t in inspect(journal).tracks if t.source == "camera"}
    reader = JournalReader(str(journal))
    records = []
    while some := reader.read(5_000):
        records += some
    frames = (r for r in [*records, *reader.flush()] if isinstance(r, Frame))
    return [frame.arrival_us for frame in frames if frame.track in cameras]


async def camera_pictures(folder: Path) -> tuple[list[float], bool]:
    """When each of the camera's pictures is shown, in seconds; whether the playlist has its end.

    A picture that stands at the beginning twice, to cover the time of earlier sound, is one.
    """
    views = read_manifest(folder).entry.views
    master = next(view.hls for view in views if view.source == "camera" and view.hls)

    async def fetch(path: str) -> bytes:
        return (folder / "media" / path).read_bytes()

    picture, _ = await fetch_view(master, fetch)
    shown: list[tuple[float, int]] = []
    for part in picture.parts:
        with av.open(io.BytesIO(part), mode="r") as container:
            stream = container.streams.video[0]
            for packet in container.demux(stream):
                if packet.pts is not None and packet.time_base is not None:
                    shown.append((float(packet.pts * packet.time_base), hash(bytes(packet))))
    shown.sort()
    twice = len(shown) > 1 and shown[0][1] == shown[1][1]
    return [at for at, _ in shown[twice:]], picture.complete
