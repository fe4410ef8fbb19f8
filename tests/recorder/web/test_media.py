"""The archive over HTTP."""

import gzip
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from recorder.archive.layout import entry_from_id
from recorder.catalogue import Catalogue
from recorder.pipeline.lesson import LessonRecorder
from recorder.web.access import Right
from recorder.web.media import routes
from tests.recorder.conftest import LESSON
from tests.recorder.journals import lesson

HISTORY = "20260922-080000-history-00bb"
MEDIA = f"/archive/{LESSON}/media/"


def authorize(request: web.Request, lesson: str | None, right: Right) -> None:
    """`X-May`: "all", "admin" or the name of the one lesson one may see."""
    may = request.headers.get("X-May")
    if may is None:
        raise web.HTTPUnauthorized
    if may != "admin" and (right is not Right.SEE or (may != "all" and may != lesson)):
        raise web.HTTPForbidden


@pytest.fixture
async def client(tmp_path: Path, folder: Path) -> AsyncIterator[TestClient]:
    journal = lesson("H264", 6)
    recorder = LessonRecorder(folder, journal.opener())
    while not recorder.over:
        recorder.step(2_000)
    recorder.finish()
    catalogue = Catalogue(tmp_path)
    catalogue.reconcile(tmp_path)
    catalogue.save(replace(entry_from_id(HISTORY), state="live", title="Rome"))
    (tmp_path / "secret.m4s").write_text("secret")
    app = web.Application()
    app.add_routes(routes(tmp_path, authorize))
    async with TestClient(TestServer(app), headers={"X-May": "all"}) as client:
        yield client


async def test_the_list_is_newest_first_with_live_lessons(client: TestClient):
    answer = await (await client.get("/api/archive")).json()
    assert [(e["id"], e["state"]) for e in answer["lessons"]] == [
        (HISTORY, "live"),
        (LESSON, "complete"),
    ]


async def test_an_entry_names_urls_that_exist(client: TestClient):
    entry = await (await client.get(f"/api/archive/{LESSON}")).json()
    assert entry["views"] == [
        {
            "source": "camera",
            "kind": "video",
            "codec": "H264",
            "width": 320,
            "height": 180,
            "hls": MEDIA + "camera.m3u8",
            "webm": None,
        }
    ]
    assert entry["audio"] == {"codec": "opus", "hls": MEDIA + "audio.m3u8"}
    assert entry["poster"] == MEDIA + "poster.jpg"
    assert (entry["lesson"], entry["title"], entry["downloads"]) == ("math", "Mathematics", [])
    assert entry["duration_s"] == pytest.approx(6, abs=0.1)
    for url in (entry["poster"], entry["audio"]["hls"], entry["views"][0]["hls"]):
        assert (await client.get(url)).status == 200


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("?q=rome", [HISTORY]),
        ("?q=mathe", [LESSON]),
        ("?limit=1", [HISTORY]),
        ("?limit=1&offset=1", [LESSON]),
        ("?offset=9", []),
    ],
)
async def test_search_and_pages(client: TestClient, query: str, ids: list[str]):
    answer = await (await client.get("/api/archive" + query)).json()
    assert [entry["id"] for entry in answer["lessons"]] == ids


@pytest.mark.parametrize("query", ["?limit=x", "?offset=-1", "?limit=1.5"])
async def test_a_bad_number_is_one_sentence(client: TestClient, query: str):
    response = await client.get("/api/archive" + query)
    assert response.status == 400
    assert "whole number" in (await response.json())["error"]


@pytest.mark.parametrize(
    ("name", "content_type", "cache"),
    [
        ("camera.m3u8", "application/vnd.apple.mpegurl", "no-cache"),
        ("camera/index.m3u8", "application/vnd.apple.mpegurl", "no-cache"),
        ("camera/000001.m4s", "video/iso.segment", "private, max-age=31536000, immutable"),
        ("audio/init-0001.mp4", "video/mp4", "private, max-age=31536000, immutable"),
        ("poster.jpg", "image/jpeg", "no-cache"),
    ],
)
async def test_files_have_their_type_and_lifetime(client, name, content_type, cache):
    response = await client.get(MEDIA + name)
    assert response.status == 200
    assert response.headers["Content-Type"] == content_type
    assert response.headers["Cache-Control"] == cache


async def test_ranges(client: TestClient, folder: Path):
    whole = (folder / "media" / "camera" / "000001.m4s").read_bytes()
    response = await client.get(MEDIA + "camera/000001.m4s", headers={"Range": "bytes=10-19"})
    assert response.status == 206
    assert response.headers["Content-Range"] == f"bytes 10-19/{len(whole)}"
    assert await response.read() == whole[10:20]
    response = await client.get(
        MEDIA + "camera/000001.m4s", headers={"Range": f"bytes={len(whole)}-"}
    )
    assert response.status == 416


@pytest.mark.parametrize(
    "path",
    [
        "../manifest.json",
        "..%2fmanifest.json",
        "..%2f..%2f..%2fsecret.m4s",
        "camera/..%2f..%2fmanifest.json",
        "%2fetc%2fpasswd",
        "camera%2f..%2f..%2fjournal%2flock",
        "..%5cmanifest.json",
        ".camera.webm",
        "camera",
        "camera/",
        "nothing.m4s",
        "%00.m4s",
        "link.m4s",
        "linked/secret.m4s",
    ],
)
async def test_no_path_leads_out(client: TestClient, folder: Path, path: str):
    (folder / "media" / ".camera.webm").write_text("unfinished")
    (folder / "media" / "link.m4s").symlink_to(folder.parents[1] / "secret.m4s")
    (folder / "media" / "linked").symlink_to(folder.parents[1])
    base = client.make_url("/")
    response = await client.session.get(
        URL(f"{base}archive/{LESSON}/media/{path}", encoded=True), headers={"X-May": "all"}
    )
    assert response.status == 404


@pytest.mark.parametrize("lesson_id", ["nothing", "..", "20260921-141320-math-ffff", "%2e%2e"])
async def test_lessons_that_are_not(client: TestClient, lesson_id: str):
    for url in (f"/api/archive/{lesson_id}", f"/archive/{lesson_id}/media/camera.m3u8"):
        assert (await client.get(url)).status == 404


URLS = ["/api/archive", f"/api/archive/{LESSON}", MEDIA + "camera.m3u8"]


@pytest.mark.parametrize("url", URLS)
async def test_without_a_token_nothing(client: TestClient, url: str):
    async with TestClient(client.server) as stranger:
        assert (await stranger.get(url)).status == 401


async def test_who_may_see_one_lesson_sees_that_one(client: TestClient):
    guest = {"X-May": "math"}
    answer = await (await client.get("/api/archive", headers=guest)).json()
    assert [entry["id"] for entry in answer["lessons"]] == [LESSON]
    assert (await client.get(MEDIA + "camera.m3u8", headers=guest)).status == 200
    assert (await client.get(f"/api/archive/{HISTORY}", headers=guest)).status == 403


async def test_who_may_see_none_sees_an_empty_list(client: TestClient):
    response = await client.get("/api/archive", headers={"X-May": "chess"})
    assert await response.json() == {"lessons": [], "total": 0}


async def test_only_an_admin_deletes_and_then_it_is_gone(client: TestClient, folder: Path):
    assert (await client.delete(f"/api/archive/{LESSON}")).status == 403
    admin = {"X-May": "admin"}
    assert (await client.delete(f"/api/archive/{LESSON}", headers=admin)).status == 204
    assert not folder.exists()
    assert (await client.get(f"/api/archive/{LESSON}")).status == 404


async def test_a_live_lesson_is_not_deleted(client: TestClient):
    response = await client.delete(f"/api/archive/{HISTORY}", headers={"X-May": "admin"})
    assert response.status == 409
    assert "end it first" in (await response.json())["error"]


async def test_texts_are_compressed_and_asked_for_once(client: TestClient):
    url = MEDIA + "camera/index.m3u8"
    plain = await client.get(url, headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    packed = await client.get(url, headers={"Accept-Encoding": "gzip"}, auto_decompress=False)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Vary"] == "Accept-Encoding"
    assert packed.headers["Cache-Control"] == "no-cache"
    assert gzip.decompress(await packed.read()) == await plain.read()
    known = {"Accept-Encoding": "gzip", "If-None-Match": packed.headers["ETag"]}
    again = await client.get(url, headers=known)
    assert (again.status, await again.read()) == (304, b"")
    media = await client.get(MEDIA + "camera/000001.m4s", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in media.headers
    piece = await client.get(url, headers={"Accept-Encoding": "gzip", "Range": "bytes=0-6"})
    assert (piece.status, await piece.read()) == (206, b"#EXTM3U")
