"""A small WHIP/WHEP endpoint made with aiortc: what the headless clients are tested against.

Real sockets, real DTLS, no code of the node. WHIP decodes what it is sent; WHEP plays a file.
"""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path

import av
from aiohttp import web
from aiortc import (
    RTCDataChannel,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError, MediaStreamTrack
from aiortc.rtcrtpparameters import RTCRtpCodecCapability

from clients.headless.media import FileTrack, Playhead, inspect
from clients.headless.whip import peer_connection

TOKEN = "good"


@dataclass
class Taught:
    """What one WHIP session received."""

    offer: str
    connection: RTCPeerConnection
    pictures: list[list[av.VideoFrame]] = field(default_factory=list)
    sound: list[av.AudioFrame] = field(default_factory=list)
    receiving: asyncio.Event = field(default_factory=asyncio.Event)
    deleted: bool = False


class Responder:
    """The endpoint: `address` is its base URL once `start` was awaited."""

    def __init__(self, clip: Path, slides: Path | None = None) -> None:
        self.taught: list[Taught] = []
        self.schools: list[RTCPeerConnection] = []
        self.channels: list[RTCDataChannel] = []
        self.listening = asyncio.Event()
        """A school has opened a data channel."""
        self.whep_deleted = 0
        self.silent = False
        """Let schools join, but send them nothing."""
        self.address = ""
        self._clip = clip
        self._slides = slides
        self._readers: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/{lesson}/whip", self._whip)
        app.router.add_delete("/{lesson}/whip/{session}", self._end_whip)
        app.router.add_post("/{lesson}/whep", self._whep)
        app.router.add_delete("/{lesson}/whep/{session}", self._end_whep)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.address = f"http://127.0.0.1:{port}"

    async def stop(self) -> None:
        for reader in self._readers:
            reader.cancel()
        connections = [taught.connection for taught in self.taught] + self.schools
        await asyncio.gather(*(connection.close() for connection in connections))
        await self._runner.cleanup()

    def tell_schools(self, message: dict[str, str]) -> None:
        for channel in self.channels:
            channel.send(json.dumps(message))

    async def _whip(self, request: web.Request) -> web.Response:
        if refusal := _refusal(request):
            return refusal
        offer = await request.text()
        connection = peer_connection()
        taught = Taught(offer, connection)
        self.taught.append(taught)

        def on_track(track: MediaStreamTrack) -> None:
            store: list = taught.sound
            if track.kind == "video":
                store = []
                taught.pictures.append(store)
            self._readers.append(asyncio.ensure_future(_collect(track, store, taught.receiving)))

        connection.on("track", on_track)
        answer = await _answered(connection, offer)
        location = f"{request.path}/{len(self.taught) - 1}"
        return _created(answer, location)

    async def _end_whip(self, request: web.Request) -> web.Response:
        taught = self.taught[int(request.match_info["session"])]
        taught.deleted = True
        await taught.connection.close()
        return web.Response()

    async def _whep(self, request: web.Request) -> web.Response:
        if refusal := _refusal(request):
            return refusal
        connection = peer_connection()
        self.schools.append(connection)
        connection.on("datachannel", self._on_channel)
        answer = await _answered(connection, await request.text(), self._sources())
        return _created(answer, f"{request.path}/{len(self.schools) - 1}")

    async def _end_whep(self, request: web.Request) -> web.Response:
        self.whep_deleted += 1
        await self.schools[int(request.match_info["session"])].close()
        return web.Response()

    def _on_channel(self, channel: RTCDataChannel) -> None:
        self.channels.append(channel)
        self.listening.set()

    def _sources(self) -> list[MediaStreamTrack]:
        clip, playhead = inspect(self._clip), Playhead()
        if self.silent:
            return [AudioStreamTrack()]
        sources = [FileTrack(clip, kind, playhead, loop=True) for kind in ("audio", "video")]
        if self._slides:
            sources.append(FileTrack(inspect(self._slides), "video", playhead, loop=True))
        return sources


async def _answered(
    connection: RTCPeerConnection, offer: str, sources: list[MediaStreamTrack] | None = None
) -> str:
    sections = [section.split(" ")[0] for section in offer.split("m=")[1:]]
    for source in (sources or [])[: sum(kind != "application" for kind in sections)]:
        transceiver = connection.addTransceiver(source, direction="sendonly")
        if source.kind == "video":  # the clip's codec
            transceiver.setCodecPreferences([c for c in _video_codecs() if c.name == "H264"])
    await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    await connection.setLocalDescription(await connection.createAnswer())
    return connection.localDescription.sdp


def _video_codecs() -> list[RTCRtpCodecCapability]:
    return RTCRtpSender.getCapabilities("video").codecs


def _refusal(request: web.Request) -> web.Response | None:
    """Lessons named for the refusal they give."""
    if request.headers.get("Authorization") != f"Bearer {TOKEN}":
        return web.json_response({"error": "No token."}, status=401)
    match request.match_info["lesson"]:
        case "forbidden":
            return web.json_response({"error": "Not yours."}, status=403)
        case "unknown":
            return web.json_response({"error": "No such lesson."}, status=404)
        case "taken":
            return web.json_response({"error": "Taken."}, status=409)
        case "silent":
            return web.json_response({"error": "Wait."}, status=409, headers={"Retry-After": "3"})
        case "broken":
            return web.Response(status=500, text="engine on fire\nwith details")
        case "elsewhere":
            return web.Response(status=201, text="v=0\r\n")
    return None


def _created(answer: str, location: str) -> web.Response:
    headers = {"Location": location, "ETag": '"1"'}
    return web.Response(status=201, text=answer, content_type="application/sdp", headers=headers)


async def _collect(track: MediaStreamTrack, store: list, receiving: asyncio.Event) -> None:
    while True:
        try:
            store.append(await track.recv())
            receiving.set()
        except MediaStreamError:
            return
