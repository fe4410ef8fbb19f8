"""A client of LiveKit's as the tests need one: its WebSocket, and a peer behind it."""

import base64
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import ClientWebSocketResponse, WSMsgType
from livekit.protocol import models, rtc

from tests.signaling.conftest import House, Peer, offer, token

_PATIENCE = 30
"""Seconds for a word that must come."""


def url(path: str, **wishes: Any) -> str:
    """The WebSocket's address, with a JoinRequest for v1."""
    if not path.endswith("v1"):
        query = {"auto_subscribe": "1", **wishes}
        return f"{path}?" + "&".join(f"{name}={value}" for name, value in query.items())
    request = rtc.JoinRequest(**wishes)
    request.connection_settings.auto_subscribe = True
    wrapped = rtc.WrappedJoinRequest(join_request=request.SerializeToString())
    text = base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()
    return f"{path}?join_request={text}"


@dataclass
class Client:
    """One participant."""

    house: House
    identity: str
    role: str = "assistant"
    path: str = "/rtc/v1"
    heard: list[rtc.SignalResponse] = field(default_factory=list)
    """All of it."""
    unread: list[rtc.SignalResponse] = field(default_factory=list)
    """What nobody has asked for yet."""
    peer: Peer | None = None
    _welcomed: bool = False

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.socket.close()

    async def connect(self, bearer: str | None = None, **wishes: Any) -> None:
        """Open the WebSocket."""
        bearer = bearer or token(self.role, identity=self.identity)
        self.socket: ClientWebSocketResponse = await self.house.client.ws_connect(
            url(self.path, **wishes), headers={"Authorization": f"Bearer {bearer}"}
        )

    async def say(self, **message: Any) -> None:
        """Send a SignalRequest."""
        await self.socket.send_bytes(rtc.SignalRequest(**message).SerializeToString())

    async def hear(self, kind: str) -> Any:
        """The next message of this kind; others may be heard later."""
        for response in self.unread:
            if response.WhichOneof("message") == kind:
                self.unread.remove(response)
                return getattr(response, kind)
        while True:
            message = await self.socket.receive(timeout=_PATIENCE)
            assert message.type is WSMsgType.BINARY, f"{message} instead of {kind}"
            response = rtc.SignalResponse.FromString(message.data)
            self.heard.append(response)
            if response.WhichOneof("message") == kind:
                return getattr(response, kind)
            self.unread.append(response)

    def count(self, kind: str) -> int:
        """How many messages of this kind have come."""
        return sum(response.WhichOneof("message") == kind for response in self.heard)

    async def hear_track(self, identity: str, count: int = 1) -> models.ParticipantInfo:
        """Somebody who publishes so many tracks, as the next update says, or what was said first:
        who comes a little later finds it there."""
        people = [] if self._welcomed else (await self._welcome()).other_participants
        while True:
            for info in people:
                if info.identity == identity and len(info.tracks) == count:
                    found: models.ParticipantInfo = info
                    return found
            people = (await self.hear("update")).participants

    async def _welcome(self) -> rtc.JoinResponse:
        """The first word, which others may still hear."""
        self._welcomed = True
        if not self.count("join"):
            self.unread.insert(0, rtc.SignalResponse(join=await self.hear("join")))
        return next(response.join for response in self.heard if response.HasField("join"))

    async def hear_gone(self, identity: str) -> None:
        """The update that says that somebody has left."""
        gone = models.ParticipantInfo.DISCONNECTED
        while True:
            update = await self.hear("update")
            if any((i.identity, i.state) == (identity, gone) for i in update.participants):
                return

    async def hear_closed(self) -> int:
        """The WebSocket's end; its code."""
        message = await self.socket.receive(timeout=_PATIENCE)
        while message.type is WSMsgType.BINARY:
            self.heard.append(rtc.SignalResponse.FromString(message.data))
            message = await self.socket.receive(timeout=_PATIENCE)
        assert self.socket.close_code is not None
        return self.socket.close_code

    async def negotiate(self, sdp: str, number: int = 1) -> rtc.SessionDescription:
        """Offer, and take the answer."""
        await self.say(offer=rtc.SessionDescription(type="offer", sdp=sdp, id=number))
        answer: rtc.SessionDescription = await self.hear("answer")
        return answer

    async def shake_hands(self, description: rtc.SessionDescription) -> Peer:
        """Connect to the transport that this description tells of."""
        number = next(
            number
            for number, (_, ufrag, _) in self.house.native.peers.items()
            if f"a=ice-ufrag:{ufrag}\r\n" in description.sdp
        )
        self.peer = Peer(self.house.native, number, description.sdp, "", "")
        await self.peer.connect()
        return self.peer

    async def publish(
        self, *cids: str, encryption: models.Encryption.Type = models.Encryption.NONE
    ) -> list[models.TrackInfo]:
        """Announce a microphone and two videos as `chromium_publish` offers them, connected."""
        infos = []
        kinds = (models.AUDIO, models.VIDEO, models.VIDEO)
        sources = (models.MICROPHONE, models.CAMERA, models.SCREEN_SHARE)
        for cid, kind, source in zip(cids, kinds, sources, strict=False):
            request = rtc.AddTrackRequest(cid=cid, type=kind, source=source, encryption=encryption)
            await self.say(add_track=request)
            infos.append((await self.hear("track_published")).track)
        await self.shake_hands(await self.negotiate(offer("chromium_publish")))
        return infos

    async def watch(self) -> rtc.SessionDescription:
        """Be asked for sections, and offer them."""
        await self.hear("media_sections_requirement")
        return await self.negotiate(offer("chromium_watch"), 7)
