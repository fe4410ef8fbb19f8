"""aiortc teaches by WHIP and watches by WHEP: clients that share no code with the node."""

import asyncio
import io
import json
from pathlib import Path

import av
import pytest
from aiortc import RTCDataChannel, RTCPeerConnection

from clients.headless.api import Api
from clients.headless.errors import EndpointError
from clients.headless.marks import CAMERA_STRIP, luma_of
from clients.headless.node import Node
from clients.headless.replay import Seen
from clients.headless.whip import Endpoint, negotiate, peer_connection
from tests.e2e.classroom import (
    archived,
    breaks,
    live_id,
    replayed,
    teaching,
    until,
    watching,
)


async def test_every_picture_arrives_and_is_archived(node: Node, lesson_clip: Path):
    async with teaching(node.url, "math", lesson_clip, lesson_clip) as lesson:
        async with watching(node.url, "math", slides=True) as pupil:
            await pupil.sees(100)
            report = await pupil.school.measure()
            await until(lambda: pupil.school.report.slides_frames > 50, 5, "slides")
        assert lesson.camera is not None
        sent = lesson.camera.sent
    assert breaks(pupil.numbers) == []
    assert report.lost == 0
    assert report.audio_packets > 100
    assert report.first_frame_ms is not None
    assert report.first_frame_ms < 10_000  # some 300 on a quiet machine

    entry = await archived(node.url, "math")
    assert entry["state"] == "complete"
    assert {view["source"] for view in entry["views"]} == {"camera", "slides"}
    seen = await replayed(node.url, entry)
    assert breaks(seen.taught) == []
    assert seen.taught[0] == 0
    assert seen.frames >= sent - 5
    assert seen.beeps
    slides = await replayed(node.url, entry, "slides")
    assert breaks(slides.taught) == []
    assert slides.frames >= sent - 5


async def test_vp8_is_forwarded_and_archived(node: Node, vp8_clip: Path):
    async with teaching(node.url, "math", vp8_clip) as lesson:
        async with watching(node.url, "math") as pupil:
            await pupil.sees(60)
            report = await pupil.school.measure()
        assert lesson.camera is not None
        sent = lesson.camera.sent
    assert breaks(pupil.numbers) == []
    assert report.lost == 0

    entry = await archived(node.url, "math")
    (view,) = entry["views"]
    assert (view["codec"], view["hls"]) == ("VP8", None)
    async with Api(node.url) as api:
        await api.become("archivist", "math")
        webm = await api.file(view["webm"])
    with av.open(io.BytesIO(webm)) as container:
        numbers = [CAMERA_STRIP.read(luma_of(frame)) for frame in container.decode(video=0)]
    assert breaks(Seen(numbers=numbers).taught) == []
    assert len(numbers) >= sent - 5


async def test_a_late_school_joins_at_a_keyframe(node: Node, lesson_clip: Path):
    async with teaching(node.url, "math", lesson_clip), watching(node.url, "math") as early:
        await early.sees(45)
        async with watching(node.url, "math") as late:
            await late.sees(30)
    assert late.numbers[0] is not None
    assert late.numbers[0] % 15 == 0
    assert breaks(late.numbers) == []
    assert breaks(early.numbers) == []


async def test_schools_are_told_of_the_end(node: Node, lesson_clip: Path):
    async with (
        teaching(node.url, "math", lesson_clip) as lesson,
        watching(node.url, "math") as pupil,
    ):
        await pupil.sees(10)
        await lesson.stop()
        await asyncio.wait_for(pupil.school.over.wait(), 30)
    assert pupil.school.report.ended


async def test_nothing_is_live_yet(node: Node):
    with pytest.raises(EndpointError, match="no lesson in progress; try again in") as no:
        async with watching(node.url, "empty"):
            pass
    assert no.value.status == 409


async def test_a_second_teacher_waits(node: Node, lesson_clip: Path):
    async with teaching(node.url, "math", lesson_clip):
        with pytest.raises(EndpointError, match="has a teacher already") as no:
            async with teaching(node.url, "math", lesson_clip):
                pass
    assert no.value.status == 409


async def test_the_api_ends_a_lesson(node: Node, lesson_clip: Path):
    async with teaching(node.url, "math", lesson_clip):
        lesson_id = await live_id(node.url, "math")
        async with Api(node.url) as api:
            await api.become("teacher", "math")
            await asyncio.sleep(1.5)  # something to archive
            await api.end("math")
            assert await api.live("math") is None
        assert (await archived(node.url, "math"))["id"] == lesson_id


class Member:
    """Someone in the lesson who has the channel `chat`."""

    def __init__(self, connection: RTCPeerConnection) -> None:
        self.connection = connection
        self.heard: list[str] = []
        self.channel: RTCDataChannel = connection.createDataChannel("chat")
        self.channel.on("message", self.heard.append)

    async def ready(self) -> None:
        await until(lambda: self.channel.readyState == "open", 10, "the data channel")


async def test_messages_go_to_all_others(node: Node, lesson_clip: Path):
    async with Api(node.url) as api:
        token = await api.become("school", "math")
    async with (
        teaching(node.url, "math", lesson_clip),
        Endpoint(f"{node.url}/math/whep", token) as endpoint,
    ):
        members = []
        for _ in range(3):
            member = Member(peer_connection())
            member.connection.addTransceiver("audio", direction="recvonly")
            await negotiate(member.connection, endpoint)
            members.append(member)
        for member in members:
            await member.ready()
        await asyncio.sleep(0.3)  # the other side's OPEN has to reach the node
        members[0].channel.send(json.dumps({"text": "你好"}))
        await until(lambda: members[1].heard and members[2].heard, 5, "the message")
        members[1].channel.send("second")
        await until(lambda: len(members[0].heard) == 1, 5, "the reply")
        assert members[0].heard == ["second"]
        assert members[1].heard == [json.dumps({"text": "你好"})]
        assert members[2].heard == [json.dumps({"text": "你好"}), "second"]
        for member in members:
            await member.connection.close()
