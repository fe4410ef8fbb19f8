"""LiveKit's front door: WebSockets, and what tells a browser why one was refused.

GET  /rtc/v1, /rtc                    the WebSocket; the token as Bearer or ?access_token=
GET  /rtc/v1/validate, /rtc/validate  the same checks without it (browsers hide a refusal's why)
"""

from collections.abc import Mapping

from aiohttp import web
from livekit.protocol import models, rtc

from sfu.errors import NegotiationError
from signaling.auth import Permissions, verify
from signaling.door import Door
from signaling.edge import is_lesson_name, refusal, unix_now
from signaling.errors import NotAllowed
from signaling.events import Role
from signaling.livekit import messages
from signaling.livekit.errors import MalformedRequest
from signaling.livekit.join import Joining, parse_join
from signaling.livekit.renewal import renewed
from signaling.livekit.rooms import Rooms
from signaling.livekit.session import LiveKitSession
from signaling.livekit.wire import MAX_MESSAGE, Wire

_CORS = {"Access-Control-Allow-Origin": "*"}


class LiveKitEndpoint:
    """The routes. Every lesson's name may be joined by whoever has a token for it."""

    def __init__(self, rooms: Rooms, keys: Mapping[str, str], door: Door) -> None:
        self._rooms = rooms
        self._keys = keys
        self._door = door

    def routes(self) -> list[web.RouteDef]:
        """The routes to add to an application."""
        return [
            web.get("/rtc", self._dual),
            web.get("/rtc/v1", self._single),
            web.get("/rtc/validate", self._validate),
            web.get("/rtc/v1/validate", self._validate),
        ]

    async def _validate(self, request: web.Request) -> web.Response:
        who, lesson = self._authorize(request)
        room = self._rooms.find(lesson)
        if room is not None and who.role == Role.TEACHER:
            room.classroom.lesson.require_free(who.identity)
        return web.Response(text="success")

    async def _single(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, single=True)

    async def _dual(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, single=False)

    async def _serve(self, request: web.Request, *, single: bool) -> web.StreamResponse:
        who, lesson = self._authorize(request)
        try:
            joining = parse_join(request.query, single=single)
        except MalformedRequest as error:
            return refusal(400, str(error))
        socket = web.WebSocketResponse(max_msg_size=MAX_MESSAGE, compress=False)
        if not socket.can_prepare(request):
            return refusal(426, "This address speaks WebSocket only.")
        if joining.resumes:
            return await self._resume(request, socket, lesson, who, joining)
        session = await self._join(lesson, who, joining)
        try:
            await socket.prepare(request)
        except ConnectionError:  # it has hung up; aiohttp notices as well
            session.give_up()
            return socket
        wire = Wire(socket)
        session.attach(wire)
        await self._talk(session, wire)
        return socket

    async def _join(self, lesson: str, who: Permissions, joining: Joining) -> LiveKitSession:
        """Seat the client when its turn has come; its place is held until it is connected."""
        role = Role(who.role)
        ticket = await self._door.enter(lesson, role)
        try:
            room = self._rooms.open(lesson)
            try:
                secret = self._keys[who.key]
                session = room.join(
                    joining, who, lambda member: renewed(who, member, secret, unix_now())
                )
            finally:
                self._rooms.drop_if_unused(room)
        except BaseException:
            self._door.release(ticket)
            raise
        session.when_settled(lambda: self._door.release(ticket))
        return session

    async def _resume(
        self,
        request: web.Request,
        socket: web.WebSocketResponse,
        lesson: str,
        who: Permissions,
        joining: Joining,
    ) -> web.StreamResponse:
        """Whoever is not here any more, or never was, is told to begin anew."""
        try:
            await socket.prepare(request)
        except ConnectionError:  # it has hung up again
            return socket
        wire = Wire(socket)
        room = self._rooms.find(lesson)
        session = room.find(who.identity, joining.participant_sid) if room is not None else None
        try:
            resumed = session is not None and session.resume(wire, joining)
        except NegotiationError:
            resumed = False
        if session is None or not resumed:
            wire.send(messages.leave(models.STATE_MISMATCH, rtc.LeaveRequest.RECONNECT))
            wire.close()
            await wire.run(lambda raw: None)
            return socket
        await self._talk(session, wire)
        return socket

    async def _talk(self, session: LiveKitSession, wire: Wire) -> None:
        try:
            await wire.run(session.on_request)
        finally:
            session.detach(wire)

    def _authorize(self, request: web.Request) -> tuple[Permissions, str]:
        """Who comes, and to which lesson: the token names it. Raises AuthError."""
        who = verify(_token(request), self._keys)
        if not who.join or who.room is None or not is_lesson_name(who.room):
            raise NotAllowed("This token is for no lesson that can be joined (roomJoin, room).")
        return who, who.room


def _token(request: web.Request) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return request.query.get("access_token")


async def allow_pages(request: web.Request, response: web.StreamResponse) -> None:
    """Let pages of any origin read why they are refused (an `on_response_prepare` signal)."""
    if request.path.startswith("/rtc"):
        response.headers.update(_CORS)
