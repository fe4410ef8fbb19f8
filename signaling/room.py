"""Who is in a lesson, and what they do in it, whatever phase the lesson is in. Pure.

`lesson.py` says when a lesson begins and ends; `stage.py` who is fed what. Sessions, downtracks
and uptracks are names given by the caller.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from signaling import notes
from signaling.effects import (
    AudienceChanged,
    Changed,
    Departed,
    Disconnect,
    Effect,
    Note,
    Reason,
    RoomChanged,
)
from signaling.errors import IllegalEvent, LimitExceeded, NotPermitted
from signaling.events import (
    Admit,
    Describe,
    DescribeRoom,
    Event,
    GrantFloor,
    Join,
    LowerHand,
    Member,
    Mute,
    Permit,
    Publication,
    RaiseHand,
    RevokeFloor,
    Role,
    Said,
    Silence,
    Unpublished,
    Unwatched,
    Watching,
)
from signaling.floor import Floor
from signaling.roles import MAY_SPEAK, may_publish, require_authority
from signaling.stage import Stage

MAX_METADATA = 64 * 1024
"""Characters that may be said of a member, or of the room."""
MAX_AUDIENCE = 1_000
"""Identities that a publisher may name as its audience."""


@dataclass(slots=True)
class Room:
    """The members, the floor, and (in `stage`) the media."""

    noted: bool = False
    """Whether there is a journal for notes."""
    metadata: str = ""
    members: dict[str, Member] = field(default_factory=dict)
    """By session."""
    floor: Floor = field(default_factory=Floor)
    teacher: str | None = None
    """The teacher's session, while the teacher has a seat."""
    stage: Stage = field(init=False)
    _sessions: dict[str, dict[str, None]] = field(default_factory=dict)  # by identity
    _roles: Counter[Role] = field(default_factory=Counter)
    _last_number: int = 0

    def __post_init__(self) -> None:
        self.stage = Stage(self.members, self.floor)

    # --- what others ask

    def member(self, session: str) -> Member:
        """Who sits there. Raises IllegalEvent for a stranger."""
        member = self.members.get(session)
        if member is None:
            raise IllegalEvent("This session is not in the lesson.")
        return member

    def under(self, by: str | None, session: str) -> Member:
        """Who sits there. Raises NotPermitted unless `by` (None: the house) may decide over it."""
        member = self.member(session)
        require_authority(None if by is None else self.member(by), member)
        return member

    def count(self, role: Role) -> int:
        """How many members have this role."""
        return self._roles[role]

    def sessions_of(self, identity: str) -> Sequence[str]:
        """The seats of an identity, the oldest first."""
        return tuple(self._sessions.get(identity, ()))

    def may_publish(self, session: str) -> frozenset[str]:
        """The sources that a member may publish now. Raises IllegalEvent for a stranger."""
        return may_publish(self.member(session), floor=self.floor.holder == session)

    def may_prepare(self, session: str) -> frozenset[str]:
        """The sources that a member may get ready to publish: with its hand up, those of the
        floor. What is ready is published when it may be. Raises IllegalEvent for a stranger."""
        near = self.floor.holder == session or self.floor.asks(session)
        return may_publish(self.member(session), floor=near)

    def may_watch(self, session: str, number: int) -> bool:
        """Whether a member may take this publication."""
        publication = self.stage.publication(number)
        return (
            session in self.members
            and publication is not None
            and self.stage.may_watch(session, publication)
        )

    def may_send(self, session: str) -> bool:
        """Whether a member may send messages to others."""
        member = self.members.get(session)
        return member is not None and member.grants.data

    # --- coming and going

    def seat(self, event: Join) -> Member:
        """Give somebody the seat that the lesson's rules allow."""
        self._last_number += 1
        member = Member(
            event.session,
            event.identity,
            event.role,
            event.name,
            event.grants,
            event.metadata,
            dict(event.attributes),
            self._last_number,
        )
        self.members[member.session] = member
        self._sessions.setdefault(member.identity, {})[member.session] = None
        self._roles[member.role] += 1
        if member.role is Role.TEACHER:
            self.teacher = member.session
        return member

    def remove(self, member: Member, reason: Reason) -> list[Effect]:
        """Take a member out with all it has; nothing of it stays behind."""
        session = member.session
        effects = self.stage.withdraw(self.stage.published_by(session), reason)
        self.stage.forget(session)
        room_changed = self.floor.holder == session or self.floor.asks(session)
        self.floor.forget(session)
        del self.members[session]
        del self._sessions[member.identity][session]
        if not self._sessions[member.identity]:
            del self._sessions[member.identity]
        self._roles[member.role] -= 1
        if session == self.teacher:
            self.teacher = None
        effects += self.note("member_left", member)
        effects.append(Departed(member, reason))
        if room_changed:
            effects.append(RoomChanged())
        if reason in (Reason.REMOVED, Reason.DUPLICATE):
            effects.append(Disconnect(session, reason))
        return effects

    def clear(self) -> None:
        """Everybody is gone."""
        self.stage.clear()
        self.floor.clear()
        for held in (self.members, self._sessions, self._roles):
            held.clear()
        self.teacher = None

    def handle(self, event: Event) -> list[Effect]:
        """Apply one of `HANDLED`. Raises LessonError."""
        return list(_TABLE[type(event)](self, event))

    # --- media

    def _unpublish(self, event: Unpublished) -> Iterable[Effect]:
        publication = self._own_publication(event.session, event.uptrack)
        return self.stage.withdraw([publication], Reason.UNPUBLISHED)

    def _watch(self, event: Watching) -> Iterable[Effect]:
        self.member(event.session)
        self.stage.check_watching(event)
        return self.stage.watch(event)

    def _unwatch(self, event: Unwatched) -> Iterable[Effect]:
        self.stage.check_unwatched(event.session, event.downtracks)
        return self.stage.unwatch(dict.fromkeys(event.downtracks))

    def _mute(self, event: Mute) -> Iterable[Effect]:
        publication = self._own_publication(event.session, event.uptrack)
        silenced = publication.silenced and event.muted  # who unmutes itself is heard again
        return self.stage.mute(publication, muted=event.muted, silenced=silenced)

    def _silence(self, event: Silence) -> Iterable[Effect]:
        publication = self.stage.publication(event.number)
        if publication is None:
            raise IllegalEvent("This track is not published.")
        self.under(event.by, publication.session)
        return self.stage.mute(publication, muted=publication.muted, silenced=event.silenced)

    def _admit(self, event: Admit) -> Iterable[Effect]:
        self.member(event.session)
        if len(event.audience.identities) > MAX_AUDIENCE:
            raise LimitExceeded(f"A publisher may name {MAX_AUDIENCE} subscribers.")
        refed = self.stage.admit(event.session, event.audience)
        return [*refed, AudienceChanged(event.session)]

    def _said(self, event: Said) -> Iterable[Effect]:
        member = self.member(event.session)
        if not member.grants.data:
            raise NotPermitted(f"This {member.role} may not write to others.")
        return [Note(notes.chat(member, event))] if self.noted else []

    # --- the floor

    def _raise_hand(self, event: RaiseHand) -> Iterable[Effect]:
        member = self.member(event.session)
        if member.role not in MAY_SPEAK:
            raise NotPermitted(f"This {member.role} cannot ask for the floor.")
        if self.floor.holder == event.session:
            raise IllegalEvent("This member has the floor already.")
        if self.floor.asks(event.session):
            return []
        self.floor.raise_hand(event.session)
        return [*self.note("hand_raised", member), Changed(member), RoomChanged()]

    def _lower_hand(self, event: LowerHand) -> Iterable[Effect]:
        member = self.member(event.session)
        if event.by != event.session:
            self.under(event.by, event.session)
        if not self.floor.asks(event.session):
            return []
        self.floor.lower_hand(event.session)
        return [*self.note("hand_lowered", member), Changed(member), RoomChanged()]

    def _grant_floor(self, event: GrantFloor) -> Iterable[Effect]:
        member = self.under(event.by, event.session)
        if member.role not in MAY_SPEAK:
            raise NotPermitted(f"The floor is not for the {member.role}.")
        if self.floor.holder == event.session:
            return []
        effects = self._free_floor()
        self.floor.give(event.session)
        effects += self.note("floor_granted", member)
        return [*effects, *self.stage.refeed_floor(), Changed(member), RoomChanged()]

    def _revoke_floor(self, event: RevokeFloor) -> Iterable[Effect]:
        if event.by is None or event.by != self.floor.holder:
            self._require_authority(event.by)
        if self.floor.holder is None:
            raise IllegalEvent("Nobody has the floor.")
        return [*self._free_floor(), RoomChanged()]

    def _free_floor(self) -> list[Effect]:
        """Take the floor from whoever has it, with what only the floor allowed to publish."""
        if self.floor.holder is None:
            return []
        member = self.members[self.floor.holder]
        self.floor.free()
        effects = [*self._withdraw_forbidden(member), *self.stage.refeed_floor()]
        return [*effects, *self.note("floor_freed", member), Changed(member)]

    # --- what is said of members, and what they may do

    def _permit(self, event: Permit) -> Iterable[Effect]:
        before = self.under(event.by, event.session)
        if event.by == event.session:
            raise NotPermitted("Nobody may give itself permissions.")
        role = before.role if event.role is None else event.role
        if role is not before.role and Role.TEACHER in (role, before.role):
            raise NotPermitted("Who teaches does not change while the lesson goes on.")
        member = replace(before, role=role, grants=event.grants)
        self.members[event.session] = member
        self._roles[before.role] -= 1
        self._roles[role] += 1
        effects: list[Effect] = []
        if role not in MAY_SPEAK:
            effects += self._silence_speaker(member)
        effects += self._withdraw_forbidden(member)
        effects += self.stage.refeed_publisher(event.session)
        effects += self.stage.refeed_viewer(event.session)
        return [*effects, *self.note("member_changed", member), Changed(member)]

    def _silence_speaker(self, member: Member) -> list[Effect]:
        """Take the floor, or the wish for it, from who may not have it any more."""
        had_floor = self.floor.holder == member.session
        if not had_floor and not self.floor.asks(member.session):
            return []
        self.floor.forget(member.session)
        freed = self.note("floor_freed" if had_floor else "hand_lowered", member)
        return [
            *self._withdraw_forbidden(member),
            *self.stage.refeed_floor(),
            *freed,
            RoomChanged(),
        ]

    def _withdraw_forbidden(self, member: Member) -> list[Effect]:
        allowed = self.may_publish(member.session)
        own = self.stage.published_by(member.session)
        forbidden = [p for p in own if p.track.source not in allowed]
        return self.stage.withdraw(forbidden, Reason.FORBIDDEN)

    def _describe(self, event: Describe) -> Iterable[Effect]:
        before = self.member(event.session)
        if event.by != event.session or not before.grants.metadata:
            self.under(event.by, event.session)
        attributes = {**before.attributes, **event.attributes}
        member = replace(
            before,
            name=before.name if event.name is None else event.name,
            metadata=before.metadata if event.metadata is None else event.metadata,
            attributes={key: value for key, value in attributes.items() if value},
        )
        check_size(member.name, member.metadata, member.attributes)
        self.members[event.session] = member
        return [Changed(member)] if member != before else []

    def _describe_room(self, event: DescribeRoom) -> Iterable[Effect]:
        self._require_authority(event.by)
        check_size(event.metadata)
        changed, self.metadata = event.metadata != self.metadata, event.metadata
        return [*self.describe(), RoomChanged()] if changed else []

    # --- helpers

    def describe(self) -> list[Effect]:
        """A note of what the metadata says of the lesson, when there is a journal."""
        described = notes.lesson_described(self.metadata) if self.noted else None
        return [Note(described)] if described is not None else []

    def note(self, kind: str, member: Member) -> list[Effect]:
        """A note of a member, when there is a journal."""
        return [Note(notes.of_member(kind, member))] if self.noted else []

    def _require_authority(self, by: str | None) -> None:
        require_authority(None if by is None else self.member(by))

    def _own_publication(self, session: str, uptrack: int) -> Publication:
        publication = self.stage.publications.get(uptrack)
        if publication is None or publication.session != session:
            raise IllegalEvent("This track is not published by this session.")
        return publication


def check_size(name: str = "", metadata: str = "", attributes: Mapping[str, str] = {}) -> None:
    """Raise LimitExceeded when more is said of somebody than others should have to carry."""
    said = sum(len(key) + len(value) for key, value in attributes.items())
    if max(len(name), len(metadata), said) > MAX_METADATA:
        raise LimitExceeded(f"No more than {MAX_METADATA // 1024} KiB may be said of it.")


_Handler = Callable[[Room, Any], Iterable[Effect]]
_TABLE: Mapping[type[Event], _Handler] = {
    Unpublished: Room._unpublish,
    Watching: Room._watch,
    Unwatched: Room._unwatch,
    Mute: Room._mute,
    Silence: Room._silence,
    Admit: Room._admit,
    Said: Room._said,
    RaiseHand: Room._raise_hand,
    LowerHand: Room._lower_hand,
    GrantFloor: Room._grant_floor,
    RevokeFloor: Room._revoke_floor,
    Permit: Room._permit,
    Describe: Room._describe,
    DescribeRoom: Room._describe_room,
}
HANDLED = tuple(_TABLE)
"""The events that mean the same in every phase of a lesson."""
