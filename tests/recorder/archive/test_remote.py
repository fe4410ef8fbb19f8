"""Lessons that are in the storage only, as a player asks for them."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestClient, TestServer

from recorder.archive import policy, upload
from recorder.archive.layout import LessonFolder, Manifest, entry_from_id
from recorder.archive.policy import Policy
from recorder.archive.remote import Remote, byte_range
from recorder.archive.storage import Storage
from recorder.web.media import routes
from tests.recorder.s3 import BUCKET

DATA = bytes(range(256)) * 10_000
"""More than is asked of the storage at a time."""


@pytest.fixture
def stored(folder: Path, tmp_path: Path, way) -> Policy:
    lesson = LessonFolder(folder)
    lesson.publish("camera/000001.m4s", DATA)
    lesson.publish("camera/empty.m4s", b"")
    lesson.publish("camera/index.m3u8", b"#EXTM3U\n")
    lesson.write_manifest(Manifest(replace(entry_from_id(folder.name), state="complete")))
    policy = Policy(f"s3://{BUCKET}/{tmp_path.name}", way.url)
    storage = Storage(policy.storage, policy.endpoint)
    upload.store(folder, storage, 1.0)
    upload.free(folder, storage)
    return policy


async def client(remote: Remote, lesson: str) -> TestClient:
    async def media(request: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": "video/iso.segment"}
        found = await remote.serve(request, lesson, request.match_info["path"], headers)
        return found or web.Response(status=404)

    app = web.Application()
    app.router.add_get("/{path:.+}", media)
    client = TestClient(TestServer(app))
    await client.start_server()
    return client


@pytest.fixture
async def player(stored: Policy, folder: Path, tmp_path: Path) -> AsyncIterator[TestClient]:
    found = await client(Remote(tmp_path, stored), folder.name)
    yield found
    await found.close()


async def test_a_file_comes_whole(player: TestClient):
    answer = await player.get("/camera/000001.m4s")
    assert (answer.status, await answer.read()) == (200, DATA)
    assert answer.headers["Content-Type"] == "video/iso.segment"


async def test_and_in_ranges(player: TestClient):
    answer = await player.get("/camera/000001.m4s", headers={"Range": "bytes=100-1500000"})
    assert (answer.status, await answer.read()) == (206, DATA[100:1_500_001])
    assert answer.headers["Content-Range"] == f"bytes 100-1500000/{len(DATA)}"
    answer = await player.get("/camera/000001.m4s", headers={"Range": "bytes=9999999-"})
    assert answer.status == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(DATA)}"


async def test_heads_and_empty_files(player: TestClient):
    answer = await player.head("/camera/000001.m4s")
    assert (answer.status, answer.content_length) == (200, len(DATA))
    assert await (await player.get("/camera/empty.m4s")).read() == b""


async def test_what_was_not_stored_is_not_there(player: TestClient):
    assert (await player.get("/camera/000002.m4s")).status == 404


async def test_a_storage_that_is_away_is_told(player: TestClient, way):
    way.plan = lambda method, path, number: "lost"
    answer = await player.get("/camera/000001.m4s")
    assert answer.status == 503
    assert "cannot be reached" in (await answer.json())["error"]


async def test_redirects_lead_to_the_bytes(stored: Policy, folder: Path, tmp_path: Path):
    player = await client(Remote(tmp_path, replace(stored, serve="redirect")), folder.name)
    try:
        answer = await player.get("/camera/000001.m4s", allow_redirects=False)
        assert answer.status == 302
        async with ClientSession() as session, session.get(answer.headers["Location"]) as there:
            assert await there.read() == DATA
        playlist = await player.get("/camera/index.m3u8", allow_redirects=False)
        assert (playlist.status, await playlist.read()) == (200, b"#EXTM3U\n")
    finally:
        await player.close()


async def test_without_a_storage_nothing_is_there(folder: Path, tmp_path: Path):
    player = await client(Remote(tmp_path, Policy()), folder.name)
    assert (await player.get("/camera/000001.m4s")).status == 404
    await player.close()


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("", (0, 100, False)),
        ("bytes=0-", (0, 100, True)),
        ("bytes=10-19", (10, 20, True)),
        ("bytes=10-500", (10, 100, True)),
        ("bytes=-30", (70, 100, True)),
        ("bytes=-500", (0, 100, True)),
        ("bytes=100-", None),
        ("bytes=-0", None),
        ("bytes=9-5", (0, 100, False)),
        ("bytes=1-2,5-6", (0, 100, False)),
        ("bytes=-", (0, 100, False)),
        ("pages=1-2", (0, 100, False)),
        ("bytes=1-" + "9" * 40, (0, 100, False)),
    ],
)
def test_ranges_are_as_the_rfc_says(header: str, wanted: tuple[int, int, bool] | None):
    assert byte_range(header, 100) == wanted


@pytest.mark.parametrize("agent", ["Firefox/150.0", "Version/18.0 Safari/605.1.15"])
async def test_the_archives_own_routes_find_what_is_in_the_storage(
    stored: Policy, folder: Path, tmp_path: Path, agent: str
):
    policy.write(tmp_path, stored)
    app = web.Application()
    app.add_routes(routes(tmp_path, lambda request, lesson, right: None))
    player = TestClient(TestServer(app), headers={"User-Agent": agent})
    await player.start_server()
    try:
        base = f"/archive/{folder.name}/media/camera"
        answer = await player.get(f"{base}/000001.m4s", headers={"Range": "bytes=0-9"})
        assert (answer.status, await answer.read()) == (206, DATA[:10])
        assert "immutable" in answer.headers["Cache-Control"]
        answer = await player.get(f"{base}/index.m3u8")
        assert (answer.status, await answer.text()) == (200, "#EXTM3U\n")
        assert (await player.get(f"{base}/none.m3u8")).status == 404
        assert (await player.get(f"{base}/none.m4s")).status == 404
        assert (await player.get(f"{base}/../../manifest.json")).status == 404
    finally:
        await player.close()
