"""The nginx configuration that we ship, before a node with a live lesson: real requests."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from benchmarks import nginx
from recorder.pipeline.lesson import LessonRecorder
from recorder.web.live import Broadcast
from recorder.web.media import routes
from tests.recorder.hls_linter import Playlist, parse
from tests.recorder.journals import lesson

LESSON = "20260921-141320-math-00aa"
CHINESE = "20260921-141320-数学-00aa"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Node:
    """What a node is to nginx: a lesson, and a count of what is asked."""

    def __init__(self, data_dir: Path) -> None:
        self.asked: Counter[str] = Counter()
        self.broadcast = Broadcast()
        self.recorders = {
            name: self._record(data_dir / "lessons" / name) for name in (LESSON, CHINESE)
        }
        self.app = web.Application(middlewares=[self._count])
        self.app.add_routes(routes(data_dir, authorize, self.broadcast))

    def teach(self, records: int, name: str = LESSON) -> None:
        for _ in range(records):
            self.recorders[name].step(1)

    def _record(self, folder: Path) -> LessonRecorder:
        (folder / "journal").mkdir(parents=True)
        return LessonRecorder(folder, lesson("H264", 20).opener(), self.broadcast.handle)

    @web.middleware
    async def _count(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.asked[request.path_qs] += 1
        return await handler(request)


def authorize(request: web.Request, lesson: str | None, admin: bool) -> None:
    """The token is the name of the lesson that one may see."""
    token = request.cookies.get("tongbu_token")
    if token is None:
        raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Bearer"})
    if quote(lesson or "") != token:
        raise web.HTTPForbidden


class School:
    """Viewers behind nginx."""

    def __init__(self, node: Node, url: str, http: aiohttp.ClientSession) -> None:
        self.node = node
        self._url = url
        self._http = http

    async def get(
        self, path: str, *, name: str = LESSON, token: str | None = "math", raw: str = ""
    ) -> aiohttp.ClientResponse:
        cookies = {} if token is None else {"tongbu_token": token}
        url = raw or f"/archive/{quote(name)}/media/{path}"
        address = URL(self._url + url, encoded=True)
        response = await self._http.get(address, headers=cookie_header(cookies))
        await response.read()
        return response

    async def playlist(self) -> Playlist:
        """Not the one that was kept a moment ago: that of the part that is there."""
        rendition = self.node.broadcast.lesson(LESSON).renditions["camera"]
        segment, part = rendition.last
        response = await self.get(f"camera/index.m3u8?_HLS_msn={segment}&_HLS_part={part}")
        assert response.status == 200
        return parse(await response.text())

    def upstream(self, path: str) -> int:
        """How often the node was asked for it."""
        return self.node.asked[f"/archive/{LESSON}/media/{path}"]


def cookie_header(cookies: dict[str, str]) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


@contextlib.asynccontextmanager
async def open_school(folder: Path, workers: int = 1) -> AsyncIterator[School]:
    node = Node(folder)
    node.teach(400)
    node.teach(400, CHINESE)
    async with (
        TestServer(node.app) as server,
        nginx.running(folder / "nginx", server.port or 0, workers) as (url, _),
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
    ):
        yield School(node, url, http)


@pytest.fixture
async def school(tmp_path: Path) -> AsyncIterator[School]:
    async with open_school(tmp_path) as school:
        yield school


async def wait_for(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  (another process can only be watched)
            await asyncio.sleep(0.01)


async def test_a_hundred_who_wait_for_a_part_are_one_request(school: School):
    hint = f"camera/{(await school.playlist()).hint}"
    waiting = [asyncio.create_task(school.get(hint)) for _ in range(100)]
    await wait_for(lambda: school.upstream(hint) == 1)
    school.node.teach(40)
    answers = await asyncio.gather(*waiting)
    assert {answer.status for answer in answers} == {200}
    assert len({await answer.read() for answer in answers}) == 1
    assert school.upstream(hint) == 1


async def test_a_hundred_who_wait_for_a_playlist_are_one_request(school: School):
    segment, part = (await school.playlist()).last
    path = f"camera/index.m3u8?_HLS_msn={segment}&_HLS_part={part + 1}"
    waiting = [asyncio.create_task(school.get(path)) for _ in range(100)]
    await wait_for(lambda: school.upstream(path) == 1)
    school.node.teach(40)
    answers = await asyncio.gather(*waiting)
    assert {answer.status for answer in answers} == {200}
    assert {parse(await answer.text()).last >= (segment, part + 1) for answer in answers} == {True}
    assert school.upstream(path) == 1


@pytest.mark.parametrize("workers", [1, 2])
async def test_who_waits_is_woken_not_left_to_look_now_and_then(tmp_path: Path, workers: int):
    """nginx's own lock lets them look every 500 ms: they would come in long after these."""
    async with open_school(tmp_path, workers) as school:
        for _ in range(3):
            hint = f"camera/{(await school.playlist()).hint}"
            waiting = [asyncio.create_task(school.get(hint)) for _ in range(30)]
            await wait_for(lambda hint=hint: school.upstream(hint) == 1)
            school.node.teach(40)
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for _ in range(100):  # more than a starved second worker needs to look up
                assert (await school.get(hint)).status == 200
                if all(task.done() for task in waiting):
                    break
            assert all(task.done() for task in waiting)
            assert {(await task).status for task in waiting} == {200}
            assert school.upstream(hint) == 1


async def test_who_came_first_and_leaves_does_not_leave_the_others_waiting(school: School):
    hint = f"camera/{(await school.playlist()).hint}"
    first = asyncio.create_task(school.get(hint))
    await wait_for(lambda: school.upstream(hint) == 1)
    waiting = [asyncio.create_task(school.get(hint)) for _ in range(20)]
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    school.node.teach(40)
    assert {answer.status for answer in await asyncio.gather(*waiting)} == {200}
    assert school.upstream(hint) == 1


async def test_many_who_ask_for_what_will_not_come_are_told(school: School):
    path = "camera/index.m3u8?_HLS_msn=9999"
    answers = await asyncio.gather(*(school.get(path) for _ in range(50)))
    assert {answer.status for answer in answers} == {400}
    assert {(await answer.json())["error"] for answer in answers} == {
        "The lesson is not that far by a long way."
    }
    assert school.upstream(path) < 50


async def test_who_may_not_see_a_lesson_does_not_wait_for_it_either(school: School):
    hint = f"camera/{(await school.playlist()).hint}"
    waiting = asyncio.create_task(school.get(hint))
    await wait_for(lambda: school.upstream(hint) == 1)
    assert (await school.get(hint, token=None)).status == 401
    assert (await school.get(hint, token="history")).status == 403
    school.node.teach(40)
    assert (await waiting).status == 200
    assert (await school.get(hint, token="history")).status == 403


async def test_segments_are_fetched_once_and_parts_of_them_served(school: School):
    whole = await (await school.get("camera/000001.m4s")).read()
    ranged = await school._http.get(
        f"{school._url}/archive/{LESSON}/media/camera/000001.m4s",
        headers={"Range": "bytes=10-19", **cookie_header({"tongbu_token": "math"})},
    )
    assert ranged.status == 206
    assert await ranged.read() == whole[10:20]
    assert school.upstream("camera/000001.m4s") == 1


async def test_the_newest_playlist_is_at_most_a_second_old(school: School):
    first = await (await school.get("camera/index.m3u8")).text()
    school.node.teach(100)

    async def newer() -> bool:
        return await (await school.get("camera/index.m3u8")).text() != first

    async with asyncio.timeout(60):
        while not await newer():  # noqa: ASYNC110  (nginx counts real seconds)
            await asyncio.sleep(0.1)


async def test_what_is_cached_is_for_those_who_may_see_it(school: School):
    path = "camera/000001.m4s"
    assert (await school.get(path)).status == 200
    refused = await school.get(path, token=None)
    assert refused.status == 401
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert (await school.get(path, token="history")).status == 403
    assert (await school.get(path, token="math")).status == 200


async def test_a_permission_is_asked_for_once_by_many(school: School):
    await asyncio.gather(*(school.get("camera/000001.m4s") for _ in range(50)))
    assert school.node.asked[f"/archive/{LESSON}/allowed"] == 1


async def test_names_in_chinese_pass(school: School):
    token = quote("数学")
    answer = await school.get("camera/000001.m4s", name=CHINESE, token=token)
    assert answer.status == 200
    assert (await school.get("camera/000001.m4s", name=CHINESE)).status == 403


async def test_other_words_in_a_url_make_no_entry_of_their_own(school: School):
    for number in range(5):
        answer = await school.get(f"camera/000001.m4s?anything={number}")
        assert answer.status == 200
    asked = [url for url in school.node.asked if "000001.m4s" in url]
    assert len(asked) == 1


@pytest.mark.parametrize(
    "query",
    ["?%5FHLS_msn=0", "?_hls_MSN=0", "?_HLS_msn=0&_HLS_msn=9", "?_HLS_msn=%30", "?x&_HLS_msn=0"],
)
async def test_a_twisted_question_does_not_spoil_the_answer_for_others(school: School, query: str):
    """What nginx takes for the question is what the node answers: else one viewer could put a
    playlist of yesterday in the place of today's."""
    twisted = await school.get("camera/index.m3u8" + query)
    plain = await school.get("camera/index.m3u8")
    assert plain.status == 200
    if query == "?_HLS_msn=%30":
        assert twisted.status == 400
    elif query == "?%5FHLS_msn=0":  # nobody's directive: the newest playlist, kept for a second
        assert twisted.headers["Cache-Control"] == "no-cache"
    else:
        assert twisted.headers["Cache-Control"] == "private, max-age=36"
        assert len([url for url in school.node.asked if "camera/index.m3u8" in url]) == 2


async def test_a_refusal_is_not_kept(school: School):
    for _ in range(2):
        assert (await school.get("camera/000099.m4s")).status == 404
    assert school.upstream("camera/000099.m4s") == 2


@pytest.mark.parametrize(
    "url",
    [
        f"/archive/{LESSON}/media/camera/../../../{quote(CHINESE)}/media/camera/000001.m4s",
        f"/archive/{LESSON}/media/..%2f..%2f{quote(CHINESE)}/media/camera/000001.m4s",
        f"/archive/{LESSON}/media//camera/000001.m4s",
        f"/archive/{LESSON}%0d%0aX:y/media/camera/000001.m4s",
    ],
)
async def test_a_detour_leads_nowhere(school: School, url: str):
    address, _, port = school._url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(address, int(port))
    head = f"GET {url} HTTP/1.0\r\nHost: x\r\nCookie: tongbu_token=math\r\n\r\n"
    writer.write(head.encode())
    status = (await reader.readline()).decode()
    writer.close()
    assert status.split()[1] in ("404", "403")


async def test_playlists_are_compressed_for_who_understands_that(school: School):
    path = f"{school._url}/archive/{LESSON}/media/camera/index.m3u8"
    token = cookie_header({"tongbu_token": "math"})
    small = await school._http.get(path, headers={**token, "Accept-Encoding": "gzip"})
    plain = await school._http.get(path, headers={**token, "Accept-Encoding": "identity"})
    assert small.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert await small.text() == await plain.text()


async def test_everything_else_passes_as_it_is(school: School):
    answer = await school.get("", raw=f"/archive/{LESSON}/allowed")
    assert answer.status == 204
    assert (await school.get("", raw="/_permit")).status == 404
