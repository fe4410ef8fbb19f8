"""Cameras and recording boxes into lessons: real RTSP, RTMP and SRT, none of it ours."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from clients.headless import demo_voice
from clients.headless.api import Api
from clients.headless.marks import FLASH_PERIOD, beep_onsets
from clients.headless.node import Node
from tests.clients.clips import write_clip
from tests.e2e.classroom import (
    CLIP_FRAMES,
    archived,
    breaks,
    replayed,
    teaching,
    until,
    watching,
)
from tests.e2e.conftest import StartNode
from tests.e2e.feeds import (
    ALLOWED,
    BOX,
    OLD_CAMERA,
    Platform,
    camera,
    desk,
    free_port,
    gstreamer,
)
from tests.e2e.processes import children, command_line


@pytest.fixture
async def open_node(start_node: StartNode) -> Node:
    """A node that pulls from this machine and pushes to it."""
    return await start_node(ALLOWED)


@pytest.fixture
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A running RTMP server."""
    made = Platform(tmp_path_factory.mktemp("platform"))
    await made.start()
    yield made
    await made.stop()


async def tracks_flow(url: str, lesson: str = "math") -> bool:
    """Sound and picture have begun."""
    async with Api(url) as api:
        await api.become("teacher", lesson)
        live = await api.live(lesson)
    return live is not None and {t["kind"] for t in live["tracks"]} == {"audio", "video"}


async def test_a_camera_gives_a_lesson_as_it_is(open_node: Node):
    url = open_node.url
    async with camera() as source, desk(url) as teacher:
        secret = source.replace("rtsp://", "rtsp://admin:geheim@")
        feed = await teacher.begin("ingest", url=secret, role="teacher", name="Great hall")
        assert feed["url"] == source
        live = await teacher.reaches("ingest", "live")
        assert (live["video"], live["audio"]) == ("H264 320x180", "opus")
        await until(lambda: tracks_flow(url), 30, "sound and picture")
        async with watching(url, "math") as pupil:
            await until(lambda: pupil.school.report.video_frames > 60, 40, "pictures")
            assert (await pupil.school.measure()).audio_packets > 30
        assert await teacher.end("ingest", feed["id"]) == 204
        assert await teacher.feeds("ingest") == []
        assert await teacher.end("ingest", feed["id"]) == 404
    entry = await archived(url, "math", 40)
    assert entry["state"] == "complete"
    assert [(view["source"], view["codec"]) for view in entry["views"]] == [("camera", "H264")]
    assert not any("geheim" in line for line in open_node.log)


async def test_an_old_camera_comes_along_encoded_anew(open_node: Node, lesson_clip: Path):
    url = open_node.url
    async with camera(OLD_CAMERA) as source, desk(url) as teacher:
        assert (await teacher.post("ingest", url=source))[0] == 409  # nobody teaches yet
        async with teaching(url, "math", lesson_clip):
            await teacher.begin("ingest", url=source, source="slides", audio=True)
            live = await teacher.reaches("ingest", "live")
            assert live["audio"] == "pcm_alaw to opus"

            async def encoded_anew() -> bool:
                (feed,) = await teacher.feeds("ingest")
                return str(feed.get("video")) == "h264 to H264 320x180"

            await until(encoded_anew, 30, "B-frames to be found out")
            async with watching(url, "math", slides=True) as pupil:
                await until(lambda: pupil.school.report.slides_frames > 30, 40, "slides")

        async def gone() -> bool:
            return await teacher.feeds("ingest") == []

        await until(gone, 20, "the end of the pull with its lesson")


async def test_a_box_sends_by_srt(open_node: Node):
    url, port = open_node.url, free_port(socket.SOCK_DGRAM)
    sink = f"srtsink uri=srt://127.0.0.1:{port}?mode=listener passphrase=a-long-enough-one"
    async with gstreamer("pipeline", f"{BOX} ! {sink}"), desk(url) as teacher:
        box = f"srt://127.0.0.1:{port}?passphrase="
        wrong = await teacher.begin("ingest", url=f"{box}not-the-right-one", role="teacher")
        failing = await teacher.reaches("ingest", "failing")
        assert failing["state"] == "failing: The SRT peer uses another passphrase."
        await teacher.end("ingest", wrong["id"])
        await teacher.begin("ingest", url=f"{box}a-long-enough-one", role="teacher")
        live = await teacher.reaches("ingest", "live")
        assert live["video"] == "H264 320x180"
        assert live["url"] == f"srt://127.0.0.1:{port}"
        await until(lambda: tracks_flow(url), 30, "sound and picture")


async def test_a_lesson_goes_out_by_rtmp_and_comes_in_again(
    open_node: Node, platform: Platform, lesson_clip: Path
):
    url = open_node.url
    async with teaching(url, "math", lesson_clip), desk(url) as teacher, desk(url, "hall") as hall:
        await teacher.begin("push", url=platform.url)
        shown = await teacher.reaches("push", "live")
        assert "the-secret-key" not in str(shown)
        await hall.begin("ingest", url=platform.url, role="teacher")
        live = await hall.reaches("ingest", "live")
        assert (live["video"], live["audio"]) == ("H264 320x180", "aac to opus")
        async with watching(url, "hall") as pupil:
            await pupil.sees(60, 40)
            assert (await pupil.school.measure()).audio_packets > 30
        known = [number for number in pupil.numbers[10:] if number is not None]
        assert len(known) > 40  # the very pictures of the clip, once around by another server


async def test_a_source_that_comes_back_goes_on(
    open_node: Node, platform: Platform, lesson_clip: Path
):
    url = open_node.url
    async with teaching(url, "math", lesson_clip), desk(url) as teacher, desk(url, "hall") as hall:
        await teacher.begin("push", url=platform.url)
        await teacher.reaches("push", "live")
        await hall.begin("ingest", url=platform.url, role="teacher")
        await hall.reaches("ingest", "live")
        await until(lambda: tracks_flow(url, "hall"), 30, "sound and picture")
        await platform.stop()
        await teacher.reaches("push", "failing")
        await hall.reaches("ingest", "failing")
        await platform.start()
        pushed = await teacher.reaches("push", "live")
        pulled = await hall.reaches("ingest", "live")
        assert pushed["restarts"] > 0
        assert pulled["restarts"] > 0
    assert (await archived(url, "math", 40))["state"] == "complete"


async def test_nothing_is_left_of_a_killed_node(open_node: Node):
    async with camera() as source, desk(open_node.url) as teacher:
        await teacher.begin("ingest", url=source, role="teacher")
        await teacher.reaches("ingest", "live")
        pulls = [
            pid
            for pid in children(open_node.process.pid)
            if b"clients.headless.ingest" in command_line(pid)
        ]
        assert len(pulls) == 1
        assert b"rtsp" not in command_line(pulls[0])  # a command line is for all to see
        await open_node.kill()
        await until(lambda: not command_line(pulls[0]), 30, "the end of the pull")


async def test_a_pull_that_crashes_is_started_again(open_node: Node):
    async with camera() as source, desk(open_node.url) as teacher:
        await teacher.begin("ingest", url=source, role="teacher")
        await teacher.reaches("ingest", "live")
        (pull,) = [
            pid
            for pid in children(open_node.process.pid)
            if b"clients.headless.ingest" in command_line(pid)
        ]
        os.kill(pull, signal.SIGKILL)
        failing = await teacher.reaches("ingest", "failing")
        assert "SIGKILL" in failing["state"]
        await teacher.reaches("ingest", "live")
        async with Api(open_node.url) as api:
            await api.become("archivist", "math")
            assert len(await api.entries()) == 1  # the lesson has waited for it


async def test_a_configured_camera_comes_with_each_lesson(start_node: StartNode, lesson_clip: Path):
    async with camera() as source:
        sources = f'[{{"lesson": "math", "url": "{source}", "source": "slides"}}]'
        node = await start_node({"TONGBU_INGEST__SOURCES": sources})
        async with desk(node.url) as teacher:
            assert await teacher.feeds("ingest") == []
            for _ in range(2):
                async with teaching(node.url, "math", lesson_clip):
                    live = await teacher.reaches("ingest", "live")
                    assert live["configured"] is True
                    assert live["name"] == "Slides"

                async def gone() -> bool:
                    return await teacher.feeds("ingest") == []

                await until(gone, 20, "the end of the pull with its lesson")


@pytest.mark.parametrize("made", [{}, {"audio": "aac", "b_frames": True}])
async def test_a_recording_gives_a_lesson_by_itself_in_sync(
    start_node: StartNode, made: dict[str, Any], tmp_path: Path
):
    clip = write_clip(tmp_path / "clip.mp4", seconds=CLIP_FRAMES / 30, **made)
    source = f'{{"lesson": "math", "url": "file://{clip}", "role": "teacher"}}'
    node = await start_node({"TONGBU_INGEST__SOURCES": f"[{source}]"})
    entry = await archived(node.url, "math", 90)
    assert entry["state"] == "complete"
    seen = await replayed(node.url, entry)
    assert breaks(seen.taught) == []
    assert seen.frames >= CLIP_FRAMES - 5
    first, began = seen.numbers[-1], seen.end_time  # the last picture says when the clip began
    assert first is not None
    began -= first / 30
    sounds = beep_onsets(demo_voice.voice(FLASH_PERIOD * 2), demo_voice.RATE)
    late = [(beep - began - sounds[0]) % FLASH_PERIOD for beep in seen.beeps]
    late = [one if one < FLASH_PERIOD / 2 else one - FLASH_PERIOD for one in late]
    assert len(late) > 3
    assert max(map(abs, late)) < 0.06, late
    async with desk(node.url) as teacher:
        assert await teacher.feeds("ingest") == []


async def test_what_is_not_allowed_is_not_connected_to(start_node: StartNode):
    node = await start_node({"TONGBU_INGEST__ALLOW": '["10.20.0.0/16"]'})
    came = asyncio.Event()
    server = await asyncio.start_server(lambda reader, writer: came.set(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, desk(node.url) as teacher:
        for url, status in (
            (f"rtsp://127.0.0.1:{port}/", 403),
            (f"rtsp://localhost:{port}/", 403),
            (f"rtsp://2130706433:{port}/", 403),  # 127.0.0.1, as C libraries read it
            (f"rtsp://10.20.0.1@127.0.0.1:{port}/", 403),
            ("file:///etc/passwd", 400),
            (f"http://127.0.0.1:{port}/", 400),
            ("concat:/etc/passwd", 400),
            ("rtsp://", 400),
        ):
            answered, said = await teacher.post("ingest", url=url, role="teacher")
            assert answered == status, (url, said)
        assert (await teacher.post("push", url=f"rtmp://127.0.0.1:{port}/a/b"))[0] == 403
        assert await teacher.feeds("ingest") == []
    assert not came.is_set()


_SAYS = {
    "nothing": b"",
    "garbage": bytes(range(256)) * 64,
    "a file": b"RTSP/1.0 302 Found\r\nCSeq: 1\r\nLocation: file:///etc/passwd\r\n\r\n",
}


@pytest.mark.parametrize("says", _SAYS)
async def test_a_server_that_means_no_good_is_told_of(open_node: Node, says: str):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1_000)
        writer.write(_SAYS[says])
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, desk(open_node.url) as teacher:
        await teacher.begin("ingest", url=f"rtsp://127.0.0.1:{port}/stream1", role="teacher")
        failing = await teacher.reaches("ingest", "failing", 60)
        assert "passwd" not in failing["state"]
