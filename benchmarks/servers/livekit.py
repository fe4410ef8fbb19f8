"""LiveKit, over its WebSocket signaling: a teacher offers, a school is offered."""

import asyncio
import contextlib
import json
import socket
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import aiohttp
import jwt
import yaml
from livekit.protocol import models, rtc

from benchmarks import session
from benchmarks.generator import JoinError
from benchmarks.servers.base import PEERS, Running, Server, not_installed
from benchmarks.servers.program import free_port, output, program
from benchmarks.session import Local, Remote, Role

_PROGRAM = PEERS / "livekit" / "livekit-server"
_ROOM = "bench"
KEY, SECRET = "benchmark", "only-for-a-server-on-this-machine"
_PROTOCOL = 15
_PING = 10.0
_CHECKS = 0.15
"""It must have our answer and a check before it knows whose DTLS comes to its one port."""
_BATCH_IO: dict[str, object] = {"batch_size": 128, "max_flush_interval": "2ms"}
# Without, it offers its viewers no transport-wide feedback.
_CONGESTION_CONTROL: dict[str, object] = {
    "enabled": True,
    "allow_pause": True,
    "use_send_side_bwe": True,
}


class LiveKit(Server):
    """One UDP port, batched writes, ICE lite, transport-wide feedback."""

    name = "livekit"
    settings: ClassVar[Mapping[str, object]] = {
        "rtc.udp_port": "one",
        "rtc.use_ice_lite": True,
        "rtc.batch_io": _BATCH_IO,
        "rtc.congestion_control": _CONGESTION_CONTROL,
        "logging.level": "error",
    }

    def missing(self) -> str | None:
        """The program that `install.sh` builds."""
        return None if _PROGRAM.exists() else not_installed("livekit-server", self.name)

    async def version(self) -> str:
        """What it prints, "livekit-server version 1.11.0"."""
        return (await output([_PROGRAM, "--version"])).split()[-1]

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[Running]:
        """A server without a room: the first to join makes it."""
        port = free_port()
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder) / "livekit.yaml"
            config.write_text(configuration(port, free_port(socket.SOCK_DGRAM)))
            async with program([_PROGRAM, "--config", config]) as running, _rooms(port) as rooms:
                await running.listens(port)
                yield Running(running.pid, rooms, rooms)


def configuration(port: int, udp_port: int) -> str:
    """Its configuration file."""
    return yaml.safe_dump(
        {
            "port": port,
            "bind_addresses": ["127.0.0.1"],
            "keys": {KEY: SECRET},
            "logging": {"level": "error", "pion_level": "error"},
            "rtc": {
                "udp_port": udp_port,
                "tcp_port": 0,
                "node_ip": "127.0.0.1",
                "use_external_ip": False,
                "enable_loopback_candidate": True,
                "interfaces": {"includes": ["lo"]},
                "use_ice_lite": True,
                "batch_io": _BATCH_IO,
                "congestion_control": _CONGESTION_CONTROL,
            },
        }
    )


class _Rooms:
    """Everybody's WebSocket, kept alive."""

    def __init__(self, port: int) -> None:
        self._url = f"ws://127.0.0.1:{port}/rtc"
        self._joined = 0
        self._talks: list[asyncio.Task[None]] = []

    async def join(self, http: aiohttp.ClientSession, me: Local, role: Role) -> Remote:
        self._joined += 1
        query = {
            "access_token": token(f"{role}-{self._joined}"),
            "auto_subscribe": str(int(role == "school")),
            "protocol": str(_PROTOCOL),
        }
        ws = await http.ws_connect(self._url, params=query)
        found: asyncio.Future[Remote] = asyncio.get_running_loop().create_future()
        talk = _Teaching(ws, me, found) if role == "teacher" else _Watching(ws, me, found)
        self._talks.append(asyncio.create_task(talk.talk()))
        self._talks.append(asyncio.create_task(talk.ping()))
        return await found

    async def close(self) -> None:
        """Hang up."""
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)


@contextlib.asynccontextmanager
async def _rooms(port: int) -> AsyncIterator[_Rooms]:
    rooms = _Rooms(port)
    try:
        yield rooms
    finally:
        await rooms.close()


class _Talk(ABC):
    """One client's side of the signaling, until its server is found and ever after."""

    def __init__(
        self, ws: aiohttp.ClientWebSocketResponse, me: Local, found: asyncio.Future[Remote]
    ) -> None:
        self.ws = ws
        self.me = me
        self._found = found
        self._description = ""
        self._candidates: list[str] = []

    async def talk(self) -> None:
        """Answer what the server says."""
        async for message in self.ws:
            said = rtc.SignalResponse.FromString(message.data)
            if said.HasField("trickle"):
                self._candidates.append(json.loads(said.trickle.candidateInit)["candidate"])
            elif said.HasField("leave"):
                break
            else:
                await self.handle(said)
            self._look()
        if not self._found.done():
            self._found.set_exception(JoinError("livekit: it hung up"))

    async def ping(self) -> None:
        """Without, the server hangs up."""
        while True:
            await asyncio.sleep(_PING)
            now = rtc.Ping(timestamp=int(time.time() * 1000))
            await self.send(rtc.SignalRequest(ping_req=now))

    @abstractmethod
    async def handle(self, said: rtc.SignalResponse) -> None:
        """What only a teacher or only a school hears."""

    async def send(self, request: rtc.SignalRequest) -> None:
        """Say something."""
        await self.ws.send_bytes(request.SerializeToString())

    def describe(self, description: str) -> None:
        """The server has described itself, perhaps again."""
        self._description = description

    def _look(self) -> None:
        """Is what has been said by now enough?"""
        if self._found.done() or "H264" not in self._description:
            return
        trickled = "".join(f"a={candidate}\r\n" for candidate in self._candidates)
        with contextlib.suppress(session.DescriptionError):
            remote = session.remote(self._description + trickled)
            self._found.set_result(replace(remote, checks=_CHECKS))


class _Teaching(_Talk):
    _announced = 0

    async def handle(self, said: rtc.SignalResponse) -> None:
        if said.HasField("join"):
            for request in tracks():
                await self.send(rtc.SignalRequest(add_track=request))
        elif said.HasField("track_published"):
            self._announced += 1
            if self._announced == len(tracks()):
                offer = rtc.SessionDescription(type="offer", sdp=session.offer(self.me, "teacher"))
                await self.send(rtc.SignalRequest(offer=offer))
        elif said.HasField("answer"):
            self.describe(said.answer.sdp)


class _Watching(_Talk):
    async def handle(self, said: rtc.SignalResponse) -> None:
        if said.HasField("offer"):
            self.describe(said.offer.sdp)
            answered = session.answer(said.offer.sdp, self.me)
            answer = rtc.SessionDescription(type="answer", sdp=answered, id=said.offer.id)
            await self.send(rtc.SignalRequest(answer=answer))


def tracks() -> list[rtc.AddTrackRequest]:
    """What a teacher announces before he offers; the identifiers are those of his offer."""
    audio, video = session.AUDIO_MSID.split()[1], session.VIDEO_MSID.split()[1]
    layer = models.VideoLayer(quality=models.HIGH, width=1280, height=720, bitrate=2_000_000)
    return [
        rtc.AddTrackRequest(
            cid=audio, type=models.AUDIO, source=models.MICROPHONE, disable_red=True
        ),
        rtc.AddTrackRequest(
            cid=video,
            type=models.VIDEO,
            source=models.CAMERA,
            width=1280,
            height=720,
            layers=[layer],
        ),
    ]


def token(identity: str) -> str:
    """The grant of an hour in the one room."""
    now = int(time.time())
    grants = {"room": _ROOM, "roomJoin": True}
    claims = {"iss": KEY, "sub": identity, "nbf": now - 10, "exp": now + 3600, "video": grants}
    return jwt.encode(claims, SECRET, algorithm="HS256")
