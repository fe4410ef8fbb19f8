"""The crowd of the broadcast benchmark, before a lesson that goes on."""

import asyncio
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer

from benchmarks.viewers import Crowd, Target
from recorder.pipeline.lesson import LessonRecorder
from recorder.web.live import Broadcast
from recorder.web.media import routes
from tests.recorder.conftest import LESSON
from tests.recorder.journals import lesson

VIEWERS = 5


async def test_each_viewer_asks_for_both_playlists_and_both_parts(tmp_path: Path):
    folder = tmp_path / "lessons" / LESSON
    (folder / "journal").mkdir(parents=True)
    broadcast = Broadcast()
    recorder = LessonRecorder(folder, lesson("H264", 20).opener(), broadcast.handle)
    app = web.Application()
    app.add_routes(routes(tmp_path, lambda request, lesson, admin: None, broadcast))
    recorder.step(400)
    async with TestServer(app) as server:
        target = Target("127.0.0.1", server.port or 0, f"/archive/{LESSON}/media/")
        crowd = Crowd(target)
        try:
            await crowd.gather(["token"] * VIEWERS)
            async with asyncio.timeout(60):
                while crowd.tally.answers < 100:
                    recorder.step(2)
                    await asyncio.sleep(0.005)
                    crowd.check()
        finally:
            await crowd.leave()
    assert crowd.tally.refused == 0
    assert crowd.tally.bytes > 20_000
    assert crowd.tally.asked > 100 * 500
    assert crowd.tally.late_ms
