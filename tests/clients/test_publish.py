import asyncio
import itertools
from pathlib import Path

import pytest
from click.testing import CliRunner

from clients.headless.errors import ConnectionLost
from clients.headless.marks import CAMERA_STRIP, luma_of
from clients.headless.media import inspect
from clients.headless.publish import Publication, command, publish
from clients.headless.whip import Endpoint
from tests.clients.responder import TOKEN, Responder


def url(responder: Responder) -> str:
    return f"{responder.address}/math/whip"


@pytest.mark.parametrize("clip", ["h264", "vp8"])
async def test_a_file_arrives_as_it_is(
    responder: Responder, clip: str, request: pytest.FixtureRequest
):
    await publish(url(responder), request.getfixturevalue(clip), token=TOKEN)
    taught = responder.taught[0]
    numbers = [CAMERA_STRIP.read(luma_of(frame)) for frame in taught.pictures[0]]
    # aiortc holds a frame back until the next begins, so the last is not seen
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= 58
    assert len(taught.sound) > 80
    assert taught.deleted


async def test_the_offer_has_the_files_codec_and_marks_slides(
    responder: Responder, h264: Path, slides: Path
):
    await publish(url(responder), h264, slides, TOKEN, seconds=0.5)
    sections = responder.taught[0].offer.split("m=")[1:]
    assert [section.split(" ")[0] for section in sections] == ["audio", "video", "video"]
    assert ["a=content:slides" in section for section in sections] == [False, False, True]
    assert all("profile-level-id=42e01f" in section for section in sections[1:])
    assert all("VP8" not in section for section in sections)
    assert all("a=sendonly" in section for section in sections)
    assert len(responder.taught[0].pictures) == 2


async def test_a_loop_goes_on_until_the_time_is_up(responder: Responder, h264: Path):
    await publish(url(responder), h264, token=TOKEN, loop=True, seconds=3.0)
    numbers = [CAMERA_STRIP.read(luma_of(frame)) for frame in responder.taught[0].pictures[0]]
    assert numbers == [n % 60 for n in range(len(numbers))]
    assert 70 < len(numbers) <= 92
    times = [frame.pts for frame in responder.taught[0].pictures[0]]
    assert {b - a for a, b in itertools.pairwise(times)} == {3000}


async def test_a_node_that_goes_away_is_told(responder: Responder, h264: Path):
    async with Endpoint(url(responder), TOKEN) as endpoint:
        lesson = Publication(endpoint, inspect(h264), None, loop=True)
        await lesson.start()
        finished = asyncio.ensure_future(lesson.finished())
        await asyncio.wait_for(responder.taught[0].receiving.wait(), 5)
        await responder.taught[0].connection.close()
        with pytest.raises(ConnectionLost, match="broke off"):
            await finished
        await lesson.stop()


async def test_stop_ends_the_session_once(responder: Responder, h264: Path):
    async with Endpoint(url(responder), TOKEN) as endpoint:
        lesson = Publication(endpoint, inspect(h264), None, loop=True)
        await lesson.start()
        await lesson.stop()
        await lesson.stop()
    assert responder.taught[0].deleted


async def test_a_dropped_teacher_says_nothing(responder: Responder, h264: Path):
    async with Endpoint(url(responder), TOKEN) as endpoint:
        lesson = Publication(endpoint, inspect(h264), None, loop=True)
        await lesson.start()
        await lesson.drop()
    assert not responder.taught[0].deleted


@pytest.mark.parametrize(
    "arguments",
    [["http://127.0.0.1:9/math/whip", "missing.mp4"], ["math", "missing.mp4"]],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(arguments: list[str]):
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: There is no file missing.mp4.")
    assert "Traceback" not in result.output
