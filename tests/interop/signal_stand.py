"""What the end-to-end test of livekit-client's SignalClient stands on: a way to a node of ours.

Upstream runs that test against a server made for it, whose tokens say in the attribute `lk.mock`
how it is to behave. Here what they call `happy` is the node itself, and so is everything that a
node does by itself: it refuses a forged token, answers pings and requests, sends away whom the
room's administrator removes, takes back who resumes, and sends away who was never there. What no
sound node does (it is silent, it hangs up, its host is broken) happens on the way to it.

The test's tokens are signed with a word of six letters, so that they are made anew for the node;
and each names somebody new, also when it means to come back, so that this says who it was.
"""

import asyncio
import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import jwt
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, WSServerHandshakeError, web
from livekit.protocol import rtc

from signaling.auth import TokenRole, mint
from signaling.config import DEV_KEY, DEV_SECRET
from signaling.edge import unix_now

_THEIR_SECRET = "secret"
_ROOM = "e2e-room"
_PING_INTERVAL, _PING_TIMEOUT = 1, 3
"""Seconds; the test waits no longer than for these."""
_INTERNAL_ERROR = 1011
_REFUSED = {
    "room_not_found": (404, "requested room does not exist"),
    "validate_service_not_found": (404, "404 page not found"),
    "validate_500": (500, "broken"),
}
_GZIP = 31
_CORS = {"Access-Control-Allow-Origin": "*"}


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a token of the test's asks for."""

    mode: str
    action: int
    identity: str


class SignalStand:
    """Forwards a port of its own to a node, and behaves as tokens say. `url` is a WebSocket's."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._seat = ("", "")  # identity and sid of who joined last
        self.url = ""

    async def __aenter__(self) -> Self:
        self._http = ClientSession(self._node)
        app = web.Application()
        app.add_routes(
            [
                web.get("/rtc/validate", self._validate),
                web.get("/rtc/v1/validate", self._validate),
                web.get("/rtc", self._talk),
                web.get("/rtc/v1", self._talk),
            ]
        )
        self._runner = web.AppRunner(app, max_line_size=256 * 1024, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"ws://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()
        await self._http.close()

    # --- HTTP

    async def _validate(self, request: web.Request) -> web.Response:
        wish = _wish(request)
        if wish is not None and wish.mode in _REFUSED:
            status, text = _REFUSED[wish.mode]
            return web.Response(status=status, text=text, headers=_CORS)
        query = self._query(request, wish)
        async with self._http.get(request.path, params=query) as answer:
            text = await answer.text()
        return web.Response(status=answer.status, text=text, headers=_CORS)

    async def _talk(self, request: web.Request) -> web.StreamResponse:
        wish = _wish(request)
        mode = wish.mode if wish is not None else "happy"
        if mode in _REFUSED:
            status, text = _REFUSED[mode]
            return web.Response(status=status, text=text)
        if mode in ("no_first_message", "close_before_join"):
            return await _be_silent(request, hang_up=mode == "close_before_join")
        path, query = request.path, self._query(request, wish)
        if mode == "leave_first_message":  # so does a node to who was never there
            path, token = "/rtc", query["access_token"]
            query = {"access_token": token, "reconnect": "1", "sid": "PA_nobody"}
        try:
            node = await self._http.ws_connect(path, params=query)
        except WSServerHandshakeError as error:
            return web.Response(status=error.status)
        async with node:
            client = web.WebSocketResponse(autoclose=mode != "drop_on_close")
            await client.prepare(request)
            return await _Way(self, request, client, node, wish).run()

    # --- who it is

    def _query(self, request: web.Request, wish: _Wish | None) -> dict[str, str]:
        """As the node is asked: with a token of its own kind, and the name of who comes back."""
        query = dict(request.query)
        if wish is None:
            return query  # a forged token: the node shall see it
        identity = wish.identity
        if query.get("reconnect") == "1":
            identity, query["sid"] = self._seat
        elif "join_request" in query:
            join = _unpacked(query["join_request"])
            if join.reconnect:
                identity, join.participant_sid = self._seat
                query["join_request"] = _packed(join)
        query["access_token"] = _token(identity)
        return query

    def joined(self, identity: str, sid: str) -> None:
        """Somebody has a seat at the node."""
        self._seat = (identity, sid)

    async def remove(self, identity: str) -> None:
        """Let the room's administrator send somebody away."""
        token = mint(
            *(DEV_KEY, DEV_SECRET),
            role=TokenRole.ASSISTANT,
            identity="administrator",
            name="",
            lesson=_ROOM,
            ttl=60,
            now=unix_now(),
            grants={"roomAdmin": True},
        )
        answer = await self._http.post(
            "/twirp/livekit.RoomService/RemoveParticipant",
            json={"room": _ROOM, "identity": identity},
            headers={"Authorization": f"Bearer {token}"},
        )
        assert answer.status == 200, await answer.text()


class _Way:
    """One WebSocket, both ways."""

    def __init__(
        self,
        stand: SignalStand,
        request: web.Request,
        client: web.WebSocketResponse,
        node: ClientWebSocketResponse,
        wish: _Wish | None,
    ) -> None:
        self._stand = stand
        self._request = request
        self._client = client
        self._node = node
        self._wish = wish or _Wish("happy", 0, "")

    async def run(self) -> web.WebSocketResponse:
        """Carry messages until either end closes."""
        forth = asyncio.create_task(self._forth())
        try:
            async for message in self._node:
                if message.type is WSMsgType.BINARY:
                    await self._back(rtc.SignalResponse.FromString(message.data))
            await self._client.close(code=self._node.close_code or 1000)
        finally:
            forth.cancel()
            await asyncio.gather(forth, return_exceptions=True)
        return self._client

    async def _back(self, response: rtc.SignalResponse) -> None:
        joined = response.HasField("join")
        if joined:
            who = response.join.participant
            self._stand.joined(who.identity, who.sid)
            response.join.ping_interval = _PING_INTERVAL
            response.join.ping_timeout = _PING_TIMEOUT
        await self._client.send_bytes(response.SerializeToString())
        if not joined:
            return
        match self._wish.mode:
            case "close_when_connected":
                await self._client.close(code=_INTERNAL_ERROR)
            case "drop_when_connected":
                self._drop()
            case "leave_when_connected" if self._wish.action == rtc.LeaveRequest.DISCONNECT:
                await self._stand.remove(response.join.participant.identity)
            case "leave_when_connected":
                leave = rtc.LeaveRequest(action=self._wish.action)
                await self._client.send_bytes(rtc.SignalResponse(leave=leave).SerializeToString())

    async def _forth(self) -> None:
        while True:
            message = await self._client.receive()
            if message.type is WSMsgType.BINARY:
                request = rtc.SignalRequest.FromString(message.data)
                is_ping = request.WhichOneof("message") in ("ping", "ping_req")
                if not (is_ping and self._wish.mode == "no_pong"):
                    await self._node.send_bytes(message.data)
                continue
            if self._wish.mode == "drop_on_close":
                self._drop()
            await self._node.close()
            return

    def _drop(self) -> None:
        """Break the connection without a word."""
        if self._request.transport is not None:
            self._request.transport.abort()


async def _be_silent(request: web.Request, *, hang_up: bool) -> web.WebSocketResponse:
    client = web.WebSocketResponse()
    await client.prepare(request)
    if hang_up:
        await client.close(code=_INTERNAL_ERROR)
    else:
        await client.receive()
    return client


def _wish(request: web.Request) -> _Wish | None:
    """What the test asks for; None where its token is forged."""
    try:
        claims: Mapping[str, Any] = jwt.decode(
            request.query.get("access_token", ""),
            _THEIR_SECRET,
            algorithms=["HS256"],
            options={"verify_aud": False},
        )
    except jwt.PyJWTError:
        return None
    asked = json.loads(claims.get("attributes", {}).get("lk.mock", "{}"))
    return _Wish(asked.get("signal", "happy"), int(asked.get("leaveAction", 0)), claims["sub"])


def _token(identity: str) -> str:
    return mint(
        *(DEV_KEY, DEV_SECRET),
        role=TokenRole.ASSISTANT,
        identity=identity,
        name=identity,
        lesson=_ROOM,
        ttl=600,
        now=unix_now(),
        grants={"canUpdateOwnMetadata": True},
    )


def _unpacked(text: str) -> rtc.JoinRequest:
    plain = text.rstrip("=").replace("+", "-").replace("/", "_")
    wrapped = rtc.WrappedJoinRequest.FromString(
        base64.urlsafe_b64decode(plain + "=" * (-len(plain) % 4))
    )
    raw = wrapped.join_request
    if wrapped.compression == rtc.WrappedJoinRequest.GZIP:
        raw = zlib.decompress(raw, _GZIP)
    return rtc.JoinRequest.FromString(raw)


def _packed(join: rtc.JoinRequest) -> str:
    wrapped = rtc.WrappedJoinRequest(join_request=join.SerializeToString())
    return base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()
