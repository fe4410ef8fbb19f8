"""LiveKit in the place of our node: the same teacher, the same viewer, the same link.

What the two pages and the server say to each other is carried by hand, on the good side, and so
takes no time on the link. LiveKit's layers have the names that ours have: q, h, f.
"""

import asyncio
import contextlib
import json
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import yaml
from livekit.protocol import models, rtc
from playwright.async_api import Page

from benchmarks.linklab.lab import Lab, LabError
from benchmarks.linklab.systems import Call, System, Teaching
from benchmarks.servers.base import PEERS, ServerError, not_installed
from benchmarks.servers.livekit import configuration, token
from benchmarks.servers.program import free_port, program

_PROGRAM = PEERS / "livekit" / "livekit-server"
_PROTOCOL = 15
_PING = 5.0
_PATIENCE = 15.0
_CHANNELS = ("_reliable", "_lossy")
"""Who publishes has not joined before these are open."""
_SOURCES = {"camera": models.CAMERA, "slides": models.SCREEN_SHARE}
_LAYERS = (  # of the camera, as the teacher's page sends it
    (models.LOW, 240, 135, 120_000),
    (models.MEDIUM, 480, 270, 400_000),
    (models.HIGH, 960, 540, 1_200_000),
)


class LiveKit(System):
    """With its congestion control by transport-wide feedback, which may pause pictures."""

    name = "livekit"

    @contextlib.asynccontextmanager
    async def run(self, lab: Lab) -> AsyncIterator[Call]:
        """The calling thread is on the good side. Raises ServerError."""
        if not _PROGRAM.exists():
            raise ServerError(not_installed("livekit-server", self.name))
        port = free_port()
        config = lab.folder / "livekit.yaml"
        config.write_text(_configuration(port, lab.good.address))
        async with (
            program([_PROGRAM, "--config", config]) as running,
            aiohttp.ClientSession() as http,
        ):
            await running.listens(port)
            try:
                async with asyncio.TaskGroup() as talks:
                    call = _Room(http, f"ws://127.0.0.1:{port}/rtc", talks)
                    yield call
                    call.hang_up()
            except* (LabError, aiohttp.ClientError) as broken:
                raise LabError(f"livekit: {broken.exceptions[0]}") from None


def _configuration(port: int, address: str) -> str:
    """That of the other benchmarks, but for the address that the school can reach."""
    said = yaml.safe_load(configuration(port, free_port(socket.SOCK_DGRAM)))
    said["rtc"] |= {"node_ip": address, "interfaces": {"includes": ["wan"]}}
    return yaml.safe_dump(said)


class _Room(Call):
    broadcasts = True

    def __init__(self, http: aiohttp.ClientSession, url: str, talks: asyncio.TaskGroup) -> None:
        self._http = http
        self._url = url
        self._talks = talks
        self._tasks: list[asyncio.Task[None]] = []

    async def teach(self, page: Page, teaching: Teaching) -> None:
        talk = _Teacher(await self._dial("teacher", subscribe=False), page)
        talk.offer = await page.evaluate("options => linklab.offer(options)", _simulcast(teaching))
        talk.tracks = await page.evaluate("() => linklab.trackIds()")
        await self._begin(talk)

    async def join(self, teacher: Page, viewer: Page) -> int:
        began = time.time_ns() // 1_000_000
        await self._begin(_Viewer(await self._dial("school", subscribe=True), viewer))
        return began

    async def counters(self, teacher: Page) -> dict[str, Any]:
        return {}

    def hang_up(self) -> None:
        """The lesson is over."""
        for task in self._tasks:
            task.cancel()

    async def _dial(self, who: str, *, subscribe: bool) -> aiohttp.ClientWebSocketResponse:
        query = {
            "access_token": token(who),
            "auto_subscribe": str(int(subscribe)),
            "protocol": str(_PROTOCOL),
        }
        return await self._http.ws_connect(self._url, params=query)

    async def _begin(self, talk: "_Talk") -> None:
        """Until both have been described to each other."""
        self._tasks += [self._talks.create_task(job) for job in (talk.listen(), talk.ping())]
        try:
            async with asyncio.timeout(_PATIENCE):
                await talk.described.wait()
        except TimeoutError:
            raise LabError("livekit described nothing in time") from None


def _simulcast(teaching: Teaching) -> dict[str, object]:
    return {**teaching.options, "simulcast": True, "channels": _CHANNELS}


class _Talk(ABC):
    """What is said between the server and one page."""

    target: int
    """Which of LiveKit's two connections of a client this page has."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse, page: Page) -> None:
        self.page = page
        self.described = asyncio.Event()
        self._ws = ws

    async def listen(self) -> None:
        """Hand on what the server says."""
        async for message in self._ws:
            said = rtc.SignalResponse.FromString(message.data)
            if said.HasField("trickle"):
                candidate = json.loads(said.trickle.candidateInit)
                take = "candidate" if said.trickle.target == self.target else "otherCandidate"
                await self.page.evaluate(f"init => linklab.{take}(init)", candidate)
            elif said.HasField("leave"):
                reason = models.DisconnectReason.Name(said.leave.reason)
                raise LabError(f"livekit threw out {type(self).__name__}: {reason}")
            else:
                await self.handle(said)

    async def ping(self) -> None:
        """Without, the server hangs up."""
        while not self._ws.closed:
            await asyncio.sleep(_PING)
            now = rtc.Ping(timestamp=int(time.time() * 1000))
            await self.send(rtc.SignalRequest(ping_req=now))

    async def send(self, request: rtc.SignalRequest) -> None:
        """Say something."""
        await self._ws.send_bytes(request.SerializeToString())

    @abstractmethod
    async def handle(self, said: rtc.SignalResponse) -> None:
        """What only a teacher or only a viewer hears."""


class _Teacher(_Talk):
    target = rtc.PUBLISHER
    offer = ""
    tracks: dict[str, str]
    """The browser's name of each track, by source."""
    _announced = 0

    async def handle(self, said: rtc.SignalResponse) -> None:
        if said.HasField("join"):
            for source, cid in self.tracks.items():
                await self.send(rtc.SignalRequest(add_track=_announcement(source, cid)))
        elif said.HasField("track_published"):
            self._announced += 1
            if self._announced == len(self.tracks):
                offer = rtc.SessionDescription(type="offer", sdp=self.offer)
                await self.send(rtc.SignalRequest(offer=offer))
        elif said.HasField("offer"):  # of the connection by which a teacher would receive
            answered = await self.page.evaluate("sdp => linklab.answerOther(sdp)", said.offer.sdp)
            answer = rtc.SessionDescription(type="answer", sdp=answered, id=said.offer.id)
            await self.send(rtc.SignalRequest(answer=answer))
        elif said.HasField("answer"):
            await self.page.evaluate("sdp => linklab.answer(sdp)", said.answer.sdp)
            self.described.set()


def _announcement(source: str, cid: str) -> rtc.AddTrackRequest:
    if source == "microphone":
        return rtc.AddTrackRequest(
            cid=cid, type=models.AUDIO, source=models.MICROPHONE, disable_dtx=True
        )
    layers = [
        models.VideoLayer(quality=quality, width=width, height=height, bitrate=bitrate)
        for quality, width, height, bitrate in _LAYERS
    ]
    if source == "slides":
        high = models.VideoLayer(quality=models.HIGH, width=1280, height=720, bitrate=5_000_000)
        layers = [high]
    top = layers[-1]
    return rtc.AddTrackRequest(
        cid=cid,
        type=models.VIDEO,
        source=_SOURCES[source],
        width=top.width,
        height=top.height,
        layers=layers,
    )


class _Viewer(_Talk):
    target = rtc.SUBSCRIBER

    def __init__(self, ws: aiohttp.ClientWebSocketResponse, page: Page) -> None:
        super().__init__(ws, page)
        self._sources: dict[str, str] = {}  # by LiveKit's name of the track

    async def handle(self, said: rtc.SignalResponse) -> None:
        if said.HasField("join"):
            for participant in said.join.other_participants:
                self._learn(participant)
        elif said.HasField("update"):
            for participant in said.update.participants:
                self._learn(participant)
        elif said.HasField("offer"):
            known = [said.offer.sdp, self._sources]
            sdp = await self.page.evaluate("known => linklab.answer(...known)", known)
            answer = rtc.SessionDescription(type="answer", sdp=sdp, id=said.offer.id)
            await self.send(rtc.SignalRequest(answer=answer))
            self.described.set()
        elif said.HasField("stream_state_update"):
            for state in said.stream_state_update.stream_states:
                await self._tell(state)

    def _learn(self, participant: models.ParticipantInfo) -> None:
        names = {models.MICROPHONE: "microphone"} | {kind: name for name, kind in _SOURCES.items()}
        self._sources |= {track.sid: names[track.source] for track in participant.tracks}

    async def _tell(self, state: rtc.StreamStateInfo) -> None:
        """A pause counts as announced, as it does where a data channel tells of it."""
        word = "paused" if state.state == rtc.PAUSED else "playing"
        source = self._sources.get(state.track_sid, "")
        text = json.dumps({"type": "quality", "source": source, "state": word})
        await self.page.evaluate("text => linklab.told(text)", text)
