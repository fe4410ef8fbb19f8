"""Two participants by LiveKit's own SDK (libwebrtc), driven by lines on stdin. A program of its
own, for the SDK may abort when an interpreter ends.

    python livekit_pair.py URL_A TOKEN_A URL_B TOKEN_B {single|dual}

Each line is a JSON list, a command and its arguments; each is answered by one line of JSON.
"""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from livekit import rtc

WIDTH, HEIGHT = 320, 180
TONE = bytes(480 * 2)


class Pair:
    """A publishes, B listens."""

    def __init__(self, ways: list[str], *, single: bool) -> None:
        """`ways` is URL and token of A and of B."""
        self._ways = ways
        self._options = rtc.RoomOptions(single_peer_connection=single)
        self._a, self._b = rtc.Room(), rtc.Room()
        self._tasks: set[asyncio.Task[None]] = set()
        self._frames: Counter[str] = Counter()
        self._events: list[str] = []
        self._heard: dict[str, list[str]] = {"a": [], "b": []}
        self._publications: dict[str, rtc.LocalTrackPublication] = {}
        self._changed = asyncio.Event()

    async def join(self) -> list[str]:
        """Both are in the lesson, and see each other."""
        for name, room in (("a", self._a), ("b", self._b)):
            room.on("data_received", lambda packet, name=name: self._hear(name, packet))
            for event in ("reconnecting", "reconnected", "disconnected"):
                room.on(event, lambda *_, name=name, event=event: self._note(f"{name} {event}"))
        self._a.on("participant_connected", lambda _: self._changed.set())
        self._b.on("track_subscribed", self._watch)
        self._b.on("track_unpublished", lambda track, _: self._note(f"b lost {track.name}"))
        self._b.on("track_muted", lambda _, track: self._note(f"b muted {track.name}"))
        await self._a.connect(*self._ways[:2], self._options)
        await self._b.connect(*self._ways[2:], self._options)
        await self._until(lambda: bool(self._a.remote_participants))
        return [*self._a.remote_participants, *self._b.remote_participants]

    async def publish(self, name: str) -> str:
        """A publishes "camera", "microphone", or what else is a camera's picture."""
        if name == "microphone":
            sound = rtc.AudioSource(48000, 1)
            track: Any = rtc.LocalAudioTrack.create_audio_track(name, sound)
            source = rtc.TrackSource.SOURCE_MICROPHONE
            self._spawn(self._speak(sound))
        else:
            picture = rtc.VideoSource(WIDTH, HEIGHT)
            track = rtc.LocalVideoTrack.create_video_track(name, picture)
            source = (
                rtc.TrackSource.SOURCE_CAMERA
                if name == "camera"
                else rtc.TrackSource.SOURCE_SCREENSHARE
            )
            self._spawn(self._show(picture))
        options = rtc.TrackPublishOptions(source=source, simulcast=name == "camera")
        publication = await self._a.local_participant.publish_track(track, options)
        self._publications[name] = publication
        return publication.sid

    async def unpublish(self, name: str) -> None:
        """A takes a track back."""
        await self._a.local_participant.unpublish_track(self._publications.pop(name).sid)

    async def mute(self, name: str) -> None:
        """A mutes a track."""
        track = self._publications[name].track
        assert track is not None
        track.mute()  # type: ignore[union-attr]

    async def say(self, who: str, reliable: bool, *texts: str) -> None:
        """A or B says these to everybody."""
        room = self._a if who == "a" else self._b
        for text in texts:
            await room.local_participant.publish_data(text, reliable=reliable)

    async def wait_frames(self, name: str, count: int) -> int:
        """B has got this many more frames of a track."""
        goal = self._frames[name] + count
        await self._until(lambda: self._frames[name] >= goal)
        return self._frames[name]

    async def wait_event(self, event: str) -> None:
        """This has happened."""
        await self._until(lambda: event in self._events)

    async def wait_heard(self, who: str, count: int) -> list[str]:
        """Somebody has heard this many messages."""
        await self._until(lambda: len(self._heard[who]) >= count)
        return self._heard[who]

    async def frames(self) -> dict[str, int]:
        """What B has got."""
        return dict(self._frames)

    async def events(self) -> list[str]:
        """What has happened."""
        return self._events

    async def leave(self) -> None:
        """Both go."""
        for task in self._tasks:
            task.cancel()
        await self._a.disconnect()
        await self._b.disconnect()

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._changed.clear()
            await self._changed.wait()

    def _note(self, event: str) -> None:
        self._events.append(event)
        self._changed.set()

    def _hear(self, name: str, packet: rtc.DataPacket) -> None:
        self._heard[name].append(packet.data.decode())
        self._changed.set()

    def _watch(self, track: Any, publication: Any, participant: Any) -> None:
        self._spawn(self._count(track, publication.name))

    async def _count(self, track: Any, name: str) -> None:
        is_video = track.kind == rtc.TrackKind.KIND_VIDEO
        stream = rtc.VideoStream(track) if is_video else rtc.AudioStream(track)
        async for _ in stream:
            self._frames[name] += 1
            self._changed.set()

    async def _show(self, source: rtc.VideoSource) -> None:
        number = 0
        while True:
            number += 1
            pixels = bytes([number % 256, 90, 160, 255]) * (WIDTH * HEIGHT)
            source.capture_frame(rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.RGBA, pixels))
            await asyncio.sleep(1 / 15)

    async def _speak(self, source: rtc.AudioSource) -> None:
        while True:
            await source.capture_frame(rtc.AudioFrame(TONE, 48000, 1, 480))

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)


async def main() -> None:
    *ways, topology = sys.argv[1:]
    pair = Pair(ways, single=topology == "single")
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        name, *arguments = json.loads(line)
        command: Callable[..., Awaitable[Any]] = getattr(pair, name)
        try:
            answer = {"ok": await asyncio.wait_for(command(*arguments), 80)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
    sys.stdout.flush()
    os._exit(0)


asyncio.run(main())
