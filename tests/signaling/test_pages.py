from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from signaling.edge import errors_as_json
from signaling.pages import Pages


@pytest.fixture
async def client(tmp_path: Path) -> "AsyncIterator[TestClient[Any, Any]]":
    for page in ("teach", "join", "archive"):
        (tmp_path / f"{page}.html").write_text(f"<title>{page}</title>")
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "teach-1a2b.js").write_text("1")
    (tmp_path / "secret.txt").write_text("no")
    app = web.Application(middlewares=[errors_as_json])
    app.add_routes(Pages(tmp_path).routes())
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("/teach", "teach"),
        ("/join/math", "join"),
        ("/join/数学", "join"),
        ("/archive", "archive"),
        ("/archive/20250301-080000-math-0a1b", "archive"),
    ],
)
async def test_each_page(client: "TestClient[Any, Any]", path: str, page: str) -> None:
    response = await client.get(path)
    assert response.status == 200
    assert f"<title>{page}</title>" in await response.text()
    assert response.headers["Cache-Control"] == "no-cache"


async def test_the_front_door_is_the_archive(client: "TestClient[Any, Any]") -> None:
    response = await client.get("/", allow_redirects=False)
    assert (response.status, response.headers["Location"]) == (302, "/archive")


async def test_assets_are_kept(client: "TestClient[Any, Any]") -> None:
    response = await client.get("/assets/teach-1a2b.js")
    assert response.status == 200
    assert "immutable" in response.headers["Cache-Control"]


@pytest.mark.parametrize(
    "path", ["/assets/nothing.js", "/assets/..%2Fsecret.txt", "/assets/.", "/join/a%20b"]
)
async def test_what_is_not_there(client: "TestClient[Any, Any]", path: str) -> None:
    assert (await client.get(path)).status == 404


async def test_an_unbuilt_client_says_how(tmp_path: Path) -> None:
    app = web.Application(middlewares=[errors_as_json])
    app.add_routes(Pages(tmp_path / "nowhere").routes())
    async with TestClient(TestServer(app)) as client:
        response = await client.get("/teach")
        assert response.status == 503
        assert "make web" in (await response.json())["error"]
