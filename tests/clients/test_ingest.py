"""A source as a WHIP client: against an endpoint of aiortc, which answers as a node does."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest
from aiortc.mediastreams import MediaStreamError

from clients.headless.errors import SourceError
from clients.headless.ingest import Job, pull, with_loopback
from clients.headless.ingest_pull import LiveTrack, Pull
from clients.headless.ingest_source import Sent, Wish
from tests.clients.responder import TOKEN, Responder
from tests.clients.sources import write_source

ANSWER = (
    "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
    "a=candidate:1 1 udp 2130706431 203.0.113.5 7882 typ host\r\na=end-of-candidates\r\n"
)


def test_a_node_on_this_machine_is_found_there():
    told = with_loopback(ANSWER)
    assert (
        "203.0.113.5 7882 typ host\r\na=candidate:local 1 udp 1 127.0.0.1 7882 typ host\r\na=end"
        in told
    )
    assert with_loopback(told) == told
    assert with_loopback("v=0\r\n") == "v=0\r\n"


async def test_a_track_hands_out_what_is_due_and_ends():
    track = LiveTrack("video")
    track.offer(Sent("video", b"a", 10.5, 0.0))
    track.offer(None)
    packet = await track.recv()
    assert bytes(packet) == b"a"
    assert packet.pts == 945_000
    with pytest.raises(MediaStreamError):
        await track.recv()
    with pytest.raises(MediaStreamError):
        await track.recv()


async def test_far_too_much_is_dropped():
    track = LiveTrack("audio")
    for _ in range(10_000):
        track.offer(Sent("audio", b"a", 0.0, 0.0))
    for _ in range(4_000):
        await track.recv()
    waiting = asyncio.create_task(track.recv())
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()


async def test_a_source_that_is_not_there_is_told_of():
    reading = Pull(Wish("file:///no/such/file.mp4"), lambda report: None)
    with pytest.raises(SourceError, match="No such file"):
        await reading.open()


async def test_a_source_goes_into_a_lesson_and_says_goodbye(responder: Responder, tmp_path: Path):
    path = write_source(tmp_path / "clip.mp4", seconds=3)
    reports: list[Any] = []
    job = Job(Wish(f"file://{path}"), f"{responder.address}/math/whip", TOKEN, slides=True)
    reason = await pull(job, reports.append)
    assert reason == "The source has ended."
    assert reports[0]["state"] == "live"
    assert reports[0]["video"] == "H264 320x180"
    (taught,) = responder.taught
    assert taught.deleted
    assert "a=content:slides" in taught.offer
    assert sum(map(len, taught.pictures)) >= 85  # of 90: from its first to its last
    assert len(taught.sound) > 10


@pytest.mark.parametrize(
    ("job", "says"),
    [
        ({"url": "file:///no/such/file.mp4"}, "No such file"),
        ({"url": "gopher://x/"}, "A source begins with"),
    ],
)
async def test_a_job_that_fails_says_why(job: dict[str, str], says: str):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "clients.headless.ingest", "--job"), stdin=PIPE, stdout=PIPE
    )
    assert process.stdin
    assert process.stdout
    whole = {"transport": "tcp", "audio": True, "source": "camera", "whip": "", "token": "", **job}
    process.stdin.write(json.dumps(whole).encode() + b"\n")
    said = json.loads(await asyncio.wait_for(process.stdout.read(), 60))
    assert said["state"] == "failing"
    assert says in said["reason"]
    assert await process.wait() == 2
