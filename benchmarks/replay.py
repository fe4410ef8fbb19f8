"""How soon can a lesson be watched again, how soon does it begin, and how fast is a jump in it?

An hour of one camera (720p30 H264, 1.5 Mbit/s) and one microphone lies in a journal whose writer
lives; the node's recorder has followed it to its end. Then the bell rings:

- `playable_s`: from the bell until both playlists are closed and can be fetched, and the archive no
  longer says that the lesson is live; `archived_s`: until its manifest is there.
- `start_ms`: from the opening of the replay page, with nothing in the browser's cache, to the
  picture on the screen. The page, its code, the token and the lesson's facts are in it.
- `seek_ms`: from a jump by the seek bar to a random place, in a page that stands still, until the
  picture of that place (by its time, to a frame) is on the screen.
- `slow_...`: the same behind a school's line of 3 Mbit/s and 80 ms, as Chromium imitates it;
  `slow_start_kb` is what came over it until the picture was there.

With `--pictures 2` slides of the same kind stand beside the camera, and both are waited for.
`--keep` leaves the lesson in a folder, or takes the one that is there: then no bell rings.
Chromium and the node share the machine; the browser has no graphics card.
"""

import argparse
import asyncio
import contextlib
import fcntl
import logging
import re
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import recorded
from benchmarks.machine import conditions
from benchmarks.replay_page import Link, chromium, jumps, opened
from benchmarks.span import percentile
from clients.headless.api import Api, Json
from clients.headless.node import Node

HOUR = 3_600.0
STARTS = 7
SEEKS = 50

_LESSON = "20260921-141320-bench-00aa"
_PATIENCE = 300.0
_SCHOOL = Link(kilobits_per_second=3_000, round_trip_ms=80)

_LOG = logging.getLogger(__name__)


@dataclass
class _Visits:
    """What was seen of the page over one link."""

    starts: list[float] = field(default_factory=list)
    kilobytes: list[float] = field(default_factory=list)
    jumps: list[float] = field(default_factory=list)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    parser.add_argument("--seconds", type=float, default=HOUR, help="of lesson")
    parser.add_argument("--starts", type=int, default=STARTS)
    parser.add_argument("--seeks", type=int, default=SEEKS)
    parser.add_argument("--pictures", type=int, choices=(1, 2), default=1, help="side by side")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="of the lesson, made or found")
    parser.add_argument("--seed", type=int, default=1, help="of the places that are jumped to")


def quick(options: argparse.Namespace) -> None:
    """Less of it, for a look."""
    options.seconds, options.starts = min(options.seconds, 300.0), min(options.starts, 3)
    options.seeks = min(options.seeks, 15)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """One answer."""
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        data = options.keep or Path(folder)
        async with _lesson(data, options) as (node, entry, after_the_bell):
            url = f"{node.url}/archive/{_LESSON}"
            measured = await _measured(url, entry["duration_s"], options)
    return {
        "lesson_s": entry["duration_s"],
        "pictures": options.pictures,
        "bytes": entry["bytes"],
        **after_the_bell,
        **measured,
        "conditions": conditions() | {"cores_used": "node, worker and browser on all"},
    }


async def _measured(url: str, duration: float, options: argparse.Namespace) -> dict[str, Any]:
    async with chromium() as browser:

        async def visits(count: int, seeks: int, link: Link | None) -> _Visits:
            """So many openings of the page; jumps in the last one."""
            seen = _Visits()
            while len(seen.starts) < count:
                async with opened(browser, url, options.pictures, link) as visit:
                    seen.starts.append(visit.milliseconds)
                    seen.kilobytes.append(visit.kilobytes)
                    if len(seen.starts) == count:
                        seen.jumps += await jumps(visit.page, duration, seeks, options.seed)
            return seen

        near = await visits(options.starts, options.seeks, None)
        slow = await visits(max(1, options.starts // 2), max(1, options.seeks // 3), _SCHOOL)
    return {
        "starts": len(near.starts),
        "start_ms_p50": round(statistics.median(near.starts)),
        "start_ms_max": round(max(near.starts)),
        "seeks": len(near.jumps),
        "seek_ms_p50": round(statistics.median(near.jumps)),
        "seek_ms_p95": round(percentile(sorted(near.jumps), 0.95)),
        "seek_ms_max": round(max(near.jumps)),
        "slow_start_ms_p50": round(statistics.median(slow.starts)),
        "slow_start_kb_p50": round(statistics.median(slow.kilobytes)),
        "slow_seek_ms_p50": round(statistics.median(slow.jumps)),
        "slow_seek_ms_max": round(max(slow.jumps)),
    }


@contextlib.asynccontextmanager
async def _lesson(
    data: Path, options: argparse.Namespace
) -> AsyncIterator[tuple[Node, Json, dict[str, float]]]:
    """A node that has the lesson: the one that is kept, or a new one."""
    if not (data / "lessons" / _LESSON / "manifest.json").exists():
        async with _bell(data, options.seconds, options.pictures) as made:
            yield made
        return
    node = await Node.start(data, environment={"TONGBU_LOG__LEVEL": "warning"})
    try:
        async with Api(node.url) as api:
            await api.become("archivist", "bench")
            entry = await api.entry(_LESSON)
        if len(entry["views"]) != options.pictures:
            raise RuntimeError(f"The lesson in {data} has {len(entry['views'])} pictures.")
        yield node, entry, {}
    finally:
        await node.stop()


@contextlib.asynccontextmanager
async def _bell(
    data: Path, seconds: float, pictures: int
) -> AsyncIterator[tuple[Node, Json, dict[str, float]]]:
    """A node in whose archive the lesson is, and how soon after the bell it was."""
    journal = data / "lessons" / _LESSON / "journal"
    tracks = ("audio", "camera", "slides")[: pictures + 1]
    with _written(journal, seconds, pictures) as ring:
        node = await Node.start(data, environment={"TONGBU_LOG__LEVEL": "warning"})
        try:
            async with Api(node.url) as api:
                await api.become("archivist", "bench")
                _LOG.info("the recorder follows %d s of lesson", seconds)
                await _until(lambda: asyncio.to_thread(_followed, data, seconds, tracks), 0.2)
                ring()
                playable = await _until(lambda: _playable(api, tracks))
                archived = playable + await _until(lambda: _archived(api))
                entry = await api.entry(_LESSON)
            told = {"playable_s": round(playable, 2), "archived_s": round(archived, 2)}
            _LOG.info("playable after %.2f s", playable)
            yield node, entry, told
        finally:
            await node.stop()


@contextlib.contextmanager
def _written(journal: Path, seconds: float, pictures: int) -> Iterator[Callable[[], None]]:
    """The journal but for its end, its writer alive; what is given rings the bell."""
    _LOG.info("writing the journal")
    journal.mkdir(parents=True)
    clip = recorded.clip()
    with (
        (journal / "lock").open("wb") as lock,
        (journal / "00000001.tbj").open("wb", buffering=1 << 20) as file,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        for _, record in recorded.timed(clip, seconds, slides=pictures > 1):
            file.write(record)
        file.flush()

        def ring() -> None:
            file.write(recorded.end(seconds))
            file.flush()
            fcntl.flock(lock, fcntl.LOCK_UN)

        yield ring


def _followed(data: Path, seconds: float, tracks: tuple[str, ...]) -> bool:
    """The recorder has published all but the last segments of all tracks."""
    lesson = data / "lessons" / _LESSON
    try:
        texts = [(lesson / "media" / name / "index.m3u8").read_text() for name in tracks]
    except FileNotFoundError:
        return False
    return all(_length(text) > seconds - 8 for text in texts)


async def _playable(api: Api, tracks: tuple[str, ...]) -> bool:
    entry = await api.entry(_LESSON)
    if entry["state"] == "live":
        return False
    files = [await api.file(f"/archive/{_LESSON}/media/{name}/index.m3u8") for name in tracks]
    return all(b"#EXT-X-ENDLIST" in file for file in files)


async def _archived(api: Api) -> bool:
    return bool((await api.entry(_LESSON))["state"] == "complete")


async def _until(holds: Callable[[], Awaitable[bool]], step: float = 0.02) -> float:
    """Look again and again until it holds: how many seconds that took."""
    began = time.monotonic()
    while True:
        if await holds():
            return time.monotonic() - began
        if time.monotonic() > began + _PATIENCE:
            raise TimeoutError("The recorder did not get the lesson ready.")
        await asyncio.sleep(step)


def _length(text: str) -> float:
    return sum(map(float, re.findall(r"^#EXTINF:([\d.]+)", text, re.MULTILINE)))
