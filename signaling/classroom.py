"""A live lesson: carries out on the engine what the pure `Lesson` decides.

Every outside happening becomes one event; the effects are carried out in order, at once.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from signaling.chat import Chat
from signaling.connection import MediaPlane
from signaling.delivery import Budgets, Delivery
from signaling.effects import (
    LISTENED,
    Announced,
    Disconnect,
    Effect,
    Feed,
    Forbid,
    Note,
    Notify,
    Over,
    Reason,
    Record,
    StartRecording,
    StopRecording,
    WakeAt,
    Withdrawn,
)
from signaling.errors import LessonError
from signaling.events import (
    End,
    Event,
    Join,
    Leave,
    Lost,
    Member,
    Role,
    Tick,
)
from signaling.lesson import Lesson, Rules
from signaling.recording import Recording
from signaling.seat import CONTROL_LABEL, Seat

logger = logging.getLogger(__name__)

GOODBYE = 0.3
"""Seconds between telling a school that the lesson ended and closing its connection."""


@dataclass(frozen=True, slots=True)
class ClassroomConfig:
    """What all lessons of a node have in common."""

    media: MediaPlane
    rules: Rules
    video_codecs: tuple[str, ...]
    lessons_dir: Path | None
    """Where lessons are recorded; None records nothing."""
    budgets: Budgets
    """What viewers may take."""


class Listener(Protocol):
    """Who shows a lesson to its members, or tells others of it."""

    def on_effect(self, effect: Effect) -> None:
        """One of `LISTENED`; the lesson has come as far already."""


class Classroom:
    """One live lesson, from its first member's coming to `Over`."""

    def __init__(
        self,
        config: ClassroomConfig,
        name: str,
        lesson_id: str,
        *,
        started_at: float,
        on_over: Callable[["Classroom"], None],
    ) -> None:
        """`started_at` is in Unix seconds, for people to read."""
        self.started_at = started_at
        self.lesson = Lesson(name, lesson_id, config.rules)
        self.sessions: dict[str, Seat] = {}
        self.config = config
        self._engine = config.media.engine
        self._on_over = on_over
        self._loop = asyncio.get_running_loop()
        self.delivery = Delivery(self._engine, self._loop, config.budgets)
        self.chat = Chat(self.tell, self._loop.time)
        self._listeners: list[Listener] = [self.chat]
        self._waiting: deque[list[Effect]] = deque()
        self._flowing: set[int] = set()
        self._recording: Recording | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._farewells: dict[str, asyncio.TimerHandle] = {}
        self._recorded: asyncio.Task[None] | None = None

    # --- who comes and goes

    def seat(self, seat: Seat, join: Join) -> Member:
        """Seat whoever else comes, by the connection of an adapter. Raises LessonError.

        From then on the lesson may close the connection, 0.3 s after a listener heard of it.
        """
        effects = self.lesson.handle(join, self._loop.time())
        self.sessions[seat.id] = seat
        self._carry_out(effects)
        return self.lesson.members[seat.id]

    def leave(self, seat: Seat, *, lost: bool = False) -> None:
        """A member says goodbye; where it may come back, it is only `lost`."""
        self._forget(seat)
        self.tell(Lost(seat.id) if lost else Leave(seat.id))

    def end(self, reason: str) -> None:
        """End the lesson for all."""
        self.tell(End(reason))

    async def drained(self) -> None:
        """Wait until an ended lesson's journal is on disk and its last words are said."""
        if self._recorded is not None:
            await asyncio.wait([self._recorded])
        if self._farewells:
            await asyncio.sleep(GOODBYE)

    # --- what happens

    def add_listener(self, listener: Listener) -> None:
        """Let somebody hear all `LISTENED` effects from now on."""
        self._listeners.append(listener)

    def handle(self, event: Event) -> None:
        """Let something happen in the lesson. Raises LessonError, and nothing has happened.

        What follows from it is carried out at once; within a listener, when all have heard.
        """
        self._carry_out(self.lesson.handle(event, self._loop.time()))

    def tell(self, event: Event) -> None:
        """The same for what has happened already: too late is no error."""
        try:
            self.handle(event)
        except LessonError as error:
            logger.debug("%s: %s came too late: %s", self.lesson.name, event, error)

    @property
    def recorded(self) -> bool:
        """Whether there is a journal now."""
        return self._recording is not None and self._recorded is None

    def note(self, event: Mapping[str, Any]) -> None:
        """Write an event to the journal, while there is one."""
        if self._recording is not None and self._recorded is None:
            self._recording.note(event)

    def freshen(self) -> None:
        """A viewer can be reached and will have keys a round trip from now: the keyframe that it
        begins with is asked for already."""
        for publication in self.lesson.publications.values():
            if publication.track.kind == "video":
                self._engine.freshen(publication.track.uptrack)

    def flows(self, uptrack: int) -> None:
        """A published track has begun to flow."""
        self._flowing.add(uptrack)

    def summary(self) -> dict[str, object]:
        """What /api/lessons says of it."""
        publications = self.lesson.publications.values()
        return {
            "lesson": self.lesson.name,
            "title": self.lesson.name,
            "id": self.lesson.id,
            "started_at": self.started_at,
            "schools": self.lesson.count(Role.SCHOOL),
            "tracks": [
                {"kind": p.track.kind, "source": p.track.source, "codec": p.track.codec}
                for p in publications
                if p.track.uptrack in self._flowing
            ],
            "recording": self._recording.state if self._recording is not None else "off",
        }

    def _forget(self, seat: Seat) -> None:
        if farewell := self._farewells.pop(seat.id, None):
            farewell.cancel()
        self.sessions.pop(seat.id, None)
        self.delivery.remove(seat)
        seat.close()

    # --- effects

    def _carry_out(self, effects: list[Effect]) -> None:
        """Do it all, in order; what a listener sets off meanwhile is done after that."""
        self._waiting.append(effects)
        if len(self._waiting) > 1:
            return
        while self._waiting:
            batch = self._waiting[0]
            self.delivery.feed((e.downtrack, e.uptrack) for e in batch if isinstance(e, Feed))
            for effect in batch:
                self._attempt(self._do, effect)
                if isinstance(effect, LISTENED):
                    for listener in self._listeners:
                        self._attempt(listener.on_effect, effect)
            self._waiting.popleft()

    def _attempt(self, do: Callable[[Effect], None], effect: Effect) -> None:
        """One that fails keeps none of the others from being carried out."""
        try:
            do(effect)
        except Exception:
            logger.exception("%s: %s failed", self.lesson.name, effect)

    def _do(self, effect: Effect) -> None:
        match effect:
            case StartRecording():
                self._start_recording()
            case Note(event):
                self.note(event)
            case Record(number, track):
                if self._recording is not None:
                    self._recording.record(number, track.uptrack)
            case StopRecording():
                self._stop_recording()
            case Feed(downtrack, uptrack):
                self._feed(downtrack, uptrack)
            case Forbid(uptrack):
                self._engine.remove_uptrack(uptrack)
            case Announced(publication):
                self.delivery.publish([publication.track.uptrack])
            case Withdrawn(publication):
                self.delivery.withdraw([publication.track.uptrack])
                self._flowing.discard(publication.track.uptrack)
            case Notify(session_id, message):
                self._notify(session_id, message)
            case Disconnect(session_id, reason):
                self._say_farewell(session_id, reason)
            case WakeAt(time):
                self._wake_at(time)
            case Over():
                self._over()

    def _start_recording(self) -> None:
        if self.config.lessons_dir is not None:
            folder = self.config.lessons_dir / self.lesson.id / "journal"
            self._recording = Recording(self._engine, folder)

    def _stop_recording(self) -> None:
        if self._recording is not None:
            self._recorded = self._loop.create_task(self._recording.stop())

    def _feed(self, downtrack: int, uptrack: int | None) -> None:
        self._engine.set_source(downtrack, uptrack)

    def _notify(self, session_id: str, message: Mapping[str, Any]) -> None:
        if seat := self.sessions.get(session_id):
            seat.notify(CONTROL_LABEL, message)

    def _say_farewell(self, session_id: str, reason: Reason) -> None:
        """Close a connection after what was said on it had time to arrive."""
        if seat := self.sessions.get(session_id):
            if reason is not Reason.ENDED:
                seat.notify(CONTROL_LABEL, {"type": str(reason)})
            self._farewells[session_id] = self._loop.call_later(GOODBYE, self._forget, seat)

    def _wake_at(self, time: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._loop.call_at(time, self.tell, Tick())

    def _over(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._on_over(self)
