from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from recorder.web.access import Right
from signaling.admission import Limits
from signaling.api import Api
from signaling.auth import verify
from signaling.config import DEV_KEY, DEV_SECRET
from signaling.disk import Disk
from signaling.door import Door
from signaling.edge import errors_as_json
from tests.signaling.conftest import House, token


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


async def test_health(house: House) -> None:
    await house.teach()
    response = await house.client.get("/healthz")
    assert await response.json() == {"ok": True, "lessons": 1, "recorder": "ok"}


async def test_unknown_addresses_and_methods_are_json(house: House) -> None:
    response = await house.client.get("/api/nothing")
    assert (response.status, await response.json()) == (
        404,
        {"error": "There is nothing at this address."},
    )
    response = await house.client.put("/api/lessons")
    assert response.status == 405
    assert response.headers["Allow"]
    assert (await response.json())["error"]


@pytest.mark.parametrize(
    ("recording", "disk", "told"),
    [
        ("ok", Disk(12 * 10**9, "everything", 2.8, warning=True), 2.8),
        ("ok", Disk(10**12, "everything", 90.0, warning=False), None),
        ("off", Disk(12 * 10**9, "everything", 2.8, warning=True), None),
        ("ok", None, None),
    ],
)
async def test_a_recorded_lesson_says_when_the_disk_fills(
    house: House, recording: str, disk: Disk | None, told: float | None
) -> None:
    api = Api(
        house.registry,
        house.engine,
        Door(Limits()),
        {},
        dev=True,
        recorder_state=lambda: "ok",
        disk=lambda: disk,
    )
    summary = api._summary({"recording": recording})
    facts = summary.get("disk")
    assert (facts["hours_left"] if isinstance(facts, dict) else None) == told


class TestEnding:
    async def test_a_teacher_ends_its_lesson(self, house: House) -> None:
        await house.teach()
        response = await house.client.delete("/api/lessons/math", headers=bearer(token("teacher")))
        assert response.status == 204
        assert house.journal()[-1] == {"type": "lesson_ended", "reason": "teacher"}
        again = await house.client.delete("/api/lessons/math", headers=bearer(token("teacher")))
        assert again.status == 404

    async def test_nobody_else_does(self, house: House) -> None:
        await house.teach()
        for who, status in (
            ({}, 401),
            (bearer("garbage"), 401),
            (bearer(token("school")), 403),
            (bearer(token("teacher", "art")), 403),
            ({"Cookie": f"tongbu_token={token('teacher')}"}, 401),
        ):
            response = await house.client.delete("/api/lessons/math", headers=who)
            assert response.status == status
        assert len(await house.lessons()) == 1


class TestDevToken:
    @pytest.mark.parametrize("role", ["teacher", "school", "archivist"])
    async def test_each_role(self, house: House, role: str) -> None:
        wish = {"lesson": "math", "role": role, "name": "wang"}
        response = await house.client.post("/api/dev/token", json=wish)
        assert response.status == 200
        who = verify((await response.json())["token"], {DEV_KEY: DEV_SECRET})
        assert who.identity == "wang"
        assert who.publish is (role == "teacher")
        assert who.may_see_archive("math")
        assert who.admin is (role == "archivist")

    async def test_without_a_name_everybody_is_somebody_else(self, house: House) -> None:
        names = set()
        for _ in range(2):
            wish = {"lesson": "math", "role": "school"}
            response = await house.client.post("/api/dev/token", json=wish)
            names.add(verify((await response.json())["token"], {DEV_KEY: DEV_SECRET}).identity)
        assert len(names) == 2

    @pytest.mark.parametrize(
        "wish",
        [
            {"lesson": "math", "role": "king"},
            {"lesson": "a b", "role": "school"},
            {"lesson": 3, "role": "school"},
            {"role": "teacher"},
            [],
            "x",
        ],
    )
    async def test_a_bad_wish_is_400(self, house: House, wish: Any) -> None:
        response = await house.client.post("/api/dev/token", json=wish)
        assert response.status == 400
        assert (await response.json())["error"].endswith(".")

    async def test_bodies_that_are_no_json(self, house: House) -> None:
        headers = {"Content-Type": "application/json"}
        for body, status in ((b"{", 400), (b"[" * 50000, 400), (b"x" * 70000, 413)):
            response = await house.client.post("/api/dev/token", data=body, headers=headers)
            assert response.status == status
        response = await house.client.post("/api/dev/token", data=b"{}")
        assert response.status == 415


class TestCookie:
    async def test_it_is_set_for_a_good_token(self, house: House) -> None:
        response = await house.client.post("/api/session", headers=bearer(token("school")))
        assert response.status == 204
        cookie = response.cookies["tongbu_token"]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Strict"
        assert cookie["path"] == "/"

    async def test_it_is_not_for_a_bad_one(self, house: House) -> None:
        response = await house.client.post("/api/session", headers=bearer("garbage"))
        assert response.status == 401
        assert "Set-Cookie" not in response.headers


async def test_stats(house: House) -> None:
    response = await house.client.get("/api/stats")
    assert (await response.json())["shards"] == [{"packets_in": 1}]


class TestProduction:
    """Without --dev."""

    @pytest.fixture
    def dev(self) -> bool:
        return False

    async def test_tokens_are_not_given_away(self, house: House) -> None:
        wish = {"lesson": "math", "role": "teacher"}
        assert (await house.client.post("/api/dev/token", json=wish)).status == 404

    async def test_lessons_are_for_those_who_may_see_them(self, house: House) -> None:
        await house.teach()
        assert (await house.client.get("/api/lessons")).status == 401
        for who, seen in (
            (token("school"), 1),
            (token("school", "art"), 0),
            (token("archivist", None), 1),
        ):
            for headers in (bearer(who), {"Cookie": f"tongbu_token={who}"}):
                response = await house.client.get("/api/lessons", headers=headers)
                assert len(await response.json()) == seen

    async def test_counters_are_for_administrators(self, house: House) -> None:
        assert (await house.client.get("/api/stats")).status == 401
        school, admin = token("school"), token("archivist", None, admin=True)
        assert (await house.client.get("/api/stats", headers=bearer(school))).status == 403
        assert (await house.client.get("/api/stats", headers=bearer(admin))).status == 200


class TestArchiveDoor:
    """`authorize_archive`, as `recorder.web.media` calls it."""

    @pytest.fixture
    async def door(self, house: House) -> "AsyncIterator[TestClient[Any, Any]]":
        keys = {DEV_KEY: DEV_SECRET}
        api = Api(
            house.registry,
            house.engine,
            Door(Limits()),
            keys,
            dev=False,
            recorder_state=lambda: "ok",
        )

        async def knock(request: web.Request) -> web.Response:
            lesson = request.query.get("lesson")
            rights = {"edit": Right.EDIT, "admin": Right.ADMINISTER}
            asked = [right for name, right in rights.items() if name in request.query]
            api.authorize_archive(request, lesson, asked[0] if asked else Right.SEE)
            return web.Response(text="come in")

        app = web.Application(middlewares=[errors_as_json])
        app.add_routes([web.get("/", knock)])
        async with TestClient(TestServer(app)) as client:
            yield client

    @pytest.mark.parametrize(
        ("query", "role", "lesson", "status"),
        [
            ("/?lesson=math", "school", "math", 200),
            ("/?lesson=art", "school", "math", 403),
            ("/", "school", "math", 403),
            ("/", "archivist", None, 200),
            ("/?lesson=art", "archivist", None, 200),
            ("/?lesson=art&admin", "archivist", None, 403),
            ("/?lesson=math&admin", "teacher", "math", 403),
            ("/?lesson=math&edit", "teacher", "math", 200),
            ("/?lesson=art&edit", "teacher", "math", 403),
            ("/?lesson=math&edit", "assistant", "math", 403),
            ("/?lesson=math&edit", "school", "math", 403),
            ("/?lesson=math&edit", "archivist", None, 403),
        ],
    )
    async def test_who_may(
        self, door: "TestClient[Any, Any]", query: str, role: str, lesson: str | None, status: int
    ) -> None:
        response = await door.get(query, headers=bearer(token(role, lesson)))
        assert response.status == status

    async def test_administrators_and_strangers(self, door: "TestClient[Any, Any]") -> None:
        admin = bearer(token("archivist", None, admin=True))
        assert (await door.get("/?lesson=math&admin", headers=admin)).status == 200
        response = await door.get("/?lesson=math")
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert "error" in await response.json()


async def test_a_bug_of_ours_is_500_without_details() -> None:
    async def broken(request: web.Request) -> web.Response:
        raise RuntimeError("a bug")

    app = web.Application(middlewares=[errors_as_json])
    app.add_routes([web.get("/", broken)])
    async with TestClient(TestServer(app)) as client:
        response = await client.get("/")
        assert response.status == 500
        assert "bug" not in (await response.json())["error"]
