"""Two participants by PyPI's `livekit`, run by the interpreter that has that release.

    python livekit_program.py URL TOKEN_A TOKEN_B

Prints a line for each thing that was seen to work. After `cut` the caller breaks the signalling,
mends it, and answers with a line. A program of its own, for the SDK may abort when an interpreter
ends.
"""

import asyncio
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

from livekit import rtc
from livekit.rtc._proto.track_publication_pb2 import VideoQuality

WIDTH, HEIGHT, FPS = 960, 540, 15
PATIENCE = 40.0
CLIMB = 80.0
"""Seconds for a sender to believe in its line again, and to send its larger pictures."""


class Seen:
    """What B has got."""

    def __init__(self) -> None:
        self.frames = 0
        self.sounds = 0
        self.width = 0
        self.events: list[str] = []
        self.texts: list[str] = []


async def until(holds: Callable[[], Any], what: str, patience: float = PATIENCE) -> None:
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {patience:.0f} s")
        await asyncio.sleep(0.05)


async def show(source: rtc.VideoSource) -> None:
    number = 0
    while True:
        number += 1
        pixels = bytes((number * 3 % 256, 90, number % 256, 255)) * (WIDTH * HEIGHT)
        source.capture_frame(rtc.VideoFrame(WIDTH, HEIGHT, rtc.VideoBufferType.RGBA, pixels))
        await asyncio.sleep(1 / FPS)


async def speak(source: rtc.AudioSource) -> None:
    while True:
        await source.capture_frame(rtc.AudioFrame(bytes(960), 48000, 1, 480))


async def watch(track: Any, seen: Seen) -> None:
    if track.kind == rtc.TrackKind.KIND_VIDEO:
        async for event in rtc.VideoStream(track):
            seen.frames, seen.width = seen.frames + 1, event.frame.width
    else:
        async for _ in rtc.AudioStream(track):
            seen.sounds += 1


def say(word: str) -> None:
    print(word, flush=True)


async def run(url: str, token_a: str, token_b: str) -> None:
    a, b, seen = rtc.Room(), rtc.Room(), Seen()
    tasks: list[asyncio.Task[None]] = []
    b.on("track_subscribed", lambda t, *_: tasks.append(asyncio.ensure_future(watch(t, seen))))
    b.on("data_received", lambda packet: seen.texts.append(packet.data.decode()))
    for room, name in ((a, "a"), (b, "b")):
        room.on("reconnected", lambda name=name: seen.events.append(name))
    await a.connect(url, token_a)
    await b.connect(url, token_b)
    await until(lambda: a.remote_participants and b.remote_participants, "seeing each other")
    say("connect")

    picture, sound = rtc.VideoSource(WIDTH, HEIGHT), rtc.AudioSource(48000, 1)
    video = rtc.LocalVideoTrack.create_video_track("camera", picture)
    audio = rtc.LocalAudioTrack.create_audio_track("microphone", sound)
    camera = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA, simulcast=True)
    microphone = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    await a.local_participant.publish_track(video, camera)
    await a.local_participant.publish_track(audio, microphone)
    tasks += [asyncio.ensure_future(show(picture)), asyncio.ensure_future(speak(sound))]
    say("publish")
    await until(lambda: seen.frames > 20 and seen.sounds > 20, "pictures and sound")
    say("subscribe")

    for text in ("one", "two", "three"):
        await a.local_participant.publish_data(text, reliable=True)
    await until(lambda: seen.texts == ["one", "two", "three"], "three words in order")
    say("data")

    (publisher,) = b.remote_participants.values()
    publication = next(p for p in publisher.track_publications.values() if p.name == "camera")
    for quality, fits in (
        (VideoQuality.VIDEO_QUALITY_LOW, lambda: 0 < seen.width <= WIDTH // 3),
        (VideoQuality.VIDEO_QUALITY_HIGH, lambda: seen.width > WIDTH // 3),
    ):
        publication.set_video_quality(quality)
        await until(fits, f"another layer than the one {seen.width} wide", CLIMB)
    say("simulcast")

    say("cut")
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    await until(lambda: {"a", "b"} <= set(seen.events), "both to resume")
    frames = seen.frames
    await a.local_participant.publish_data("four", reliable=True)
    await until(lambda: seen.texts[-1] == "four" and seen.frames > frames + 10, "going on")
    say("resume")
    for task in tasks:
        task.cancel()
    await a.disconnect()
    await b.disconnect()


def main() -> None:
    code = 0
    try:
        asyncio.run(run(*sys.argv[1:]))
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


main()
