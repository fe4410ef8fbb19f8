"""The LiveKit side of each lesson: who is in it by that protocol, and what they hear of it."""

import asyncio
import secrets
from collections.abc import Callable, Sequence

from livekit.protocol import models, rtc

from signaling.auth import Permissions
from signaling.classroom import Classroom
from signaling.config import IceServer
from signaling.edge import unix_now
from signaling.effects import (
    Announced,
    AudienceChanged,
    Changed,
    Disconnect,
    Effect,
    Over,
    Withdrawn,
)
from signaling.errors import LessonError
from signaling.events import Describe, Join, Member, Role
from signaling.grants import grants_of
from signaling.livekit import messages
from signaling.livekit.chat import ChatReader
from signaling.livekit.data import Relay
from signaling.livekit.house import House
from signaling.livekit.join import Joining
from signaling.livekit.presence import Presence, Tell
from signaling.livekit.rpc import ClassroomParticipant
from signaling.livekit.session import LiveKitSession
from signaling.registry import Registry

_TRAILER_BYTES = 16


class Room:
    """One lesson's. Made with the lesson, whoever comes first."""

    def __init__(
        self, classroom: Classroom, tell: Tell, ice_servers: Sequence[IceServer] = ()
    ) -> None:
        loop = asyncio.get_running_loop()
        self.classroom = classroom
        self.presence = Presence(
            classroom.lesson,
            created_at=classroom.started_at,
            wall=unix_now,
            later=loop.call_later,
            tell=tell,
        )
        chat = ChatReader(classroom.chat)
        self.relay = Relay(loop.time, loop.call_later, classroom.lesson.may_send, chat.heard)
        self.participant = ClassroomParticipant(classroom, self.relay)
        self.sessions: dict[str, LiveKitSession] = {}
        self._loop = loop
        self._subscribed: set[int] = set()
        self._house = House(
            classroom,
            self.presence,
            self.relay,
            classroom.config.media,
            classroom.config.video_codecs,
            ice_servers=tuple(
                rtc.ICEServer(urls=s.urls, username=s.username, credential=s.credential)
                for s in ice_servers
            ),
            trailer=secrets.token_bytes(_TRAILER_BYTES),
            subscribed=self._on_subscribed,
            gone=self._on_gone,
        )

    def join(
        self, joining: Joining, who: Permissions, renew: Callable[[Member], str]
    ) -> LiveKitSession:
        """Seat a participant; `renew` makes a new token for it.

        Raises LessonError, NegotiationError.
        """
        role, now = Role(who.role), self._loop.time()
        session = LiveKitSession(self._house, joining, renew, role=role, site=who.site, now=now)
        self.sessions[session.id] = session
        try:
            join = Join(
                session.id,
                who.identity,
                role,
                who.name,
                grants_of(who),
                who.metadata,
                who.attributes,
                waits=True,
                unique=True,
            )
            self.classroom.seat(session, join)
        except LessonError:
            session.close()
            raise
        if joining.metadata or joining.attributes:  # if its token lets it say so
            described = Describe(
                session.id,
                session.id,
                metadata=joining.metadata or None,
                attributes=joining.attributes,
            )
            self.classroom.tell(described)
        try:
            session.start(joining)
        except BaseException:
            self.classroom.leave(session, lost=True)
            raise
        return session

    def find(self, identity: str, sid: str) -> LiveKitSession | None:
        """Who was here before, by its sid; an identity that is another's opens nothing."""
        return next(
            (s for s in self.sessions.values() if (s.identity, s.sid) == (identity, sid)), None
        )

    def subscribe(self, session: str, track_sids: Sequence[str], wanted: bool) -> None:
        """Let a participant take these tracks, or no longer; unknown ones are passed over."""
        if (found := self.sessions.get(session)) is not None:
            found.subscribe(track_sids, wanted)

    # --- Listener

    def on_effect(self, effect: Effect) -> None:
        """Classroom: something happened."""
        self.presence.on_effect(effect)
        match effect:
            case Announced(publication):
                self._each(lambda session: session.review((publication,)))
            case Withdrawn(publication, reason):
                self._subscribed.discard(publication.number)
                self._each(lambda session: session.withdrawn(publication, reason))
            case AudienceChanged(publisher):
                own = self.classroom.lesson.published_by(publisher)
                self._each(lambda session: session.review(own))
            case Changed(member):
                if (session := self.sessions.get(member.session)) is not None:
                    session.changed(member)
                    session.review(list(self.classroom.lesson.publications.values()))
            case Disconnect(session_id, reason):
                if (session := self.sessions.get(session_id)) is not None:
                    session.dismiss(reason)

    def _each(self, tell: Callable[[LiveKitSession], None]) -> None:
        for session in list(self.sessions.values()):
            tell(session)

    # --- House

    def _on_gone(self, session: str) -> None:
        self.sessions.pop(session, None)

    def _on_subscribed(self, number: int) -> None:
        """Somebody takes a publication: its publisher is told once."""
        if number in self._subscribed:
            return
        self._subscribed.add(number)
        publication = self.classroom.lesson.publication(number)
        publisher = self.sessions.get(publication.session) if publication is not None else None
        info = self.presence.track(publication.track.uptrack) if publication is not None else None
        if publisher is not None and info is not None:
            told = rtc.TrackSubscribed(track_sid=info.sid)
            publisher.send_signal(messages.pack(track_subscribed=told))


def _untold(
    event: str, participant: models.ParticipantInfo | None, track: models.TrackInfo | None
) -> None:
    """Nobody outside is told what happens."""


class Rooms:
    """The rooms of all lessons of a node."""

    def __init__(
        self,
        registry: Registry,
        tell: Callable[[Classroom], Tell] = lambda classroom: _untold,
        ice_servers: Sequence[IceServer] = (),
    ) -> None:
        """`tell(classroom)` makes what tells the world outside of one lesson (webhooks)."""
        self._registry = registry
        self._tell = tell
        self._ice_servers = ice_servers
        self._rooms: dict[str, Room] = {}  # by the lesson's id
        registry.on_open(self._open)

    def find(self, name: str) -> Room | None:
        """The room of a live lesson."""
        classroom = self._registry.find(name)
        return self._rooms.get(classroom.lesson.id) if classroom is not None else None

    def of(self, classroom: Classroom) -> Room:
        """The room of a lesson. Raises KeyError when it is over."""
        return self._rooms[classroom.lesson.id]

    def open(self, name: str) -> Room:
        """The room of a lesson, which is made when there is none."""
        return self._rooms[self._registry.open(name).lesson.id]

    def drop_if_unused(self, room: Room) -> None:
        """Forget a lesson that was opened for somebody who got no seat."""
        self._registry.drop_if_unused(room.classroom)

    def _open(self, classroom: Classroom) -> None:
        room = self._rooms[classroom.lesson.id] = Room(
            classroom, self._tell(classroom), self._ice_servers
        )
        classroom.add_listener(room)
        classroom.add_listener(_Forget(self._rooms, classroom.lesson.id))


class _Forget:
    """Drops a room when its lesson is over."""

    def __init__(self, rooms: dict[str, Room], lesson: str) -> None:
        self._rooms = rooms
        self._lesson = lesson

    def on_effect(self, effect: Effect) -> None:
        if isinstance(effect, Over):
            self._rooms.pop(self._lesson, None)
