"""A live lesson: carries out on the engine what the pure `Lesson` decides.

Every outside happening becomes one event; the effects are carried out in order, at once.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sfu.datachannel import Message
from sfu.negotiation import Offer
from signaling.allowance import Allowance
from signaling.delivery import CONTROL_LABEL, Budgets, Delivery
from signaling.effects import (
    Disconnect,
    Effect,
    Feed,
    Note,
    Notify,
    Over,
    Record,
    StartRecording,
    StopRecording,
    WakeAt,
)
from signaling.errors import LessonError
from signaling.events import (
    End,
    Event,
    Join,
    Leave,
    Lost,
    Published,
    Role,
    Tick,
    Watching,
)
from signaling.lesson import Lesson, Rules
from signaling.plan import Intent, plan_publish, plan_watch
from signaling.recording import Recording
from signaling.session import MediaPlane, Session

logger = logging.getLogger(__name__)

RELAY_RATE, RELAY_BURST = 20.0, 50
"""Messages a second that one member may send to all others; SCTP in Python costs 0.2 ms each."""
SILENT_AFTER = 5.0
"""Seconds without a packet after which a teacher's new connection may replace the old one."""
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


class Classroom:
    """One live lesson, from its teacher's POST to `Over`."""

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
        self.sessions: dict[str, Session] = {}
        self._config = config
        self._engine = config.media.engine
        self._on_over = on_over
        self._loop = asyncio.get_running_loop()
        self._delivery = Delivery(self._engine, self._loop, config.budgets)
        self._flowing: set[int] = set()
        self._allowances: dict[str, Allowance] = {}
        self._recording: Recording | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._farewells: dict[str, asyncio.TimerHandle] = {}
        self._recorded: asyncio.Task[None] | None = None

    # --- what the HTTP side asks

    def teach(self, identity: str, offer: Offer) -> Session:
        """Seat the teacher. Raises NegotiationError, LessonError."""
        intents = plan_publish(offer, self._config.video_codecs)
        return self._seat(identity, Role.TEACHER, offer, intents)

    def watch(self, identity: str, offer: Offer, site: str = "") -> Session:
        """Seat a school of this site. Raises NegotiationError, LessonError."""
        live = {p.track.source: p.track.codec for p in self.lesson.publications.values()}
        intents = plan_watch(offer, live, self._config.video_codecs)
        return self._seat(identity, Role.SCHOOL, offer, intents, site)

    def retire_silent_teacher(self) -> None:
        """Drop a teacher whose connection is dead, though nobody said so: a page was reloaded."""
        teacher = self.lesson.teacher
        session = self.sessions.get(teacher.session) if teacher is not None else None
        if session is not None and self._silent(session):
            session.close()
            self.on_lost(session, "it fell silent and its successor is here")

    def leave(self, session: Session) -> None:
        """A member says goodbye."""
        self._forget(session)
        self._handle(Leave(session.id))

    def end(self, reason: str) -> None:
        """End the lesson for all."""
        self._handle(End(reason))

    async def drained(self) -> None:
        """Wait until an ended lesson's journal is on disk and its last words are said."""
        if self._recorded is not None:
            await asyncio.wait([self._recorded])
        if self._farewells:
            await asyncio.sleep(GOODBYE)

    def summary(self) -> dict[str, object]:
        """What /api/lessons says of it."""
        publications = self.lesson.publications.values()
        return {
            "lesson": self.lesson.name,
            "title": self.lesson.name,
            "id": self.lesson.id,
            "started_at": self.started_at,
            "schools": self.lesson.seated,
            "tracks": [
                {"kind": p.track.kind, "source": p.track.source, "codec": p.track.codec}
                for p in publications
                if p.track.uptrack in self._flowing
            ],
            "recording": self._recording.state if self._recording is not None else "off",
        }

    # --- SessionHandler

    def on_connected(self, session: Session) -> None:
        """The first moment that media can flow: tracks are bound before any packet comes."""
        if session.role is Role.TEACHER:
            self._delivery.publish([track.uptrack for track in session.tracks])
            self._handle(Published(session.id, tuple(session.tracks)))
        else:
            self._delivery.add(session)
            self._handle(Watching(session.id, tuple(session.watches)))

    def on_lost(self, session: Session, reason: str) -> None:
        """A connection is gone."""
        logger.info("%s: a %s is gone: %s", self.lesson.name, session.role, reason)
        self._forget(session)
        self._handle(Lost(session.id))

    def on_stream(self, session: Session, uptrack: int) -> None:
        """A published track flows."""
        self._flowing.add(uptrack)

    def on_open(self, session: Session, label: str) -> None:
        """What a viewer was told before it could hear is told again."""
        if label == CONTROL_LABEL:
            self._delivery.say_again(session)

    def on_message(self, session: Session, label: str, message: Message) -> None:
        """What one says, all others who opened that label hear; too much of it is dropped."""
        if label == CONTROL_LABEL or not self._allowances[session.id].take(self._loop.time()):
            return
        for other in self.sessions.values():
            if other is not session:
                other.send(label, message)

    # --- the lesson

    def _seat(
        self, identity: str, role: Role, offer: Offer, intents: list[Intent], site: str = ""
    ) -> Session:
        media, name, now = self._config.media, self.lesson.name, self._loop.time()
        session = Session(media, offer, intents, self, role=role, stream=name, site=site, now=now)
        try:
            effects = self.lesson.handle(Join(session.id, identity, role), now)
        except LessonError:
            session.close()
            raise
        self.sessions[session.id] = session
        self._allowances[session.id] = Allowance(RELAY_RATE, RELAY_BURST, now)
        self._carry_out(effects)
        return session

    def _silent(self, session: Session) -> bool:
        if self._loop.time() - session.created_at < SILENT_AFTER:
            return False
        own = {track.uptrack for track in session.tracks}
        idle = [
            float(row.get("idle_ms", math.inf))  # none before the first packet
            for row in self._engine.stats().uptracks
            if row.get("id") in own
        ]
        return not session.connected or (bool(idle) and min(idle) >= SILENT_AFTER * 1000)

    def _forget(self, session: Session) -> None:
        if farewell := self._farewells.pop(session.id, None):
            farewell.cancel()
        self.sessions.pop(session.id, None)
        self._allowances.pop(session.id, None)
        self._delivery.remove(session)
        self._delivery.withdraw([track.uptrack for track in session.tracks])
        self._flowing.difference_update(track.uptrack for track in session.tracks)
        session.close()

    def _handle(self, event: Event) -> None:
        """An event of our own making: one that comes too late is no error."""
        try:
            effects = self.lesson.handle(event, self._loop.time())
        except LessonError as error:
            logger.debug("%s: %s came too late: %s", self.lesson.name, event, error)
            return
        self._carry_out(effects)

    def _carry_out(self, effects: list[Effect]) -> None:
        self._delivery.feed((e.downtrack, e.uptrack) for e in effects if isinstance(e, Feed))
        for effect in effects:
            try:
                self._do(effect)
            except Exception:
                logger.exception("%s: %s failed", self.lesson.name, effect)

    def _do(self, effect: Effect) -> None:
        match effect:
            case StartRecording():
                self._start_recording()
            case Note(event):
                self._note(event)
            case Record(number, track):
                if self._recording is not None:
                    self._recording.record(number, track.uptrack)
            case StopRecording():
                self._stop_recording()
            case Feed(downtrack, uptrack):
                self._feed(downtrack, uptrack)
            case Notify(session_id, message):
                self.sessions[session_id].notify(CONTROL_LABEL, message)
            case Disconnect(session_id):
                self._say_farewell(session_id)
            case WakeAt(time):
                self._wake_at(time)
            case Over():
                self._over()

    def _start_recording(self) -> None:
        if self._config.lessons_dir is not None:
            folder = self._config.lessons_dir / self.lesson.id / "journal"
            self._recording = Recording(self._engine, folder)

    def _note(self, event: Mapping[str, Any]) -> None:
        if self._recording is not None:
            self._recording.note(event)

    def _stop_recording(self) -> None:
        if self._recording is not None:
            self._recorded = self._loop.create_task(self._recording.stop())

    def _feed(self, downtrack: int, uptrack: int | None) -> None:
        self._engine.set_source(downtrack, uptrack)
        if uptrack is not None and self.lesson.publications[uptrack].track.kind == "video":
            self._engine.request_keyframe(uptrack)

    def _say_farewell(self, session_id: str) -> None:
        """Close a connection after what was said on it had time to arrive."""
        session = self.sessions[session_id]
        self._farewells[session_id] = self._loop.call_later(GOODBYE, self._forget, session)

    def _wake_at(self, time: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._loop.call_at(time, self._handle, Tick())

    def _over(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._on_over(self)
