"""A live lesson over HTTP: who waits, who is refused, what may be kept."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from recorder.news import Ended
from recorder.pipeline.lesson import LessonRecorder
from recorder.web import live as web_live
from recorder.web.live import Broadcast
from recorder.web.media import routes
from tests.recorder.conftest import LESSON
from tests.recorder.hls_linter import Playlist, parse
from tests.recorder.journals import lesson
from tests.recorder.web.test_media import authorize

MEDIA = f"/archive/{LESSON}/media/"
CAMERA = MEDIA + "camera/index.m3u8"
FOREVER = "private, max-age=31536000, immutable"


class School:
    """A lesson that goes on when it is told to, and a client that watches."""

    def __init__(self, folder: Path, client: TestClient[Any, Any], broadcast: Broadcast) -> None:
        self.client = client
        self.broadcast = broadcast
        self._journal = lesson("H264", 20)
        self._recorder = LessonRecorder(folder, self._journal.opener(), broadcast.handle)

    def teach(self, records: int) -> None:
        """Records come; some 76 are a second of the lesson."""
        for _ in range(records):
            self._recorder.step(1)

    def end(self) -> None:
        while not self._recorder.over:
            self._recorder.step(100)
        self._recorder.finish()

    async def get(self, url: str, **query: str | int) -> ClientResponse:
        return await self.client.get(url, params={name: str(v) for name, v in query.items()})

    async def playlist(self, **query: str | int) -> Playlist:
        response = await self.get(CAMERA, **query)
        assert response.status == 200, await response.text()
        return parse(await response.text())

    async def ask(self, url: str, **query: str | int) -> asyncio.Task[ClientResponse]:
        """A request that has reached the node, and waits there."""
        before = self.broadcast.waiting
        task = asyncio.create_task(self.get(url, **query))
        await until(lambda: self.broadcast.waiting != before or task.done())
        return task


async def until(condition: Callable[[], bool]) -> None:
    """What others do in this event loop can only be watched."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


@pytest.fixture
async def school(tmp_path: Path, folder: Path) -> AsyncIterator[School]:
    broadcast = Broadcast()
    app = web.Application()
    app.add_routes(routes(tmp_path, authorize, broadcast))
    async with TestClient(TestServer(app), headers={"X-May": "all"}) as client:
        made = School(folder, client, broadcast)
        made.teach(400)
        yield made


async def test_a_playlist_lists_the_newest_part_and_hints_at_the_next(school: School):
    playlist = await school.playlist()
    assert playlist.open is not None
    response = await school.get(MEDIA + "camera/" + playlist.open.parts[-1].uri)
    assert response.status == 200
    assert response.headers["Content-Type"] == "video/iso.segment"
    assert response.headers["Cache-Control"] == FOREVER
    assert (await response.read())[4:8] == b"moof"
    assert playlist.hint not in [part.uri for part in playlist.open.parts]


async def test_who_asks_for_the_next_part_of_a_playlist_waits_for_it(school: School):
    segment, part = (await school.playlist()).last
    waiting = await school.ask(CAMERA, _HLS_msn=segment, _HLS_part=part + 1)
    assert not waiting.done()
    school.teach(40)
    response = await waiting
    assert response.status == 200
    assert parse(await response.text()).last > (segment, part)
    assert response.headers["Cache-Control"] == "private, max-age=36"
    assert response.headers["X-Accel-Expires"] == "36"


async def test_a_hint_is_answered_when_it_comes_true(school: School):
    hint = (await school.playlist()).hint
    waiting = await school.ask(MEDIA + "camera/" + hint)
    assert not waiting.done()
    school.teach(40)
    response = await waiting
    assert response.status == 200
    assert response.headers["Cache-Control"] == FOREVER
    assert (await response.read())[4:8] == b"moof"


async def test_who_asks_for_a_segment_gets_it_whole(school: School):
    segment, _ = (await school.playlist()).last
    waiting = await school.ask(CAMERA, _HLS_msn=segment)
    school.teach(200)
    assert len(parse(await (await waiting).text()).segments) > segment


@pytest.mark.parametrize(
    "query",
    [
        {"_HLS_part": 1},
        {"_HLS_msn": "x"},
        {"_HLS_msn": -1},
        {"_HLS_msn": 1, "_HLS_part": "1.5"},
        {"_HLS_msn": 10**12},
        {"_HLS_msn": 10},
        {"_HLS_msn": 2, "_HLS_part": 40},
    ],
)
async def test_a_request_that_makes_no_sense_is_refused(school: School, query):
    response = await school.get(CAMERA, **query)
    assert response.status == 400
    assert "error" in await response.json()


async def test_who_waits_in_vain_is_told_so(school: School, monkeypatch):
    monkeypatch.setattr(web_live, "PATIENCE", 0.05)
    segment, part = (await school.playlist()).last
    response = await school.get(CAMERA, _HLS_msn=segment, _HLS_part=part + 1)
    assert response.status == 503


@pytest.mark.parametrize("name", ["000099.0.m4s", "000001.77.m4s", "000099.m4s", "x.0.m4s"])
async def test_what_nobody_hinted_at_is_not_there(school: School, name: str):
    assert (await school.get(MEDIA + "camera/" + name)).status == 404


async def test_a_segment_that_still_grows_is_not_given_out_to_be_kept(school: School, folder: Path):
    segment, _ = (await school.playlist()).last
    name = f"camera/{segment + 1:06d}.m4s"
    assert (folder / "media" / name).exists()
    assert (await school.get(MEDIA + name)).status == 404
    whole = await school.get(MEDIA + f"camera/{segment:06d}.m4s")
    assert whole.status == 200
    assert whole.headers["Cache-Control"] == FOREVER


async def test_a_delta_is_shorter_and_ends_as_the_whole(school: School, folder: Path):
    school.teach(10_000)
    whole = await (await school.get(CAMERA)).text()
    assert await (await school.get(CAMERA, _HLS_skip="NO")).text() == whole
    delta = await (await school.get(CAMERA, _HLS_skip="YES")).text()
    assert parse(delta).last[1] == parse(whole).last[1]


async def test_the_masters_of_a_live_lesson(school: School):
    response = await school.get(MEDIA + "camera.m3u8")
    assert response.status == 200
    assert response.headers["Cache-Control"] == "no-cache"
    text = await response.text()
    assert ",opus" in text
    safari = await (await school.get(MEDIA + "camera.m3u8", opus="mp4a.ad")).text()
    assert safari == text.replace("opus", "mp4a.ad")
    assert (await school.get(MEDIA + "slides.m3u8")).status == 404
    assert (await school.get(MEDIA + "audio.m3u8")).status == 200


async def test_the_end_wakes_who_waits_and_ends_the_playlist(school: School):
    hint = (await school.playlist()).hint
    segment, _ = (await school.playlist()).last
    playlist = await school.ask(CAMERA, _HLS_msn=segment + 1, _HLS_part=0)
    media = await school.ask(MEDIA + "camera/" + hint)
    school.end()
    response = await playlist
    assert (await response.text()).endswith("#EXT-X-ENDLIST\n")
    assert (await media).status in (200, 404)


async def test_the_same_urls_serve_the_archive_when_the_lesson_is_forgotten(school: School):
    school.end()
    live = await school.playlist()
    school.broadcast.forget(LESSON)
    archived = await (await school.get(CAMERA)).text()
    assert archived.count("#EXTINF") == len(live.segments)
    for segment in live.segments:
        assert (await school.get(MEDIA + "camera/" + segment.uri)).status == 200


async def test_a_lesson_that_ended_is_forgotten_after_a_while(school: School, monkeypatch):
    monkeypatch.setattr(web_live, "LINGER", 0.0)
    school.broadcast.handle(Ended(LESSON))
    await until(lambda: not school.broadcast.knows(LESSON))


async def test_a_cache_may_ask_who_may_see_a_lesson(school: School):
    url = f"/archive/{LESSON}/allowed"
    response = await school.get(url)
    assert response.status == 204
    assert response.headers["X-Accel-Expires"] == "10"
    stranger = await school.client.get(url, headers={"X-May": "chess"})
    assert stranger.status == 403


@pytest.mark.parametrize("name", ["camera.m3u8", "camera/index.m3u8", "camera/000001.0.m4s"])
async def test_live_media_need_permission_too(school: School, name: str):
    response = await school.client.get(MEDIA + name, headers={"X-May": "chess"})
    assert response.status == 403


async def test_who_hangs_up_leaves_nothing_behind(school: School):
    segment, part = (await school.playlist()).last
    waiting = await school.ask(CAMERA, _HLS_msn=segment, _HLS_part=part + 1)
    assert school.broadcast.waiting == 1
    waiting.cancel()
    school.teach(40)
    await until(lambda: not school.broadcast.waiting)
