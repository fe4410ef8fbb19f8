"""Who and what is in a lesson, as LiveKit's clients see it: the lesson's listener.

What happens is gathered for a moment (`TICK`), put into one message, serialised once, and the same
bytes go to everybody. In a large lesson (`CROWD`) schools are not told of each other while they
only listen: they hear of whoever publishes, asks for or has the floor, or has authority, and the
room tells how many they are; so what one participant is told does not grow with how many others
there are. Who has authority is told of everybody. Who was told of somebody is also told when he
leaves.
"""

from collections.abc import Callable

from livekit.protocol import models

from signaling.effects import (
    Announced,
    Arrived,
    Changed,
    Departed,
    Effect,
    Muted,
    Over,
    Reason,
    RoomChanged,
    Withdrawn,
)
from signaling.events import Member, Publication
from signaling.lesson import Lesson
from signaling.livekit import infos, messages
from signaling.livekit.identifiers import new_sid
from signaling.livekit.news import News, Person, Recipient

TICK = 0.03
"""Seconds for which news is gathered."""
ROOM_TICK = 1.0
"""Seconds for which the room's counts are: nobody hurries for them."""
CROWD = 100
"""Participants from which schools are no longer told of schools that only listen."""

CallLater = Callable[[float, Callable[[], None]], object]
Tell = Callable[[str, models.ParticipantInfo | None, models.TrackInfo | None], None]
"""What happened, by its webhook's name, and to whom."""


class Presence:
    """One lesson. `created_at` and what `wall` tells are in Unix seconds; `later` calls back."""

    def __init__(
        self,
        lesson: Lesson,
        *,
        created_at: float,
        wall: Callable[[], float],
        later: CallLater,
        tell: Tell = lambda event, participant, track: None,
    ) -> None:
        self.sid = new_sid("RM_")
        self._lesson = lesson
        self._created_at = created_at
        self._wall = wall
        self._later = later
        self._tell = tell
        self._people: dict[str, Person] = {}
        self._visible = 0
        self._tracks: dict[int, models.TrackInfo] = {}  # by uptrack
        self._publications: dict[str, Publication] = {}  # by track sid
        self._changed: dict[str, None] = {}  # sessions, oldest news first
        self._gone: list[Person] = []
        self._due = False
        self._room_due = False
        self._room_soon = False
        self._started = False

    # --- participants of LiveKit's own kind

    def enter(self, session: str, recipient: Recipient, *, client_protocol: int = 0) -> str:
        """A member listens here from now on; its sid. The lesson has seated it before."""
        person = self._people[session]
        person.recipient = recipient
        person.full = person.full or person.staff
        person.info.state = models.ParticipantInfo.JOINED
        person.info.client_protocol = client_protocol
        return person.info.sid

    def leave(self, session: str) -> None:
        """It no longer listens."""
        if person := self._people.get(session):
            person.recipient = None

    def active(self, session: str) -> None:
        """Its media connection is up."""
        person = self._people.get(session)
        if person is not None and person.info.state != models.ParticipantInfo.ACTIVE:
            person.info.state = models.ParticipantInfo.ACTIVE
            self._note(session)
            self._report_joined(person)

    def describe(self, uptrack: int, info: models.TrackInfo) -> None:
        """How a track's publisher describes it: before the lesson hears of it, or any time."""
        old = self._tracks.get(uptrack)
        self._tracks[uptrack] = info
        publication = self._publications.get(old.sid) if old is not None else None
        if publication is not None:
            self._publications[info.sid] = publication
            self._show_tracks(publication.session)

    # --- what others ask

    def room(self) -> models.Room:
        """The room as it is now."""
        publishers = sum(1 for person in self._people.values() if person.info.tracks)
        return infos.room(
            self._lesson,
            sid=self.sid,
            created_at=self._created_at,
            participants=self._visible,
            publishers=publishers,
        )

    def info(self, session: str) -> models.ParticipantInfo:
        """A participant as it is now; not to be changed. Raises KeyError."""
        return self._people[session].info

    def others(self, session: str) -> list[models.ParticipantInfo]:
        """Whom this participant is told of when it joins, or comes back."""
        full = self._people[session].full
        return [
            person.info
            for key, person in self._people.items()
            if key != session and not person.hidden and (full or person.wide)
        ]

    def everybody(self) -> list[models.ParticipantInfo]:
        """All participants, the hidden ones too: for those with authority over the room."""
        return [person.info for person in self._people.values()]

    def publication(self, track_sid: str) -> Publication | None:
        """What is published under this sid."""
        return self._publications.get(track_sid)

    def track(self, uptrack: int) -> models.TrackInfo | None:
        """How a track is described; not to be changed."""
        return self._tracks.get(uptrack)

    def sees(self, session: str, other: str) -> bool:
        """Whether a participant was told of another."""
        viewer, person = self._people.get(session), self._people.get(other)
        if viewer is None or person is None or person.hidden:
            return False
        return viewer.full or person.wide

    def listeners(self) -> list[tuple[str, Recipient, bool]]:
        """Sessions that listen, how they are told, and whether they are told of everybody."""
        return [
            (session, person.recipient, person.full)
            for session, person in self._people.items()
            if person.recipient is not None
        ]

    # --- Listener

    def on_effect(self, effect: Effect) -> None:
        """Classroom: something happened."""
        match effect:
            case Arrived(member):
                self._arrive(member)
            case Departed(member, reason):
                self._depart(member.session, reason)
            case Changed(member):
                self._change(member)
            case Announced(publication):
                self._announce(publication)
            case Withdrawn(publication, reason):
                self._withdraw(publication, reason)
            case Muted(publication):
                self._mute(publication)
            case RoomChanged():
                self._room_changed()
            case Over():
                self._over()

    def _arrive(self, member: Member) -> None:
        if not self._started:
            self._started = True
            self._tell("room_started", None, None)
        sid = new_sid("PA_")
        info = infos.participant(self._lesson, member, sid=sid, joined_at=self._wall())
        person = self._people[member.session] = Person(member, info)
        self._visible += not person.hidden
        person.full = person.staff
        person.wide = not person.hidden and self._is_wide(person)
        self._note(member.session)
        self._note_room()
        self._later(TICK, lambda: self._report_arrival(member.session))

    def _report_arrival(self, session: str) -> None:
        """By now a client of LiveKit's has entered; others are here as soon as they have a seat."""
        person = self._people.get(session)
        if person is not None and person.info.state == models.ParticipantInfo.ACTIVE:
            self._report_joined(person)

    def _report_joined(self, person: Person) -> None:
        if not person.joined:
            person.joined = True
            self._tell("participant_joined", person.info, None)

    def _depart(self, session: str, reason: Reason) -> None:
        person = self._people.pop(session, None)
        if person is None:
            return
        self._visible -= not person.hidden
        self._changed.pop(session, None)
        person.info.state = models.ParticipantInfo.DISCONNECTED
        person.info.disconnect_reason = infos.disconnect_reason(reason)
        person.info.version += 1
        if not person.hidden:
            self._gone.append(person)
            self._hurry()
        self._note_room()
        if person.joined:
            self._tell("participant_left", person.info, None)

    def _change(self, member: Member) -> None:
        person = self._people.get(member.session)
        if person is None or member.session not in self._lesson.members:
            return  # gone by the same event
        self._visible += person.hidden - member.grants.hidden
        person.member = member
        infos.describe(person.info, self._lesson, member)
        if person.staff and not person.full:
            person.full = True
            self._show_everybody(member.session, person)
        self._note(member.session)

    def _announce(self, publication: Publication) -> None:
        info = self._tracks.setdefault(publication.track.uptrack, infos.track(publication))
        info.muted = publication.muted or publication.silenced
        self._publications[info.sid] = publication
        self._show_tracks(publication.session)
        self._note_room()
        if person := self._people.get(publication.session):
            self._report_joined(person)
            self._tell("track_published", person.info, info)

    def _withdraw(self, publication: Publication, reason: Reason) -> None:
        info = self._tracks.pop(publication.track.uptrack, None)
        if info is None:
            return
        self._publications.pop(info.sid, None)
        self._show_tracks(publication.session)
        self._note_room()
        person = self._people.get(publication.session)
        if person is None:
            return
        if reason is Reason.FORBIDDEN and person.recipient is not None:
            person.recipient.send(messages.track_unpublished(info.sid))
        self._tell("track_unpublished", person.info, info)

    def _mute(self, publication: Publication) -> None:
        info = self._tracks.get(publication.track.uptrack)
        if info is None:
            return
        before = self._publications.get(info.sid)
        self._publications[info.sid] = publication
        info.muted = publication.muted or publication.silenced
        self._show_tracks(publication.session)
        person = self._people.get(publication.session)
        newly = publication.silenced and not (before is not None and before.silenced)
        if newly and person is not None and person.recipient is not None:
            person.recipient.send(messages.mute(info.sid))

    def _show_tracks(self, session: str) -> None:
        person = self._people.get(session)
        if person is None:
            return
        own = [
            self._tracks[publication.track.uptrack]
            for publication in self._lesson.published_by(session)
            if publication.track.uptrack in self._tracks
        ]
        del person.info.tracks[:]
        person.info.tracks.extend(own)
        person.info.is_publisher = bool(own)
        person.info.version += 1
        self._note(session)

    def _room_changed(self) -> None:
        """The floor, the hands, what is said of the room: at once, and who asks becomes visible."""
        floor = self._lesson.floor
        for session in (floor.holder, *floor.hands):
            person = self._people.get(session) if session is not None else None
            if session is not None and person is not None and not person.wide:
                self._note(session)
        self._hurry_room()

    def _over(self) -> None:
        for person in list(self._people.values()):
            if person.joined:
                self._tell("participant_left", person.info, None)
        if self._started:
            self._tell("room_finished", None, None)
        self._people.clear()
        self._changed.clear()
        self._gone.clear()
        self._publications.clear()
        self._tracks.clear()

    # --- telling

    def _is_wide(self, person: Person) -> bool:
        floor = self._lesson.floor
        return (
            self._visible <= CROWD
            or person.staff
            or bool(person.info.tracks)
            or person.member.session == floor.holder
            or person.member.session in floor.hands
        )

    def _note(self, session: str) -> None:
        self._changed[session] = None
        self._hurry()

    def _note_room(self) -> None:
        if not self._room_soon:
            self._room_soon = True
            self._later(ROOM_TICK, self._count_room)

    def _count_room(self) -> None:
        self._room_soon = False
        self._hurry_room()

    def _hurry_room(self) -> None:
        self._room_due = True
        self._hurry()

    def _hurry(self) -> None:
        if not self._due:
            self._due = True
            self._later(TICK, self._flush)

    def _flush(self) -> None:
        """Tell what was gathered; who left goes first, for its identity may be back already."""
        self._due = False
        gone, self._gone = self._gone, []
        changed = [self._people[key] for key in self._changed if key in self._people]
        self._changed.clear()
        for person in changed:
            person.wide = person.wide or (not person.hidden and self._is_wide(person))
        news = News(gone, changed)
        room = messages.room_update(self.room()) if self._room_due else b""
        self._room_due = False
        for person in self._people.values():
            if person.recipient is None:
                continue
            for told in (news.for_(person), room):
                if told:
                    person.recipient.send(told)

    def _show_everybody(self, session: str, person: Person) -> None:
        if person.recipient is not None and (others := self.others(session)):
            person.recipient.send(messages.update(others))
