"""Whose turn it is to join. Pure; `now` is in seconds of any steady clock.

A join is milliseconds of work: offer, answer, DTLS handshake. When a school day begins, thousands
come in the same second; were all taken up at once, each would be slow, and clients would repeat
what they sent and make it worse. So a few are under way at a time, and the others wait:

  teachers before schools, lessons in turn, first come first served within a lesson.

A join is under way from its turn until its handshake is over, or for `patience` seconds: behind
a firewall that lets no UDP through, a whole county's joins would otherwise hold up all others.
Longer than a queue's bound nobody waits: `ask` refuses, and the client tries again.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from enum import Enum, auto

from signaling.errors import Crowded
from signaling.events import Role


@dataclass(frozen=True, slots=True)
class Limits:
    """What an operator may set, and for how long a handshake counts."""

    at_once: int = 100
    """Joins under way. At 0.25 s each, over the Internet, this is 400 joins a second."""
    waiting: int = 2_000
    waiting_per_lesson: int = 1_000
    patience: float = 2.0
    """Seconds: twice DTLS's first retransmission (RFC 6347, section 4.2.4.1)."""


class Stage(Enum):
    """How far a join has come."""

    WAITING = auto()
    UNDER_WAY = auto()
    OVER = auto()


@dataclass(eq=False, slots=True)
class Ticket:
    """One join."""

    lesson: str
    role: Role
    stage: Stage = Stage.WAITING


@dataclass(slots=True)
class Counts:
    """What has happened, for `/api/stats`."""

    under_way: int = 0
    waiting: int = 0
    admitted: int = 0
    refused: int = 0
    abandoned: int = 0
    """Left the queue before their turn."""
    overdue: int = 0
    """Handshakes that lost their place to others, though they may still succeed."""


class Admission:
    """The queue of joins. After every call, `poll` tells whose turn has come."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._teachers = _Line()
        self._schools = _Line()
        self._under_way: OrderedDict[Ticket, float] = OrderedDict()  # by deadline
        self._counts = Counts()

    @property
    def counts(self) -> Counts:
        """A snapshot."""
        waiting = self._teachers.length + self._schools.length
        return replace(self._counts, under_way=len(self._under_way), waiting=waiting)

    def ask(self, lesson: str, role: Role) -> Ticket:
        """Queue for a join. Raises Crowded."""
        ticket = Ticket(lesson, role)
        try:
            self._line(ticket).join(ticket, self._limits)
        except Crowded:
            self._counts.refused += 1
            raise
        return ticket

    def release(self, ticket: Ticket) -> None:
        """The handshake is over, or whoever waited has gone. Idempotent."""
        if ticket.stage is Stage.WAITING:
            self._line(ticket).leave(ticket)
            self._counts.abandoned += 1
        self._under_way.pop(ticket, None)
        ticket.stage = Stage.OVER

    def poll(self, now: float) -> list[Ticket]:
        """Those whose turn it is from now on."""
        self._drop_overdue(now)
        called: list[Ticket] = []
        while len(self._under_way) < self._limits.at_once:
            ticket = self._teachers.call() or self._schools.call()
            if ticket is None:
                break
            ticket.stage = Stage.UNDER_WAY
            self._under_way[ticket] = now + self._limits.patience
            called.append(ticket)
        self._counts.admitted += len(called)
        return called

    def poll_at(self) -> float | None:
        """When to `poll` again though nothing has happened; None while nobody waits."""
        if not (self._teachers.length or self._schools.length) or not self._under_way:
            return None
        return next(iter(self._under_way.values()))

    def _line(self, ticket: Ticket) -> "_Line":
        return self._teachers if ticket.role is Role.TEACHER else self._schools

    def _drop_overdue(self, now: float) -> None:
        while self._under_way:
            ticket, deadline = next(iter(self._under_way.items()))
            if deadline > now:
                return
            del self._under_way[ticket]
            self._counts.overdue += 1


class _Line:
    """Those who wait: lessons take turns."""

    def __init__(self) -> None:
        self.length = 0
        self._lessons: OrderedDict[str, OrderedDict[Ticket, None]] = OrderedDict()

    def join(self, ticket: Ticket, limits: Limits) -> None:
        """Stand at the end of one's lesson. Raises Crowded."""
        if self.length >= limits.waiting:
            raise Crowded("Very many are joining lessons just now; try again in a moment.")
        lesson = self._lessons.setdefault(ticket.lesson, OrderedDict())
        if len(lesson) >= limits.waiting_per_lesson:
            raise Crowded("Very many are joining this lesson just now; try again in a moment.")
        lesson[ticket] = None
        self.length += 1

    def leave(self, ticket: Ticket) -> None:
        """Go without having been called."""
        lesson = self._lessons[ticket.lesson]
        del lesson[ticket]
        self.length -= 1
        if not lesson:
            del self._lessons[ticket.lesson]

    def call(self) -> Ticket | None:
        """The next one, of the lesson whose turn it is."""
        if not self._lessons:
            return None
        name, lesson = next(iter(self._lessons.items()))
        ticket, _ = lesson.popitem(last=False)
        self.length -= 1
        if lesson:
            self._lessons.move_to_end(name)
        else:
            del self._lessons[name]
        return ticket
