"""The catalogue over HTTP: found, counted, edited."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy.exc import OperationalError
from yarl import URL

from recorder.archive.talk import Talk
from recorder.catalogue import Catalogue
from recorder.web.access import Right
from recorder.web.media import routes
from tests.recorder.catalogue.conftest import archived, entry

FIRST = entry(1, "math").id
SECOND = entry(2, "history").id


def authorize(request: web.Request, lesson: str | None, right: Right) -> None:
    """`X-May`: "all", "admin", or the lesson that one teaches."""
    may = request.headers.get("X-May", "all")
    allowed = {
        Right.SEE: may in ("all", "admin", lesson),
        Right.EDIT: may in ("admin", lesson),
        Right.ADMINISTER: may == "admin",
    }
    if not allowed[right]:
        raise web.HTTPForbidden


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[TestClient]:
    folder = archived(tmp_path, entry(1, "math", "分数的加法", school="山顶小学", subject="数学"))
    said = Talk()
    said.add(125.2, {"from": "s", "name": "Hilltop", "text": "Why three?"})
    said.write(folder)
    archived(tmp_path, entry(2, "history", "Rome", school="Seaside", duration_s=60.0))
    catalogue = Catalogue(tmp_path)
    catalogue.reconcile(tmp_path)
    catalogue.close()
    app = web.Application()
    app.add_routes(routes(tmp_path, authorize))
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.mark.parametrize(("may", "editable"), [("all", False), ("math", True), ("admin", True)])
async def test_who_may_edit_is_told_so(client: TestClient, may: str, editable: bool):
    answer = await client.get(f"/api/archive/{FIRST}", headers={"X-May": may})
    assert (await answer.json())["editable"] is editable


async def found(client: TestClient, query: str) -> list[str]:
    answer = await (await client.get("/api/archive" + query)).json()
    assert answer["total"] >= len(answer["lessons"])
    return [lesson["id"] for lesson in answer["lessons"]]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", [SECOND, FIRST]),
        ("?q=加法", [FIRST]),
        ("?school=Seaside", [SECOND]),
        ("?school=Seaside&school=山顶小学", [SECOND, FIRST]),
        ("?school=Seaside&subject=数学", []),
        ("?state=complete&limit=1", [SECOND]),
        ("?sort=oldest", [FIRST, SECOND]),
        ("?sort=longest", [SECOND, FIRST]),
        ("?from=2026-09-21&to=2026-09-21", [SECOND, FIRST]),
        ("?from=2026-09-22", []),
        ("?to=2026-09-20", []),
        ("?from=2026-09-21T14:13:02Z", [SECOND]),
        ("?to=2026-09-21T22:13:02%2B08:00", [FIRST]),
        (f"?from={entry(2).started_at}", [SECOND]),
        ("?school=%00", []),
        ("?school=%27%20OR%201=1", []),
    ],
)
async def test_words_filters_dates_and_order(client: TestClient, query: str, ids: list[str]):
    assert await found(client, query) == ids


async def test_facets_and_totals(client: TestClient):
    answer = await (await client.get("/api/archive?limit=1&facets=1")).json()
    assert answer["total"] == 2
    assert answer["facets"]["subject"] == [{"value": "数学", "count": 1}]
    assert {row["value"] for row in answer["facets"]["school"]} == {"山顶小学", "Seaside"}
    assert "facets" not in await (await client.get("/api/archive")).json()


async def test_what_was_found_is_shown_and_what_was_said(client: TestClient):
    (hit,) = (await (await client.get("/api/archive?q=why")).json())["lessons"]
    assert hit["found"] == [
        {"in": "chat", "t": 125.2, "name": "Hilltop", "parts": ["", "Why", " three?"]}
    ]
    assert "talk" not in hit
    shown = await (await client.get(f"/api/archive/{FIRST}")).json()
    said = {"t": 125.2, "name": "Hilltop", "text": "Why three?", "kind": "chat"}
    assert shown["talk"] == [said]
    assert "talk" not in await (await client.get(f"/api/archive/{SECOND}")).json()


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("?sort=worst", "sort must be one of best, newest, oldest, longest."),
        ("?from=tomorrow", "from must be a date"),
        ("?to=nan", "to must be a date"),
        ("?to=9999-12-31", "to must be a date"),
        ("?from=1e999", "from must be a date"),
        ("?limit=²", "whole number"),
        ("?offset=" + "9" * 30, "whole number"),
        ("?q=" + "x" * 201, "Search for at most 200 characters."),
        ("?" + "&".join(f"school={n}" for n in range(51)), "Choose at most 50 of school."),
    ],
)
async def test_a_bad_question_is_one_sentence(client: TestClient, query: str, sentence: str):
    response = await client.get("/api/archive" + query)
    assert response.status == 400
    assert sentence in (await response.json())["error"]


@pytest.mark.parametrize(
    "q",
    [
        "%00",
        "%ED%A0%80",
        "%FF%FE",
        "%25_%25",
        "%22",
        "%27%27%27",
        "%22%20OR%20%22",
        "a%20NEAR%20b",
        "NOT",
        "*",
        "head:x",
        "(((",
        "^a",
        "a:*%20%26%20!b",
        "%5C%27",
        "x" * 7_000,
        "%E5%88%86" * 700,
        "%EF%B7%BA" * 60,
    ],
)
async def test_no_query_is_a_mistake_of_the_node(client: TestClient, q: str):
    for name in ("q", "school", "state"):
        url = URL(f"{client.make_url('/')}api/archive?{name}={q}&facets=1", encoded=True)
        response = await client.session.get(url)
        assert response.status in (200, 400)
        assert isinstance(await response.json(), dict)


async def test_a_teacher_says_what_the_lesson_was_about(client: TestClient):
    changes = {"title": "Halves", "subject": "Mathematics", "tags": ["a"], "notes": "Page 7."}
    response = await client.patch(f"/api/archive/{FIRST}", json=changes, headers={"X-May": "math"})
    answer = await response.json()
    assert response.status == 200
    assert {name: answer[name] for name in changes} == changes
    assert await found(client, "?q=halves%20page") == [FIRST]
    taken = {"title": None}
    answer = await client.patch(f"/api/archive/{FIRST}", json=taken, headers={"X-May": "math"})
    assert (await answer.json())["title"] == "分数的加法"


@pytest.mark.parametrize(
    ("may", "lesson", "changes", "status"),
    [
        ("all", FIRST, {"title": "x"}, 403),
        ("history", FIRST, {"title": "x"}, 403),
        ("math", FIRST, {"hold": True}, 403),
        ("math", FIRST, {"title": "x", "keep_until": 1}, 403),
        ("admin", FIRST, {"hold": True, "keep_until": 2e9}, 200),
        ("math", FIRST, {"title": 7}, 400),
        ("math", FIRST, {"id": "x"}, 400),
        ("math", FIRST, [], 400),
        ("math", FIRST, "title", 400),
        ("admin", "20260921-141301-math-ffff", {"title": "x"}, 404),
        ("admin", "nothing", {"title": "x"}, 404),
    ],
)
async def test_who_may_change_what(
    client: TestClient, may: str, lesson: str, changes: Any, status: int
):
    response = await client.patch(f"/api/archive/{lesson}", json=changes, headers={"X-May": may})
    assert response.status == status


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[" * 50_000, b'{"title":"' + b"x" * 200_000 + b'"}']
)
async def test_a_body_that_is_none_is_one_sentence(client: TestClient, body: bytes):
    response = await client.patch(f"/api/archive/{FIRST}", data=body, headers={"X-May": "math"})
    assert response.status == 400
    assert (await response.json())["error"].endswith(".")


async def test_a_lesson_on_hold_is_not_deleted(client: TestClient, tmp_path: Path):
    admin = {"X-May": "admin"}
    url = f"/api/archive/{FIRST}"
    await client.patch(url, json={"hold": True}, headers=admin)
    response = await client.delete(url, headers=admin)
    assert response.status == 409
    assert "on hold" in (await response.json())["error"]
    await client.patch(url, json={"hold": False}, headers=admin)
    assert (await client.delete(url, headers=admin)).status == 204
    assert not (tmp_path / "lessons" / FIRST).exists()


async def test_a_database_in_trouble_is_one_sentence(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object) -> None:
        raise OperationalError("SELECT", {}, Exception("the server closed the connection"))

    for name in ("search", "find"):
        monkeypatch.setattr(Catalogue, name, fail)
    for url in ("/api/archive", f"/api/archive/{FIRST}"):
        response = await client.get(url)
        assert response.status == 503
        assert response.headers["Retry-After"] == "10"
        assert "catalogue" in (await response.json())["error"]
