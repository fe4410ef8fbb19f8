import asyncio
import json

import av
import pytest
from click.testing import CliRunner

from clients.headless.errors import ConnectionLost
from clients.headless.marks import CAMERA_STRIP, luma_of
from clients.headless.watch import FreezeCounter, School, command, watch
from clients.headless.whip import Endpoint
from tests.clients.responder import TOKEN, Responder


def url(responder: Responder) -> str:
    return f"{responder.address}/math/whep"


async def test_frames_are_decoded_and_counted(responder: Responder):
    report = await watch(url(responder), TOKEN, seconds=2.0, quiet=True)
    assert 40 <= report.video_frames <= 62
    assert 60 <= report.audio_packets <= 110
    assert (report.lost, report.freezes, report.slides_frames) == (0, 0, 0)
    assert report.first_frame_ms is not None
    assert 0 < report.first_frame_ms < 2000
    assert 1.0 < report.watched_s < 2.1
    assert responder.whep_deleted == 1


async def test_the_picture_seen_is_the_one_sent(responder: Responder):
    numbers: list[int | None] = []

    def look(frame: av.VideoFrame) -> None:
        numbers.append(CAMERA_STRIP.read(luma_of(frame)))

    async with Endpoint(url(responder), TOKEN) as endpoint:
        school = School(endpoint, on_frame=look)
        await school.start()
        await asyncio.sleep(1.0)
        await school.stop()
    assert len(numbers) > 15
    assert numbers == list(range(len(numbers)))


async def test_slides_on_demand(responder: Responder):
    report = await watch(url(responder), TOKEN, seconds=1.5, slides=True, quiet=True)
    assert report.slides_frames > 20
    assert report.video_frames > 20


async def test_the_end_of_the_lesson_ends_the_watching(responder: Responder):
    watching = asyncio.ensure_future(watch(url(responder), TOKEN, quiet=True))
    await asyncio.wait_for(responder.listening.wait(), 10)
    responder.tell_schools({"type": "news"})
    responder.tell_schools({"type": "ended"})
    report = await asyncio.wait_for(watching, 5)
    assert report.ended


async def test_a_node_that_goes_away_ends_the_watching(responder: Responder):
    seen = asyncio.Event()
    async with Endpoint(url(responder), TOKEN) as endpoint:
        school = School(endpoint, on_frame=lambda frame: seen.set())
        await school.start()
        await asyncio.wait_for(seen.wait(), 5)
        await responder.schools[0].close()
        await asyncio.wait_for(school.over.wait(), 5)
        report = await school.stop()
    assert not report.ended
    assert report.video_frames > 0


async def test_no_picture_is_an_error(responder: Responder):
    responder.silent = True
    with pytest.raises(ConnectionLost, match="was joined, but no picture came"):
        await watch(url(responder), TOKEN, seconds=0.5, quiet=True)


def test_freezes_follow_the_definition_of_webrtc_stats():
    counter = FreezeCounter()
    now = 0.0
    for gap in [1 / 30] * 40 + [0.18] + [1 / 30] * 40 + [0.25] + [1 / 30]:
        now += gap
        counter.frame(now)
    assert counter.count == 1


def test_a_slow_stream_is_not_frozen():
    counter = FreezeCounter()
    for number in range(40):
        counter.frame(number * 0.2)
    assert counter.count == 0


def test_the_command_tells_why_it_cannot_watch():
    result = CliRunner().invoke(command, ["http://127.0.0.1:9/math/whep"])
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: Nobody answers at http://127.0.0.1:9/math/whep")


async def test_the_command_prints_one_json_object(responder: Responder):
    run = asyncio.to_thread(
        CliRunner().invoke,
        command,
        [url(responder), "--token", TOKEN, "--seconds", "1.5", "--json"],
    )
    result = await run
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["video_frames"] > 20
    assert set(report) >= {"video_frames", "audio_packets", "lost", "first_frame_ms", "freezes"}
