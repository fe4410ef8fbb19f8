"""LiveKit's RoomService over Twirp: `POST /twirp/livekit.RoomService/<Method>`, protobuf or JSON.

Who calls shows a token as Bearer: roomList to list, roomCreate to make and delete, roomAdmin of
the room for all else. An error is Twirp's: a status, and `{"code": ..., "msg": one sentence}`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from aiohttp import web
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from livekit.protocol import models
from livekit.protocol import room as service

from signaling.auth import Permissions
from signaling.classroom import Classroom
from signaling.edge import is_lesson_name, permissions
from signaling.errors import (
    LessonError,
    LimitExceeded,
    NotAllowed,
    NotAuthenticated,
    NotPermitted,
)
from signaling.events import (
    SOURCES,
    Describe,
    DescribeRoom,
    Grants,
    Keep,
    Member,
    Permit,
    Publication,
    Remove,
    Role,
    Silence,
)
from signaling.livekit.data import LOSSY, MAX_PACKET, RELIABLE, Relay
from signaling.livekit.identifiers import from_source
from signaling.livekit.presence import Presence
from signaling.registry import Registry

EMPTY_TIMEOUT = 300
"""Seconds that a room waits for its first member, where CreateRoom does not say."""
_MAX_SECONDS = 86_400
_PROTOBUF = "application/protobuf"
_STATUS = {
    "malformed": 400,
    "invalid_argument": 400,
    "unauthenticated": 401,
    "permission_denied": 403,
    "not_found": 404,
    "bad_route": 404,
    "failed_precondition": 412,
    "resource_exhausted": 429,
    "internal": 500,
}


class TwirpError(Exception):
    """What the caller is told: a code of Twirp's, and one sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Room(Protocol):
    """What LiveKit's adapter keeps of a lesson."""

    @property
    def presence(self) -> Presence:
        """Who is there."""

    @property
    def relay(self) -> Relay:
        """Their data."""

    def subscribe(self, session: str, track_sids: Sequence[str], wanted: bool) -> None:
        """Let a participant take these tracks, or no longer; unknown ones are passed over."""


@dataclass(frozen=True, slots=True)
class _Call:
    who: Permissions
    request: Any


_Handler = Callable[["RoomService", _Call], Message]


class RoomService:
    """The handlers. `room_of` finds what LiveKit's adapter keeps of a lesson."""

    def __init__(
        self,
        registry: Registry,
        room_of: Callable[[Classroom], Room],
        keys: Mapping[str, str],
    ) -> None:
        self._registry = registry
        self._room_of = room_of
        self._keys = keys

    def routes(self) -> list[web.RouteDef]:
        """The routes to add to an application."""
        return [web.route("*", "/twirp/livekit.RoomService/{method}", self._take)]

    async def _take(self, request: web.Request) -> web.Response:
        try:
            return await self._answer(request)
        except TwirpError as error:
            return _refusal(error.code, str(error))
        except NotAuthenticated as error:
            return _refusal("unauthenticated", str(error))
        except (NotAllowed, NotPermitted) as error:
            return _refusal("permission_denied", str(error))
        except LimitExceeded as error:
            return _refusal("resource_exhausted", str(error))
        except LessonError as error:
            return _refusal("failed_precondition", str(error))

    async def _answer(self, request: web.Request) -> web.Response:
        method = _METHODS.get(request.match_info["method"])
        if request.method != "POST" or method is None:
            raise TwirpError("bad_route", "There is no such method of livekit.RoomService.")
        if request.content_type not in ("application/json", _PROTOBUF):
            raise TwirpError("bad_route", "The body must be application/json or protobuf.")
        who = permissions(request, self._keys)
        kind, handler = method
        as_json = request.content_type != _PROTOBUF
        message = _parsed(kind, await _body(request), as_json=as_json)
        answer = handler(self, _Call(who, message))
        if as_json:
            return web.json_response(
                json_format.MessageToDict(
                    answer,
                    preserving_proto_field_name=True,
                    always_print_fields_with_no_presence=True,
                )
            )
        return web.Response(body=answer.SerializeToString(), content_type=_PROTOBUF)

    # --- rooms

    def _create_room(self, call: _Call) -> models.Room:
        request: service.CreateRoomRequest = call.request
        if not is_lesson_name(request.name):
            raise TwirpError("invalid_argument", "A name is 1 to 64 letters, digits, _ or -.")
        call.who.require_create(request.name)
        is_new = self._registry.find(request.name) is None
        classroom = self._registry.open(request.name)
        if is_new:
            self._set_rules(classroom, request)
            seconds = request.empty_timeout or EMPTY_TIMEOUT
            classroom.handle(Keep(min(seconds, _MAX_SECONDS)))
        if request.metadata:
            classroom.handle(DescribeRoom(None, request.metadata))
        return self._room_of(classroom).presence.room()

    def _set_rules(self, classroom: Classroom, request: service.CreateRoomRequest) -> None:
        """A room may have less than the node allows, and wait as long as it likes."""
        rules = classroom.lesson.rules
        if request.max_participants:
            schools = min(rules.max_schools, max(1, request.max_participants - 1))
            rules = replace(rules, max_schools=schools)
        if request.departure_timeout:
            rules = replace(rules, linger=float(min(request.departure_timeout, _MAX_SECONDS)))
        classroom.lesson.rules = rules

    def _list_rooms(self, call: _Call) -> service.ListRoomsResponse:
        call.who.require_list()
        wanted = set(call.request.names)
        rooms = [
            self._room_of(classroom).presence.room()
            for classroom in self._registry
            if not wanted or classroom.lesson.name in wanted
        ]
        return service.ListRoomsResponse(rooms=rooms)

    def _delete_room(self, call: _Call) -> service.DeleteRoomResponse:
        call.who.require_create(call.request.room)
        self._find(call.request.room).end("removed")
        return service.DeleteRoomResponse()

    def _update_room_metadata(self, call: _Call) -> models.Room:
        classroom = self._administered(call)
        classroom.handle(DescribeRoom(None, call.request.metadata))
        return self._room_of(classroom).presence.room()

    # --- participants

    def _list_participants(self, call: _Call) -> service.ListParticipantsResponse:
        presence = self._room_of(self._administered(call)).presence
        return service.ListParticipantsResponse(participants=presence.everybody())

    def _get_participant(self, call: _Call) -> models.ParticipantInfo:
        classroom = self._administered(call)
        return self._room_of(classroom).presence.info(_member(classroom, call).session)

    def _remove_participant(self, call: _Call) -> service.RemoveParticipantResponse:
        classroom = self._administered(call)
        classroom.handle(Remove(None, _member(classroom, call).session))
        return service.RemoveParticipantResponse()

    def _update_participant(self, call: _Call) -> models.ParticipantInfo:
        request: service.UpdateParticipantRequest = call.request
        classroom = self._administered(call)
        member = _member(classroom, call)
        described = Describe(
            None,
            member.session,
            name=request.name or None,
            metadata=request.metadata or None,
            attributes=dict(request.attributes),
        )
        classroom.handle(described)
        if request.HasField("permission"):
            classroom.handle(permit(member, request.permission))
        return self._room_of(classroom).presence.info(member.session)

    # --- media and data

    def _mute_published_track(self, call: _Call) -> service.MuteRoomTrackResponse:
        request: service.MuteRoomTrackRequest = call.request
        classroom = self._administered(call)
        member = _member(classroom, call)
        presence = self._room_of(classroom).presence
        publication = _published(presence, member, request.track_sid)
        classroom.handle(Silence(None, publication.number, request.muted))
        return service.MuteRoomTrackResponse(track=presence.track(publication.track.uptrack))

    def _update_subscriptions(self, call: _Call) -> service.UpdateSubscriptionsResponse:
        request: service.UpdateSubscriptionsRequest = call.request
        classroom = self._administered(call)
        member = _member(classroom, call)
        sids = [*request.track_sids]
        for tracks in request.participant_tracks:
            sids += tracks.track_sids
        self._room_of(classroom).subscribe(member.session, sids, request.subscribe)
        return service.UpdateSubscriptionsResponse()

    def _send_data(self, call: _Call) -> service.SendDataResponse:
        request: service.SendDataRequest = call.request
        room = self._room_of(self._administered(call))
        if len(request.data) > MAX_PACKET - 1024:
            raise TwirpError("invalid_argument", "A packet is at most 63 KiB.")
        sids = {info.sid: info.identity for info in room.presence.everybody()}
        named = [sids.get(sid, sid) for sid in request.destination_sids]
        wanted = [*request.destination_identities, *named]
        user = models.UserPacket(payload=request.data, destination_identities=wanted)
        if request.HasField("topic"):
            user.topic = request.topic
        packet = models.DataPacket(user=user, kind=request.kind, destination_identities=wanted)
        label = LOSSY if request.kind == models.DataPacket.LOSSY else RELIABLE
        room.relay.publish(packet, label, wanted)
        return service.SendDataResponse()

    # --- finding

    def _administered(self, call: _Call) -> Classroom:
        call.who.require_room_admin(call.request.room)
        return self._find(call.request.room)

    def _find(self, name: str) -> Classroom:
        classroom = self._registry.find(name)
        if classroom is None:
            raise TwirpError("not_found", "The requested room does not exist.")
        return classroom


def permit(member: Member, wanted: models.ParticipantPermission) -> Permit:
    """What LiveKit's permission means for a member: who may publish is no school, who may not is
    no assistant; a teacher stays one."""
    sources = SOURCES if wanted.can_publish else frozenset[str]()
    if wanted.can_publish and wanted.can_publish_sources:
        named = {from_source(source, "video") for source in wanted.can_publish_sources}
        sources = frozenset(named)
    grants = Grants(
        publish=sources,
        subscribe=wanted.can_subscribe,
        data=wanted.can_publish_data,
        metadata=wanted.can_update_metadata,
        hidden=wanted.hidden,
    )
    role: Role | None = None
    if member.role is not Role.TEACHER:
        role = Role.ASSISTANT if wanted.can_publish else Role.SCHOOL
        if wanted.hidden and not wanted.can_publish:
            role = Role.OBSERVER
        if wanted.recorder or (member.role is Role.RECORDER and not wanted.can_publish):
            role = Role.RECORDER
    return Permit(None, member.session, grants, role)


def _member(classroom: Classroom, call: _Call) -> Member:
    sessions = classroom.lesson.sessions_of(call.request.identity)
    if not sessions:
        raise TwirpError("not_found", "The participant does not exist.")
    return classroom.lesson.members[sessions[-1]]


def _published(presence: Presence, member: Member, track_sid: str) -> Publication:
    publication = presence.publication(track_sid)
    if publication is None or publication.session != member.session:
        raise TwirpError("not_found", "The track does not exist.")
    return publication


async def _body(request: web.Request) -> bytes:
    try:
        return await request.read()  # bounded by the application's client_max_size
    except web.HTTPRequestEntityTooLarge:
        raise TwirpError("malformed", "The body is too large.") from None


def _parsed(kind: type[Message], body: bytes, *, as_json: bool) -> Message:
    try:
        if not as_json:
            return kind.FromString(body)
        wish = json.loads(body or b"{}")
        if isinstance(wish, dict):
            return json_format.ParseDict(wish, kind(), ignore_unknown_fields=True)
    except (DecodeError, json_format.ParseError, ValueError, TypeError, RecursionError):
        pass
    raise TwirpError("malformed", f"The body is no {kind.DESCRIPTOR.name}.")


def _refusal(code: str, message: str) -> web.Response:
    return web.json_response({"code": code, "msg": message}, status=_STATUS[code])


_METHODS: Mapping[str, tuple[type[Message], _Handler]] = {
    "CreateRoom": (service.CreateRoomRequest, RoomService._create_room),
    "ListRooms": (service.ListRoomsRequest, RoomService._list_rooms),
    "DeleteRoom": (service.DeleteRoomRequest, RoomService._delete_room),
    "ListParticipants": (service.ListParticipantsRequest, RoomService._list_participants),
    "GetParticipant": (service.RoomParticipantIdentity, RoomService._get_participant),
    "RemoveParticipant": (service.RoomParticipantIdentity, RoomService._remove_participant),
    "MutePublishedTrack": (service.MuteRoomTrackRequest, RoomService._mute_published_track),
    "UpdateParticipant": (service.UpdateParticipantRequest, RoomService._update_participant),
    "UpdateSubscriptions": (service.UpdateSubscriptionsRequest, RoomService._update_subscriptions),
    "SendData": (service.SendDataRequest, RoomService._send_data),
    "UpdateRoomMetadata": (service.UpdateRoomMetadataRequest, RoomService._update_room_metadata),
}
