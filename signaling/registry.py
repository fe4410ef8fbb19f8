"""Which lessons live on this node: in memory, by name."""

import asyncio
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from signaling.classroom import Classroom, ClassroomConfig
from signaling.errors import NotLive
from signaling.lesson import Phase


class Registry:
    """Name to live classroom. `clock` tells Unix seconds."""

    def __init__(self, config: ClassroomConfig, clock: Callable[[], float]) -> None:
        self._config = config
        self._clock = clock
        self._classrooms: dict[str, Classroom] = {}
        self._openings: list[Callable[[Classroom], None]] = []
        self._draining: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[Classroom]:
        return iter(list(self._classrooms.values()))

    def find(self, name: str) -> Classroom | None:
        """The live lesson of that name."""
        return self._classrooms.get(name)

    def require(self, name: str) -> Classroom:
        """The live lesson of that name. Raises NotLive."""
        classroom = self._classrooms.get(name)
        if classroom is None:
            raise NotLive("Nobody is teaching in this lesson now.")
        return classroom

    def on_open(self, told: Callable[[Classroom], None]) -> None:
        """Call this with every lesson that is made from now on, before anything happens in it."""
        self._openings.append(told)

    def open(self, name: str) -> Classroom:
        """The live lesson of that name, made when there is none."""
        classroom = self._classrooms.get(name)
        if classroom is None:
            now = self._clock()
            classroom = Classroom(
                self._config,
                name,
                lesson_id(name, now, secrets.token_hex(2)),
                started_at=now,
                on_over=self._retire,
            )
            self._classrooms[name] = classroom
            for told in self._openings:
                told(classroom)
        return classroom

    def drop_if_unused(self, classroom: Classroom) -> None:
        """Forget a lesson that was opened for somebody who got no seat."""
        lesson = classroom.lesson
        if lesson.phase is Phase.WAITING and not lesson.members and not lesson.kept:
            classroom.end("teacher")

    async def close(self, reason: str) -> None:
        """End every lesson; returns when their journals are on disk."""
        for classroom in self:
            classroom.end(reason)
        if self._draining:
            await asyncio.wait(self._draining)

    def _retire(self, classroom: Classroom) -> None:
        if self._classrooms.get(classroom.lesson.name) is classroom:
            del self._classrooms[classroom.lesson.name]
        draining = asyncio.create_task(classroom.drained())
        self._draining.add(draining)
        draining.add_done_callback(self._draining.discard)


def lesson_id(name: str, now: float, suffix: str) -> str:
    """`YYYYMMDD-HHMMSS-<name>-<4 hex>` in UTC: sorts by time, names the lesson, is unique."""
    started = datetime.fromtimestamp(now, UTC)
    return f"{started:%Y%m%d-%H%M%S}-{name}-{suffix}"
