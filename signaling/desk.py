"""Where WHIP and WHEP clients are seated: an offer in, a session out. One adapter of several.

A WHIP client is the teacher, an assistant whose token says so, or the encoder of a school that has
the floor; a WHEP client a school, or an observer or recorder. What one of them says on a data
channel, all the others hear who opened a channel of that label.
"""

import asyncio
import logging
import math
from collections.abc import Callable

from sfu.datachannel import Message
from sfu.negotiation import Offer
from signaling.allowance import Allowance
from signaling.auth import Permissions
from signaling.classroom import Classroom
from signaling.effects import Departed, Disconnect, Effect, Over
from signaling.errors import LessonError, NotPermitted
from signaling.events import (
    CAMERA,
    SLIDES,
    SPOKEN,
    GrantFloor,
    Join,
    Published,
    Role,
    Watching,
    Whose,
)
from signaling.grants import grants_of
from signaling.plan import Intent, plan_publish, plan_watch
from signaling.registry import Registry
from signaling.seat import CONTROL_LABEL
from signaling.session import Session

logger = logging.getLogger(__name__)

RELAY_RATE, RELAY_BURST = 20.0, 50
"""Messages a second that one member may send to all others; SCTP in Python costs 0.2 ms each."""
SILENT_AFTER = 5.0
"""Seconds without a packet after which a teacher's new connection may replace the old one."""
CHAT_LABEL = "chat"
"""The data channel of which what is written goes into the journal."""
_SPOKEN_IN = "VP8"
"""What LiveKit's clients publish in unless they are told otherwise: so will whoever gets the floor
after a viewer has come, who cannot be told of another codec then."""


class Desk:
    """The WHIP and WHEP clients of one lesson."""

    def __init__(self, classroom: Classroom, on_over: Callable[[Classroom], None]) -> None:
        self._classroom = classroom
        self._on_over = on_over
        self._loop = asyncio.get_running_loop()
        self._allowances: dict[str, Allowance] = {}
        classroom.add_listener(self)

    # --- what the HTTP side asks

    def teach(self, who: Permissions, offer: Offer) -> Session:
        """Seat the teacher, or an assistant. Raises NegotiationError, LessonError."""
        allowed = grants_of(who).publish
        intents = plan_publish(offer, self._classroom.config.video_codecs, allowed)
        assists = who.attributes.get("role") == Role.ASSISTANT
        role = Role.ASSISTANT if assists else Role.TEACHER
        return self._seat(Role.TEACHER, role, who, offer, intents)

    def has_floor(self, who: Permissions) -> bool:
        """Whether the bearer has the floor, by whatever seat."""
        lesson = self._classroom.lesson
        holder = lesson.members.get(lesson.floor.holder or "")
        return holder is not None and holder.identity == who.identity

    def speak(self, who: Permissions, offer: Offer) -> Session:
        """Seat the encoder of a school that has the floor: the floor goes with it.

        Raises NegotiationError, LessonError.
        """
        if not self.has_floor(who):
            raise NotPermitted("This school does not have the floor.")
        intents = plan_publish(offer, self._classroom.config.video_codecs, SPOKEN)
        session = self._seat(Role.TEACHER, Role.SCHOOL, who, offer, intents)
        self._classroom.handle(GrantFloor(None, session.id))
        return session

    def watch(self, who: Permissions, offer: Offer) -> Session:
        """Seat a school. Raises NegotiationError, LessonError."""
        intents = plan_watch(offer, self._codecs(), self._classroom.config.video_codecs)
        role = Role(who.role)
        role = role if role in (Role.OBSERVER, Role.RECORDER) else Role.SCHOOL
        return self._seat(Role.SCHOOL, role, who, offer, intents)

    def find(self, session_id: str) -> Session | None:
        """The session of that id."""
        seat = self._classroom.sessions.get(session_id)
        return seat if isinstance(seat, Session) else None

    def retire_silent_teacher(self) -> None:
        """Drop a teacher whose connection is dead, though nobody said so: a page was reloaded."""
        teacher = self._classroom.lesson.teacher
        session = self.find(teacher.session) if teacher is not None else None
        if session is not None and self._silent(session):
            self.on_lost(session, "it fell silent and its successor is here")

    # --- SessionHandler

    def on_reachable(self, session: Session) -> None:
        """A viewer is about to come."""
        if session.watches and not session.connected:
            self._classroom.freshen()

    def on_connected(self, session: Session) -> None:
        """The first moment that media can flow: tracks are bound before any packet comes."""
        if session.tracks:
            self._classroom.tell(Published(session.id, tuple(session.tracks)))
        if session.watches:
            self._classroom.delivery.add(session)
            self._classroom.tell(Watching(session.id, tuple(session.watches)))

    def on_lost(self, session: Session, reason: str) -> None:
        """A connection is gone."""
        logger.info("%s: a %s is gone: %s", self._classroom.lesson.name, session.role, reason)
        self._classroom.leave(session, lost=True)

    def on_stream(self, session: Session, uptrack: int) -> None:
        """A published track flows."""
        self._classroom.flows(uptrack)

    def on_open(self, session: Session, label: str) -> None:
        """What a viewer was told before it could hear is told again."""
        if label == CONTROL_LABEL:
            self._classroom.delivery.say_again(session)

    def on_message(self, session: Session, label: str, message: Message) -> None:
        """What one says, all others who opened that label hear; too much of it is dropped."""
        allowance = self._allowances.get(session.id)
        if label == CONTROL_LABEL or allowance is None or not allowance.take(self._loop.time()):
            return
        if not self._classroom.lesson.may_send(session.id):
            return
        for other in self._classroom.sessions.values():
            if other is not session and isinstance(other, Session):
                other.send(label, message)
        if label == CHAT_LABEL and isinstance(message, str):
            self._classroom.chat.said(session.id, message)

    # --- Listener

    def on_effect(self, effect: Effect) -> None:
        """Who is no member any more is not heard either."""
        match effect:
            case Departed(member):
                self._allowances.pop(member.session, None)
            case Disconnect(session):
                self._allowances.pop(session, None)
            case Over():
                self._on_over(self._classroom)

    def _seat(
        self, kind: Role, role: Role, who: Permissions, offer: Offer, intents: list[Intent]
    ) -> Session:
        """`kind` is whom the protocol is for, `role` what this client is in the lesson."""
        media, stream = self._classroom.config.media, self._classroom.lesson.name
        site, now = who.site if kind is Role.SCHOOL else "", self._loop.time()
        session = Session(media, offer, intents, self, role=kind, stream=stream, site=site, now=now)
        join = Join(
            session.id,
            who.identity,
            role,
            who.name,
            grants_of(who),
            who.metadata,
            who.attributes,
            waits=role is Role.ASSISTANT,
        )
        try:
            self._classroom.seat(session, join)
        except LessonError:
            session.close()
            raise
        self._allowances[session.id] = Allowance(RELAY_RATE, RELAY_BURST, now)
        return session

    def _codecs(self) -> dict[tuple[Whose, str], str]:
        """The codec of each picture that a viewer may want."""
        wanted = self._classroom.lesson.wanted
        places = [(whose, source) for whose in Whose for source in (CAMERA, SLIDES)]
        found = {place: wanted(*place) for place in places}
        codecs = {place: p.track.codec for place, p in found.items() if p is not None}
        if _SPOKEN_IN in self._classroom.config.video_codecs:
            codecs.setdefault((Whose.FLOOR, CAMERA), _SPOKEN_IN)
        return codecs

    def _silent(self, session: Session) -> bool:
        if self._loop.time() - session.created_at < SILENT_AFTER:
            return False
        own = {track.uptrack for track in session.tracks}
        idle = [
            float(row.get("idle_ms", math.inf))  # none before the first packet
            for row in self._classroom.config.media.engine.stats().uptracks
            if row.get("id") in own
        ]
        return not session.connected or (bool(idle) and min(idle) >= SILENT_AFTER * 1000)


class Desks:
    """A desk for every lesson of the registry."""

    def __init__(self, registry: Registry) -> None:
        self._desks: dict[Classroom, Desk] = {}
        registry.on_open(self._open)

    def of(self, classroom: Classroom) -> Desk:
        """The lesson's desk. Raises KeyError for a lesson that is over."""
        return self._desks[classroom]

    def _open(self, classroom: Classroom) -> None:
        self._desks[classroom] = Desk(classroom, self._close)

    def _close(self, classroom: Classroom) -> None:
        del self._desks[classroom]
