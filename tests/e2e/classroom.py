"""What end-to-end tests do with a real node: teach, watch, ring the bell, open the archive."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import av

from clients.headless.api import Api, Json
from clients.headless.marks import CAMERA_STRIP, luma_of
from clients.headless.media import inspect
from clients.headless.publish import Publication
from clients.headless.replay import Seen, fetch_view, look_at
from clients.headless.watch import School
from clients.headless.whip import Endpoint

CLIP_FRAMES = 300
"""Length of the `lesson_clip` fixture: what a number is modulo."""

LEAST_PATIENCE_S = 30.0
"""Waiting costs nothing where all is well, and a busy machine is no failure."""

T = TypeVar("T")


@asynccontextmanager
async def teaching(
    url: str, lesson: str, clip: Path, slides: Path | None = None, *, name: str = "teacher"
) -> AsyncIterator[Publication]:
    """A lesson in progress; it ends with the block."""
    async with Api(url) as api:
        token = await api.become("teacher", lesson, name)
    async with Endpoint(f"{url}/{lesson}/whip", token) as endpoint:
        extra = inspect(slides) if slides else None
        publication = Publication(endpoint, inspect(clip), extra, loop=True)
        try:
            await publication.start()
            yield publication
        finally:
            await publication.stop()


class Pupil:
    """A school that notes the number of each picture."""

    def __init__(self, school: School, numbers: list[int | None]) -> None:
        self.school = school
        self.numbers = numbers

    async def sees(self, frames: int, patience: float = 15.0) -> None:
        """Wait until that many pictures were decoded in all."""
        await until(lambda: len(self.numbers) >= frames, patience, f"{frames} pictures")


@asynccontextmanager
async def watching(url: str, lesson: str, *, slides: bool = False) -> AsyncIterator[Pupil]:
    """A school in the lesson; it leaves with the block."""
    numbers: list[int | None] = []

    def look(frame: av.VideoFrame) -> None:
        numbers.append(CAMERA_STRIP.read(luma_of(frame)))

    async with Api(url) as api:
        token = await api.become("school", lesson)
    async with Endpoint(f"{url}/{lesson}/whep", token) as endpoint:
        school = School(endpoint, slides=slides, on_frame=look)
        try:
            await school.start()
            yield Pupil(school, numbers)
        finally:
            await school.stop()


async def until(
    holds: Callable[[], T | Awaitable[T]], patience: float, what: str, step: float = 0.05
) -> T:
    """Look again and again until it holds; fails with what was waited for."""
    patience = max(patience, LEAST_PATIENCE_S)
    deadline = time.monotonic() + patience
    while True:
        value = holds()
        result = await value if isinstance(value, Awaitable) else value
        if result:
            return result
        assert time.monotonic() < deadline, f"waited {patience} s in vain for {what}"
        await asyncio.sleep(step)


async def live_id(url: str, lesson: str) -> str:
    """The id of the lesson in progress."""
    async with Api(url) as api:
        await api.become("teacher", lesson)
        live = await api.live(lesson)
    assert live, f"{lesson} is not live"
    return str(live["id"])


async def archived(url: str, lesson: str, patience: float = 15.0) -> Json:
    """The one finished archive entry of that lesson."""
    async with Api(url) as api:
        await api.become("archivist", lesson)

        async def finished() -> Json | None:
            entries = [entry for entry in await api.entries() if entry["lesson"] == lesson]
            assert len(entries) <= 1, f"one lesson became {len(entries)} assets"
            done = entries and entries[0]["state"] not in ("live", "finishing")
            return entries[0] if done else None

        entry = await until(finished, patience, f"{lesson} in the archive")
    assert entry
    return entry


async def replayed(url: str, entry: Json, source: str = "camera") -> Seen:
    """What a player sees of a view."""
    view = next(view for view in entry["views"] if view["source"] == source)
    async with Api(url) as api:
        await api.become("archivist", entry["lesson"])
        picture, sound = await fetch_view(view["hls"], api.file)
    assert picture.complete
    return await asyncio.to_thread(look_at, picture, sound)


async def replayed_whole(url: str, sent: int) -> Seen:
    """What the archive of "math" shows, from the first of the pictures sent to the last."""
    entry = await archived(url, "math")
    assert entry["state"] == "complete"
    seen = await replayed(url, entry)
    assert breaks(seen.taught) == []
    assert seen.taught[0] == 0
    assert seen.frames >= sent - 5
    return seen


def breaks(numbers: list[int | None], modulo: int = CLIP_FRAMES) -> list[tuple[int, object]]:
    """Where pictures do not follow each other: (place, what stands there)."""
    found: list[tuple[int, object]] = []
    for place, (one, following) in enumerate(itertools.pairwise(numbers), 1):
        if one is None or following != (one + 1) % modulo:
            found.append((place, following))
    return found
