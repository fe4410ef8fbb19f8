"""A lesson's state, as a table of transitions. Pure: `handle(event, now) -> effects`.

The phases, and what leads from one to the next::

    WAITING ──Published──> LIVE ──nobody gives it──> LINGERING ──Tick(deadline)──> ENDED
       │                    │ <──Published(teacher), Join─┘                          ^
       └──nobody is in it───┴──Leave(teacher), End───────────────────────────────────┘

A lesson that has had a teacher is given by that teacher; another one by whoever is in it.

An event that the table or a rule does not allow raises a `LessonError` and changes nothing. What
must happen outside comes back as effects, to be carried out in order (see `classroom.py`).

Nothing here costs more for more members but what must: who joins or leaves is told of once, and
only those are fed anew who want what has changed (`stage.py`).

`now` is in seconds of any steady clock. Sessions, downtracks and uptracks are names given by the
caller; the lesson only compares them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from signaling import notes
from signaling.effects import (
    Arrived,
    Disconnect,
    Effect,
    Note,
    Notify,
    Over,
    Reason,
    StartRecording,
    StopRecording,
    WakeAt,
)
from signaling.errors import (
    IllegalEvent,
    LessonFull,
    NotLive,
    TeacherPresent,
)
from signaling.events import (
    End,
    Event,
    Join,
    Keep,
    Leave,
    Lost,
    Member,
    Publication,
    Published,
    Remove,
    Role,
    Tick,
    Watch,
    Whose,
)
from signaling.floor import Floor
from signaling.room import HANDLED, Room, check_size


class Phase(StrEnum):
    """Where a lesson stands."""

    WAITING = "waiting"
    """Somebody has a seat, but nothing is published yet, and nothing is recorded."""
    LIVE = "live"
    LINGERING = "lingering"
    """The teacher is lost, or all are; who is there waits."""
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Rules:
    """What an operator may set."""

    linger: float = 30.0
    """Seconds a lesson waits for a teacher whose connection is lost."""
    max_schools: int = 500
    """Seats, the teacher's not counted."""


class Lesson:
    """One lesson, from its first member to its end."""

    def __init__(self, name: str, lesson_id: str, rules: Rules) -> None:
        self.name = name
        self.id = lesson_id
        self.rules = rules
        self.phase = Phase.WAITING
        self.room = Room()
        self._owner: str | None = None  # the teacher's identity, also while its connection is lost
        self._deadline = 0.0

    # --- what others ask

    @property
    def metadata(self) -> str:
        """The room's."""
        return self.room.metadata

    @property
    def members(self) -> Mapping[str, Member]:
        """By session."""
        return self.room.members

    @property
    def floor(self) -> Floor:
        """Who has it, and who asks for it."""
        return self.room.floor

    @property
    def publications(self) -> Mapping[int, Publication]:
        """By uptrack."""
        return self.room.stage.publications

    @property
    def watches(self) -> Mapping[int, Watch]:
        """By downtrack."""
        return self.room.stage.watches

    @property
    def teacher(self) -> Member | None:
        """The connected (or connecting) teacher."""
        session = self.room.teacher
        return None if session is None else self.members[session]

    @property
    def schools(self) -> list[Member]:
        """Those members."""
        return [m for m in self.members.values() if m.role is Role.SCHOOL]

    @property
    def seated(self) -> int:
        """How many there are besides the teacher: asked at every join, so it must not count."""
        return len(self.members) - (self.room.teacher is not None)

    @property
    def kept(self) -> bool:
        """Whether it waits for its first member because somebody prepared it."""
        return self.phase is Phase.WAITING and self._deadline > 0

    def count(self, role: Role) -> int:
        """How many members have this role."""
        return self.room.count(role)

    def sessions_of(self, identity: str) -> Sequence[str]:
        """The seats of an identity, the oldest first."""
        return self.room.sessions_of(identity)

    def publication(self, number: int) -> Publication | None:
        """The publication of that number, while there is one."""
        return self.room.stage.publication(number)

    def published_by(self, session: str) -> Sequence[Publication]:
        """What a member publishes."""
        return self.room.stage.published_by(session)

    def wanted(self, whose: Whose, source: str) -> Publication | None:
        """What there is now of somebody's source."""
        return self.room.stage.wanted((whose, source))

    def fed(self, downtrack: int) -> Publication | None:
        """What feeds a downtrack now."""
        return self.room.stage.fed(downtrack)

    def may_publish(self, session: str) -> frozenset[str]:
        """The sources that a member may publish now. Raises IllegalEvent for a stranger."""
        return self.room.may_publish(session)

    def may_prepare(self, session: str) -> frozenset[str]:
        """The sources that it may get ready to publish. Raises IllegalEvent for a stranger."""
        return self.room.may_prepare(session)

    def require_free(self, identity: str) -> None:
        """Raise TeacherPresent where the lesson is somebody else's than this teacher's."""
        if self._owner not in (None, identity):
            raise TeacherPresent("This lesson has a teacher already.")

    def may_watch(self, session: str, number: int) -> bool:
        """Whether a member may take this publication."""
        return self.room.may_watch(session, number)

    def may_send(self, session: str) -> bool:
        """Whether a member may send messages to others."""
        return self.room.may_send(session)

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Apply an event; the effects are to be carried out in order. Raises LessonError."""
        handler = _TABLE[self.phase].get(type(event))
        if handler is None:
            if isinstance(event, Join):
                raise NotLive("Nobody is teaching in this lesson now.")
            raise IllegalEvent(f"{type(event).__name__} is not possible: it is {self.phase}.")
        return list(handler(self, event, now))

    # --- coming; as everywhere below: every check first, then every change

    def _join(self, event: Join, now: float) -> Iterable[Effect]:
        if event.session in self.members:
            raise IllegalEvent("This session has joined already.")
        rivals = [self.members[s] for s in self.sessions_of(event.identity) if event.unique]
        if event.role is Role.TEACHER:
            self._admit_teacher(event, rivals)
        else:
            self._admit_other(event, rivals)
        check_size(event.name, event.metadata, event.attributes)
        effects: list[Effect] = []
        for rival in rivals:
            effects += self.room.remove(rival, Reason.DUPLICATE)
        member = self.room.seat(event)
        if member.role is Role.TEACHER:
            self._owner = member.identity
        return [
            *effects,
            *self.room.note("member_joined", member),
            Arrived(member),
            *self._greet(now),
        ]

    def _admit_teacher(self, event: Join, rivals: Sequence[Member]) -> None:
        present = self.teacher
        self.require_free(event.identity)
        if present is not None and present not in rivals:
            raise TeacherPresent("This lesson has a teacher already.")

    def _admit_other(self, event: Join, rivals: Sequence[Member]) -> None:
        if self.phase is Phase.WAITING and not event.waits:
            raise NotLive("Nobody is teaching in this lesson now.")
        leaving = sum(rival.role is not Role.TEACHER for rival in rivals)
        if self.seated - leaving >= self.rules.max_schools:
            raise LessonFull(f"This lesson is full: {self.rules.max_schools} are in it.")

    def _greet(self, now: float) -> list[Effect]:
        """What follows for the lesson from somebody's joining."""
        if self.phase is not Phase.LINGERING:
            return self._settle(now)
        if self._owner is None:
            self.phase = Phase.LIVE
        elif self.room.teacher is not None:  # who has the linger time to connect
            self._deadline = now + self.rules.linger
            return [WakeAt(self._deadline)]
        return []

    # --- going

    def _leave(self, event: Leave, now: float) -> Iterable[Effect]:
        member = self.room.member(event.session)
        effects = self.room.remove(member, Reason.LEFT)
        if member.role is Role.TEACHER:
            return [*effects, *self._finish("teacher")]
        return [*effects, *self._settle(now)]

    def _lost(self, event: Lost, now: float) -> Iterable[Effect]:
        effects = self.room.remove(self.room.member(event.session), Reason.LOST)
        return [*effects, *self._settle(now)]

    def _expel(self, event: Remove, now: float) -> Iterable[Effect]:
        member = self.room.under(event.by, event.session)
        effects = self.room.remove(member, Reason.REMOVED)
        return [*effects, *self._settle(now)]

    def _settle(self, now: float) -> list[Effect]:
        """What follows for the lesson from who is there now."""
        if self._given:
            return []
        if self.phase is Phase.WAITING:
            self._owner = None  # who never taught owns nothing
            if self.members:
                return []
            return self._finish("linger") if now >= self._deadline else []
        if self.phase is Phase.LIVE or now >= self._deadline:
            self.phase = Phase.LINGERING
            self._deadline = now + self.rules.linger
            return [WakeAt(self._deadline)]
        return []

    @property
    def _given(self) -> bool:
        """Whether whoever gives the lesson is there."""
        return self.room.teacher is not None if self._owner is not None else bool(self.members)

    def _keep(self, event: Keep, now: float) -> Iterable[Effect]:
        self._deadline = max(self._deadline, now + event.seconds)
        return [WakeAt(self._deadline)]

    def _tick(self, event: Tick, now: float) -> Iterable[Effect]:
        empty = not self.members if self.phase is Phase.WAITING else not self._given
        return self._finish("linger") if empty and now >= self._deadline else []

    def _end(self, event: End, now: float) -> Iterable[Effect]:
        return self._finish(event.reason)

    def _finish(self, reason: str) -> list[Effect]:
        effects: list[Effect] = []
        if self.phase is not Phase.WAITING:
            effects += [Note(notes.lesson_ended(reason)), StopRecording()]
        others = [session for session in self.members if session != self.room.teacher]
        effects += [Notify(session, {"type": "ended"}) for session in others]
        effects += [Disconnect(session) for session in self.members]
        effects.append(Over())
        self.phase = Phase.ENDED
        self.room.clear()
        return effects

    # --- media

    def _begin(self, event: Published, now: float) -> Iterable[Effect]:
        """The first publication: the lesson starts, and its recording."""
        self.room.stage.check_published(event, self.may_publish(event.session))
        self.phase, self.room.noted = Phase.LIVE, True
        start: list[Effect] = [StartRecording(), Note(notes.lesson_started(self.name, self.id))]
        start += self.room.describe()
        joined = [e for m in self.members.values() for e in self.room.note("member_joined", m)]
        holder = self.members.get(self.floor.holder or "")
        floor = self.room.note("floor_granted", holder) if holder is not None else []
        return [*start, *joined, *floor, *self.room.stage.publish(event)]

    def _publish(self, event: Published, now: float) -> Iterable[Effect]:
        self.room.stage.check_published(event, self.may_publish(event.session))
        if event.session == self.room.teacher:
            self.phase = Phase.LIVE  # the teacher is back
        return self.room.stage.publish(event)

    # --- what is the same in every phase

    def _in_room(self, event: Event, now: float) -> Iterable[Effect]:
        return self.room.handle(event)

    def _nothing(self, event: Event, now: float) -> Iterable[Effect]:
        return []


_Handler = Callable[[Lesson, Any, float], Iterable[Effect]]

_ANY_TIME: dict[type[Event], _Handler] = {
    **dict.fromkeys(HANDLED, Lesson._in_room),
    Join: Lesson._join,
    Leave: Lesson._leave,
    Lost: Lesson._lost,
    Remove: Lesson._expel,
    End: Lesson._end,
    Published: Lesson._publish,
    Keep: Lesson._nothing,
    Tick: Lesson._nothing,
}
_TABLE: Mapping[Phase, Mapping[type[Event], _Handler]] = {
    Phase.WAITING: {
        **_ANY_TIME,
        Published: Lesson._begin,
        Keep: Lesson._keep,
        Tick: Lesson._tick,
    },
    Phase.LIVE: _ANY_TIME,
    Phase.LINGERING: {**_ANY_TIME, Tick: Lesson._tick},
    Phase.ENDED: {},
}
