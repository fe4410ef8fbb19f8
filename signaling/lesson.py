"""A lesson's state, as a table of transitions. Pure: `handle(event, now) -> effects`.

The phases, and what leads from one to the next::

    WAITING ──Published──> LIVE ──Lost(teacher)──> LINGERING ──Tick(deadline)──> ENDED
       │                    │ <───Published────────────┘                           ^
       └──Lost/Leave────────┴──Leave(teacher), End─────────────────────────────────┘

An event that the table or a rule does not allow raises a `LessonError` and changes nothing. What
must happen outside comes back as effects, to be carried out in order (see `classroom.py`).

`now` is in seconds of any steady clock. Sessions, downtracks and uptracks are names given by the
caller; the lesson only compares them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

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
from signaling.errors import IllegalEvent, LessonFull, NotLive, TeacherPresent
from signaling.events import (
    End,
    Event,
    Join,
    Leave,
    Lost,
    Published,
    Role,
    Tick,
    Track,
    Unpublished,
    Watch,
    Watching,
)


class Phase(StrEnum):
    """Where a lesson stands."""

    WAITING = "waiting"
    """A teacher has a seat, but is not connected yet; nothing is recorded."""
    LIVE = "live"
    LINGERING = "lingering"
    """The teacher's connection is lost; the schools wait."""
    ENDED = "ended"


# What each role may publish. Whoever else is ever given the floor gets it here.
MAY_PUBLISH: Mapping[Role, frozenset[str]] = {
    Role.TEACHER: frozenset({"microphone", "camera", "slides"}),
    Role.SCHOOL: frozenset(),
    Role.ASSISTANT: frozenset(),
    Role.OBSERVER: frozenset(),
    Role.RECORDER: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Rules:
    """What an operator may set."""

    linger: float = 30.0
    """Seconds a lesson waits for a teacher whose connection is lost."""
    max_schools: int = 500


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in the lesson, by one connection."""

    session: str
    identity: str
    role: Role


@dataclass(frozen=True, slots=True)
class Publication:
    """A track in the lesson: its number in the journal, and whose it is."""

    number: int
    session: str
    track: Track


class Lesson:
    """One lesson, from the teacher's first connection to its end."""

    def __init__(self, name: str, lesson_id: str, rules: Rules) -> None:
        self.name = name
        self.id = lesson_id
        self.rules = rules
        self.phase = Phase.WAITING
        self.members: dict[str, Member] = {}
        self.publications: dict[int, Publication] = {}
        """By uptrack."""
        self.watches: dict[int, Watch] = {}
        """By downtrack."""
        self._watches_of: dict[str, tuple[Watch, ...]] = {}  # by session: leaving must be cheap
        self._teacher: Member | None = None
        self._owner: str | None = None  # the teacher's identity, also while its connection is lost
        self._deadline = 0.0
        self._next_number = 1

    @property
    def teacher(self) -> Member | None:
        """The connected (or connecting) teacher."""
        return self._teacher

    @property
    def schools(self) -> list[Member]:
        """Everybody who watches."""
        return [m for m in self.members.values() if m.role is Role.SCHOOL]

    @property
    def seated(self) -> int:
        """How many schools there are: asked at every join, so it must not count them."""
        return len(self.members) - (self._teacher is not None)

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Apply an event; the effects are to be carried out in order. Raises LessonError."""
        handler = _TABLE[self.phase].get(type(event))
        if handler is None:
            if isinstance(event, Join):
                raise NotLive("Nobody is teaching in this lesson now.")
            raise IllegalEvent(f"{type(event).__name__} is not possible: it is {self.phase}.")
        return list(handler(self, event, now))

    # --- handlers: every check first, then every change

    def _join(self, event: Join, now: float) -> Iterable[Effect]:
        if event.session in self.members:
            raise IllegalEvent("This session has joined already.")
        if event.role is Role.TEACHER:
            self._admit_teacher(event)
            self._deadline = now + self.rules.linger  # while lingering: time to connect
        else:
            self._admit_school()
        member = self.members[event.session] = Member(event.session, event.identity, event.role)
        if event.role is Role.TEACHER:
            self._teacher = member
        if self.phase is Phase.WAITING:
            return []
        effects: list[Effect] = [Note(_joined(member))]
        if event.role is Role.TEACHER:
            effects.append(WakeAt(self._deadline))
        return effects

    def _admit_teacher(self, event: Join) -> None:
        if self._teacher is not None or self._owner not in (None, event.identity):
            raise TeacherPresent("This lesson has a teacher already.")
        self._owner = event.identity

    def _admit_school(self) -> None:
        if self.phase is Phase.WAITING:
            raise NotLive("Nobody is teaching in this lesson now.")
        if self.seated >= self.rules.max_schools:
            raise LessonFull(f"This lesson is full: {self.rules.max_schools} schools are in it.")

    def _begin(self, event: Published, now: float) -> Iterable[Effect]:
        """The teacher is connected for the first time: the lesson starts, and its recording."""
        self._check_publisher(event)
        self.phase = Phase.LIVE
        started = {"type": "lesson_started", "lesson": self.name, "title": self.name, "id": self.id}
        joined = [Note(_joined(member)) for member in self.members.values()]
        return [StartRecording(), Note(started), *joined, *self._publish(event)]

    def _resume(self, event: Published, now: float) -> Iterable[Effect]:
        """The teacher is back."""
        self._check_publisher(event)
        self.phase = Phase.LIVE
        return self._publish(event)

    def _check_publisher(self, event: Published) -> None:
        member = self._member(event.session)
        if not {track.source for track in event.tracks} <= MAY_PUBLISH[member.role]:
            raise IllegalEvent(f"A {member.role} may not publish this.")
        taken = {publication.track.source for publication in self.publications.values()}
        sources = [track.source for track in event.tracks]
        if not sources or len(set(sources)) < len(sources) or taken.intersection(sources):
            raise IllegalEvent("There is nothing new to publish.")
        if any(track.uptrack in self.publications for track in event.tracks):
            raise IllegalEvent("This track is published already.")

    def _publish(self, event: Published) -> list[Effect]:
        effects: list[Effect] = []
        for track in event.tracks:
            publication = Publication(self._next_number, event.session, track)
            self._next_number += 1
            self.publications[track.uptrack] = publication
            # The note first: whoever reads the journal knows a track before its frames.
            effects += [Note(_published(publication)), Record(publication.number, track)]
        for watch in self.watches.values():
            effects += [
                Feed(watch.downtrack, track.uptrack) for track in event.tracks if watch.takes(track)
            ]
        return effects

    def _unpublish(self, event: Unpublished, now: float) -> Iterable[Effect]:
        publication = self.publications.get(event.uptrack)
        if publication is None or publication.session != event.session:
            raise IllegalEvent("This track is not published by this session.")
        return self._withdraw([publication])

    def _withdraw(self, publications: Iterable[Publication]) -> list[Effect]:
        effects: list[Effect] = []
        for publication in publications:
            del self.publications[publication.track.uptrack]
            effects.append(Note({"type": "track_unpublished", "track": publication.number}))
            effects += [
                Feed(watch.downtrack, None)
                for watch in self.watches.values()
                if watch.takes(publication.track)
            ]
        return effects

    def _watch(self, event: Watching, now: float) -> Iterable[Effect]:
        self._member(event.session)
        if any(w.session != event.session or w.downtrack in self.watches for w in event.watches):
            raise IllegalEvent("These downtracks are not this session's own new ones.")
        self.watches.update({watch.downtrack: watch for watch in event.watches})
        earlier = self._watches_of.get(event.session, ())
        self._watches_of[event.session] = (*earlier, *event.watches)
        return [
            Feed(watch.downtrack, publication.track.uptrack)
            for watch in event.watches
            for publication in self.publications.values()
            if watch.takes(publication.track)
        ]

    def _leave(self, event: Leave, now: float) -> Iterable[Effect]:
        member = self._member(event.session)
        effects = self._remove(member)
        return [*effects, *self._finish("teacher")] if member.role is Role.TEACHER else effects

    def _lost(self, event: Lost, now: float) -> Iterable[Effect]:
        member = self._member(event.session)
        effects = self._remove(member)
        if member.role is not Role.TEACHER:
            return effects
        if self.phase is Phase.WAITING:
            return [*effects, *self._finish("linger")]
        if self.phase is Phase.LIVE:
            self.phase = Phase.LINGERING
            self._deadline = now + self.rules.linger
            effects.append(WakeAt(self._deadline))
        return effects

    def _remove(self, member: Member) -> list[Effect]:
        """Take a member out with all it has; nothing of it stays behind."""
        own = [p for p in self.publications.values() if p.session == member.session]
        effects = self._withdraw(own)
        for watch in self._watches_of.pop(member.session, ()):
            del self.watches[watch.downtrack]
        del self.members[member.session]
        if member is self._teacher:
            self._teacher = None
        if self.phase is not Phase.WAITING:
            left = {"type": "member_left", "identity": member.identity, "role": str(member.role)}
            effects.append(Note(left))
        return effects

    def _tick(self, event: Tick, now: float) -> Iterable[Effect]:
        return self._finish("linger") if now >= self._deadline else []

    def _end(self, event: End, now: float) -> Iterable[Effect]:
        return self._finish(event.reason)

    def _finish(self, reason: str) -> list[Effect]:
        effects: list[Effect] = []
        if self.phase is not Phase.WAITING:
            effects += [Note({"type": "lesson_ended", "reason": reason}), StopRecording()]
        effects += [Notify(member.session, {"type": "ended"}) for member in self.schools]
        effects += [Disconnect(session) for session in self.members]
        effects.append(Over())
        self.phase = Phase.ENDED
        self.members.clear()
        self.publications.clear()
        self.watches.clear()
        self._watches_of.clear()
        self._teacher = None
        return effects

    def _nothing(self, event: Event, now: float) -> Iterable[Effect]:
        return []

    def _member(self, session: str) -> Member:
        member = self.members.get(session)
        if member is None:
            raise IllegalEvent("This session is not in the lesson.")
        return member


def _joined(member: Member) -> Mapping[str, Any]:
    return {"type": "member_joined", "identity": member.identity, "role": str(member.role)}


def _published(publication: Publication) -> Mapping[str, Any]:
    track = publication.track
    return {
        "type": "track_published",
        "track": publication.number,
        "kind": track.kind,
        "source": track.source,
        "codec": track.codec,
        "clock_rate": track.clock_rate,
        "parameters": dict(track.parameters),
    }


_Handler = Callable[[Lesson, Any, float], Iterable[Effect]]

_ANY_TIME: dict[type[Event], _Handler] = {
    Join: Lesson._join,
    Leave: Lesson._leave,
    Lost: Lesson._lost,
    End: Lesson._end,
    Tick: Lesson._nothing,
}
_TABLE: Mapping[Phase, Mapping[type[Event], _Handler]] = {
    Phase.WAITING: {**_ANY_TIME, Published: Lesson._begin},
    Phase.LIVE: {
        **_ANY_TIME,
        Published: Lesson._resume,
        Unpublished: Lesson._unpublish,
        Watching: Lesson._watch,
    },
    Phase.LINGERING: {
        **_ANY_TIME,
        Published: Lesson._resume,
        Watching: Lesson._watch,
        Tick: Lesson._tick,
    },
    Phase.ENDED: {},
}
