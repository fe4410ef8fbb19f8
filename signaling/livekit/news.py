"""People in a lesson, and what one moment's news of them is to each. Pure.

A message is serialised once for all who are told the same: those who are told of everybody, those
who are told of whoever is `wide`, and a few for whom it must be made apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from livekit.protocol import models

from signaling.events import STAFF, Member
from signaling.livekit import messages


class Recipient(Protocol):
    """A participant's signalling connection."""

    def send(self, raw: bytes) -> None:
        """Queue one serialised SignalResponse; never waits."""


@dataclass(slots=True)
class Person:
    """A member, as it is shown, and what it is told."""

    member: Member
    info: models.ParticipantInfo
    recipient: Recipient | None = None
    wide: bool = False
    """Whether everybody was told of it."""
    full: bool = False
    """Whether it was told of everybody."""
    joined: bool = False
    """Whether the world outside was told that it joined."""

    @property
    def hidden(self) -> bool:
        """Whether others are not told of it."""
        return self.member.grants.hidden

    @property
    def staff(self) -> bool:
        """Whether it has authority over others."""
        return self.member.role in STAFF


class News:
    """One tick's update: for those told of everybody, for all others, and the odd ones out."""

    def __init__(self, gone: list[Person], changed: list[Person]) -> None:
        self._gone = gone
        self._changed = changed
        self._gone_identities = {person.member.identity for person in gone}
        self._apart = {person.member.session for person in changed if not person.wide}
        shown = [person for person in changed if not person.hidden]
        self._full = _told(gone, shown)
        wide = [p for p in gone if p.wide], [p for p in shown if p.wide]
        self._wide = self._full if wide == (gone, shown) else _told(*wide)

    def for_(self, person: Person) -> bytes:
        """What this participant is told; b"" for nothing."""
        if person.member.identity in self._gone_identities:
            # Its own identity left with an earlier session: it must not take that for itself.
            gone = [p for p in self._gone if p.member.identity != person.member.identity]
            return _told(gone, self._shown_to(person))
        if person.member.session in self._apart and not (person.full and not person.hidden):
            return _told([p for p in self._gone if p.wide or person.full], self._shown_to(person))
        return self._full if person.full else self._wide

    def _shown_to(self, person: Person) -> list[Person]:
        return [
            other
            for other in self._changed
            if other is person or (not other.hidden and (person.full or other.wide))
        ]


def _told(gone: Sequence[Person], changed: Sequence[Person]) -> bytes:
    people = [person.info for person in (*gone, *changed)]
    return messages.update(people) if people else b""
