"""A lesson on two shards: half of its schools on each, and nobody misses a picture."""

import re
from contextlib import AsyncExitStack
from pathlib import Path

from clients.headless.api import Api
from tests.e2e.classroom import archived, breaks, replayed, teaching, watching
from tests.e2e.conftest import StartNode

SCHOOLS = 4
PICTURES = 60


async def test_a_lesson_spreads_over_two_shards(start_node: StartNode, lesson_clip: Path):
    node = await start_node({"TONGBU_RTC__SHARDS": "2"})
    async with AsyncExitStack() as lesson:
        teacher = await lesson.enter_async_context(teaching(node.url, "math", lesson_clip))
        pupils = [
            await lesson.enter_async_context(watching(node.url, "math")) for _ in range(SCHOOLS)
        ]
        for pupil in pupils:
            await pupil.sees(PICTURES)
        reports = [await pupil.school.measure() for pupil in pupils]
        async with Api(node.url) as api:
            shards = (await api.stats())["shards"]
        assert teacher.camera is not None
        sent = teacher.camera.sent
    assert [breaks(pupil.numbers) for pupil in pupils] == [[]] * SCHOOLS
    assert [report.lost for report in reports] == [0] * SCHOOLS
    assert all(report.audio_packets > PICTURES for report in reports)
    assert len(shards) == 2
    # Each shard has sent pictures and sound for half of the class.
    half = SCHOOLS // 2 * PICTURES * 2
    assert all(shard["datagrams_out"] > half for shard in shards)
    ports = next(line for line in node.log if "media on UDP ports" in line)
    assert len(set(re.findall(r"\d+", ports.partition("ports")[2]))) == 2

    seen = await replayed(node.url, await archived(node.url, "math"))
    assert breaks(seen.taught) == []
    assert seen.frames >= sent - 5
