"""The participant `classroom`: what a lesson has beyond LiveKit's messages, as RPC.

    method         payload (JSON)          who may
    raise_hand                             a school, an assistant
    lower_hand     {"identity": ...}       oneself (the default); staff
    grant_floor    {"identity": ...}       staff
    revoke_floor                           staff; the holder

The answer to each is the floor as it is then, as `Floor.told` says it: `{"floor": identity or null,
"hands": [identities]}`, the same as over HTTP and in the room's metadata. Who
may do what is for the lesson to say; its sentence is the error's message. It is in no list of
participants, so that clients that do not know of it see nobody who is not there.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from livekit.protocol import models

from signaling.errors import IllegalEvent, LessonError
from signaling.events import Event, GrantFloor, LowerHand, RaiseHand, RevokeFloor
from signaling.lesson import Lesson
from signaling.livekit.data import RELIABLE, Relay
from signaling.livekit.identifiers import CLASSROOM

UNSUPPORTED_METHOD, PAYLOAD_TOO_LARGE, UNSUPPORTED_VERSION = 1400, 1402, 1404
APPLICATION_ERROR = 1500
"""Codes that LiveKit's clients know."""
MAX_PAYLOAD = 4_096
"""Bytes of a request: an identity, and room to spare."""


class House(Protocol):
    """What a classroom offers here."""

    @property
    def lesson(self) -> Lesson:
        """Its state."""

    def handle(self, event: Event) -> object:
        """Apply an event and carry out what follows. Raises LessonError."""


class RpcFailure(Exception):  # noqa: N818  (named for what is the case)
    """What the caller is told instead of an answer."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ClassroomParticipant:
    """Takes the requests of one lesson."""

    def __init__(self, house: House, relay: Relay) -> None:
        self._house = house
        self._relay = relay
        relay.serve(CLASSROOM, self.asked)

    def asked(self, session: str, packet: models.DataPacket) -> None:
        """A member sends something to the classroom: requests are answered, the rest is not."""
        member = self._house.lesson.members.get(session)
        if member is None or packet.WhichOneof("value") != "rpc_request":
            return
        request = packet.rpc_request
        self._say(member.identity, models.DataPacket(rpc_ack=models.RpcAck(request_id=request.id)))
        answer = models.RpcResponse(request_id=request.id)
        try:
            answer.payload = self._answer(session, request)
        except RpcFailure as failure:
            answer.error.code, answer.error.message = failure.code, failure.message
        self._say(member.identity, models.DataPacket(rpc_response=answer))

    def _answer(self, session: str, request: models.RpcRequest) -> str:
        make = _METHODS.get(request.method)
        if make is None:
            raise RpcFailure(UNSUPPORTED_METHOD, "The classroom has no such method.")
        if request.compressed_payload:
            raise RpcFailure(UNSUPPORTED_VERSION, "The classroom takes plain payloads only.")
        if len(request.payload) > MAX_PAYLOAD:
            raise RpcFailure(PAYLOAD_TOO_LARGE, "The payload is too large.")
        try:
            self._house.handle(make(self, session, _parsed(request.payload)))
        except LessonError as error:
            raise RpcFailure(APPLICATION_ERROR, str(error)) from None
        lesson = self._house.lesson
        return json.dumps(lesson.floor.told(lesson.members), ensure_ascii=False)

    def _say(self, identity: str, packet: models.DataPacket) -> None:
        packet.participant_identity = CLASSROOM
        packet.destination_identities.append(identity)
        self._relay.publish(packet, RELIABLE, [identity])

    # --- from requests to events

    def _raise_hand(self, session: str, wish: Mapping[str, Any]) -> Event:
        return RaiseHand(session)

    def _lower_hand(self, session: str, wish: Mapping[str, Any]) -> Event:
        return LowerHand(session, self._named(wish) if "identity" in wish else session)

    def _grant_floor(self, session: str, wish: Mapping[str, Any]) -> Event:
        return GrantFloor(session, self._named(wish))

    def _revoke_floor(self, session: str, wish: Mapping[str, Any]) -> Event:
        return RevokeFloor(session)

    def _named(self, wish: Mapping[str, Any]) -> str:
        """The session of who is meant."""
        identity = wish.get("identity")
        seats = self._house.lesson.sessions_of(identity) if isinstance(identity, str) else ()
        if not seats:
            raise IllegalEvent("Nobody of that identity is in the lesson.")
        return seats[-1]


_METHODS: Mapping[str, Callable[[ClassroomParticipant, str, Mapping[str, Any]], Event]] = {
    "raise_hand": ClassroomParticipant._raise_hand,
    "lower_hand": ClassroomParticipant._lower_hand,
    "grant_floor": ClassroomParticipant._grant_floor,
    "revoke_floor": ClassroomParticipant._revoke_floor,
}


def _parsed(payload: str) -> Mapping[str, Any]:
    if not payload:
        return {}
    try:
        wish = json.loads(payload)
    except (json.JSONDecodeError, RecursionError):
        wish = None
    if not isinstance(wish, dict):
        raise RpcFailure(APPLICATION_ERROR, "The payload must be a JSON object.")
    return wish
