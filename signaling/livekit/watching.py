"""What the media plane says of a lesson, carried to those who are in it: who speaks, and how good
each one's connection is."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

from aiohttp import web

from sfu.engine import Engine
from sfu.stats import Counters
from signaling.classroom import Classroom
from signaling.effects import Announced, Arrived, Effect, Over, Withdrawn
from signaling.livekit.presence import Presence
from signaling.livekit.quality import EVERY, Look, Qualities
from signaling.livekit.speech import Speakers
from signaling.registry import Registry

PresenceOf = Callable[[Classroom], Presence]


class Watching:
    """All lessons of a node. To be made after whatever makes their presences."""

    def __init__(self, registry: Registry, presence_of: PresenceOf, engine: Engine) -> None:
        self._engine = engine
        self._presence_of = presence_of
        self._observers: dict[str, _Observer] = {}  # by the lesson's id
        self._before: dict[int, tuple[float, float]] = {}  # by peer: lost, delivered
        registry.on_open(self._open)

    async def run(self, app: web.Application) -> AsyncIterator[None]:
        """Look at the links every few seconds while the application runs (a `cleanup_ctx`)."""
        task = asyncio.create_task(self._look_for_ever())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def look(self) -> None:
        """Tell everybody of the links as they are now."""
        observers = [observer for observer in self._observers.values() if observer.needed]
        if not observers:
            self._before.clear()
            return
        rows = {int(row.get("peer", -1)): row for row in self._engine.stats().links}
        looks = {peer: self._judge(peer, row) for peer, row in rows.items()}
        self._before = {peer: _counted(row) for peer, row in rows.items()}
        for observer in observers:
            observer.look(looks)

    def _judge(self, peer: int, row: Counters) -> Look | None:
        """What a link was like since the last look; None where nothing is known of it."""
        (lost, delivered), before = _counted(row), self._before.get(peer, (0.0, 0.0))
        newly_lost, newly = lost - before[0], delivered - before[1]
        rtt = float(row.get("rtt_ms", 0)) / 1e3
        if newly_lost + newly <= 0 or rtt <= 0:
            return None
        return Look(rtt, max(0.0, newly_lost) / (newly_lost + newly))

    async def _look_for_ever(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            self.look()

    def _open(self, classroom: Classroom) -> None:
        observer = _Observer(classroom, self._presence_of(classroom), self._engine, self._close)
        self._observers[classroom.lesson.id] = observer
        classroom.add_listener(observer)

    def _close(self, lesson: str) -> None:
        self._observers.pop(lesson, None)


class _Observer:
    """One lesson's listener."""

    def __init__(
        self,
        classroom: Classroom,
        presence: Presence,
        engine: Engine,
        close: Callable[[str], None],
    ) -> None:
        self._classroom = classroom
        self._presence = presence
        self._engine = engine
        self._close = close
        self._speakers = Speakers(presence, asyncio.get_running_loop().call_later)
        self._qualities = Qualities(presence)

    @property
    def needed(self) -> bool:
        """Whether anybody listens."""
        return bool(self._presence.listeners())

    def look(self, looks: Mapping[int, Look | None]) -> None:
        found = {
            session: look
            for session, seat in self._classroom.sessions.items()
            if (look := looks.get(seat.peer)) is not None
        }
        self._qualities.look(found)

    def on_effect(self, effect: Effect) -> None:
        match effect:
            case Announced(publication) if publication.track.kind == "audio":
                session = publication.session

                def heard(uptrack: int, level: float, active: bool) -> None:
                    self._speakers.heard(session, uptrack, level, active)

                self._engine.watch_speech(publication.track.uptrack, heard)
            case Arrived(member):
                self._speakers.arrived(member.session)
            case Withdrawn(publication):
                self._speakers.gone(publication.track.uptrack)
            case Over():
                self._close(self._classroom.lesson.id)


def _counted(row: Counters) -> tuple[float, float]:
    return float(row.get("lost", 0)), float(row.get("delivered", 0))
