"""A lesson to other platforms while it goes on: what arrives there, by RTMP and by SRT."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import av
import pytest

from clients.headless.marks import CAMERA_STRIP, luma_of
from tests.e2e.classroom import breaks, teaching, until
from tests.e2e.conftest import StartNode
from tests.e2e.feeds import ALLOWED, Platform, desk, free_port, gstreamer


@pytest.fixture
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A running RTMP server."""
    made = Platform(tmp_path_factory.mktemp("platform"))
    await made.start()
    yield made
    await made.stop()


def numbers_and_sound(path: Path) -> tuple[list[int | None], float, float]:
    """The numbers on the pictures, and how long the picture and the sound are, seconds."""
    numbers: list[int | None] = []
    times: dict[str, list[float]] = {"video": [], "audio": []}
    with av.open(path) as source:
        for packet in source.demux():
            if packet.pts is not None:
                times[packet.stream.type].append(float(packet.pts * packet.time_base))
            for frame in packet.decode():
                if isinstance(frame, av.VideoFrame):
                    numbers.append(CAMERA_STRIP.read(luma_of(frame)))
    return numbers, *(times[kind][-1] - times[kind][0] for kind in ("video", "audio"))


async def test_every_picture_goes_out_by_rtmp(
    start_node: StartNode, platform: Platform, lesson_clip: Path
):
    node = await start_node(ALLOWED)
    async with desk(node.url) as teacher:
        assert (await teacher.post("push", url=platform.url))[0] == 409
        async with teaching(node.url, "math", lesson_clip):
            await teacher.begin("push", url=platform.url)
            live = await teacher.reaches("push", "live")
            assert (live["video"], live["audio"]) == ("H264", "opus to aac")
            assert live["url"].endswith("/live/…")

            async def enough() -> bool:
                feeds = await teacher.feeds("push")
                return bool(feeds) and int(feeds[0].get("bytes", 0)) > 100_000

            await until(enough, 60, "100 kB sent")

        async def over() -> bool:
            return await teacher.feeds("push") == []

        await until(over, 20, "the end of the push with its lesson")
    await until(platform.records, 20, "a record")
    (record,) = platform.records()
    await node.stop()
    await platform.stop()
    numbers, picture, sound = numbers_and_sound(record)
    assert len(numbers) > 60
    assert breaks(numbers) == []
    assert abs(picture - sound) < 1.2
    assert not any("the-secret-key" in line for line in node.log)


async def test_slides_go_out_by_srt_with_opus(
    start_node: StartNode, lesson_clip: Path, tmp_path: Path
):
    node = await start_node(ALLOWED)
    port, kept = free_port(socket.SOCK_DGRAM), tmp_path / "kept.ts"
    source = f"srtsrc uri=srt://127.0.0.1:{port}?mode=listener ! filesink location={kept}"
    async with (
        gstreamer("pipeline", source),
        desk(node.url) as teacher,
        teaching(node.url, "math", lesson_clip, lesson_clip),
    ):
        url = f"srt://127.0.0.1:{port}?streamid=the-secret-key"
        await teacher.begin("push", url=url, source="slides", audio="opus")
        live = await teacher.reaches("push", "live")
        assert live["audio"] == "opus"
        assert live["source"] == "slides"
        await until(lambda: kept.exists() and kept.stat().st_size > 200_000, 60, "200 kB")
    numbers, picture, sound = numbers_and_sound(kept)
    assert len(numbers) > 60
    assert breaks(numbers[:-5]) == []
    assert abs(picture - sound) < 1.2


async def test_a_platform_that_says_nothing_is_told_of(start_node: StartNode, lesson_clip: Path):
    node = await start_node(ALLOWED)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"rtmp://127.0.0.1:{silent.getsockname()[1]}/live/x"
        async with teaching(node.url, "math", lesson_clip), desk(node.url) as teacher:
            await teacher.begin("push", url=url)
            failing = await teacher.reaches("push", "failing", 90)
            assert failing["state"] == "failing: The other side keeps us waiting."
