"""Hands and the floor over HTTP."""

from typing import Any

import pytest

from signaling.lesson import Rules
from tests.signaling.conftest import House, offer, token

FLOOR, HANDS = "/api/lessons/math/floor", "/api/lessons/math/hands"


async def ask(
    house: House, method: str, path: str, bearer: str, body: object = None
) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {bearer}"}
    more = {"json": body} if body is not None else {}
    response = await house.client.request(method, path, headers=headers, **more)
    return response.status, await response.json()


@pytest.fixture
async def lesson(house: House) -> House:
    await house.teach()
    await house.watch(identity="hilltop")
    await house.watch(identity="seaside")
    return house


@pytest.fixture
def rules() -> Rules:
    return Rules(max_schools=5)


def school(identity: str = "hilltop") -> str:
    return token("school", identity=identity)


async def test_a_school_asks_gets_and_gives_back_the_floor(lesson: House) -> None:
    status, state = await ask(lesson, "POST", HANDS, school())
    assert (status, state) == (200, {"floor": None, "hands": ["hilltop"]})
    wish = {"identity": "hilltop"}
    status, state = await ask(lesson, "POST", FLOOR, token("teacher"), wish)
    assert (status, state) == (200, {"floor": "hilltop", "hands": []})
    assert await ask(lesson, "GET", FLOOR, school("seaside")) == (200, state)
    status, state = await ask(lesson, "DELETE", FLOOR, school())
    assert (status, state) == (200, {"floor": None, "hands": []})
    kinds = [event["type"] for event in lesson.journal()][-3:]
    assert kinds == ["hand_raised", "floor_granted", "floor_freed"]


async def test_a_school_with_the_floor_speaks_by_whip(lesson: House) -> None:
    refused = await lesson.post("/math/whip", offer("obs_publish"), school())
    assert refused.status == 403
    await ask(lesson, "POST", FLOOR, token("teacher"), {"identity": "hilltop"})
    assert (await lesson.post("/math/whip", offer("obs_publish"), school("seaside"))).status == 403
    encoder = await lesson.join("/math/whip", offer("chromium_publish"), school())
    assert encoder.answer.count("a=recvonly") == 2  # no slides
    await encoder.connect()
    published = [e for e in lesson.journal() if e["type"] == "track_published"]
    assert [(e["identity"], e["source"]) for e in published[3:]] == [
        ("hilltop", "microphone"),
        ("hilltop", "camera"),
    ]
    taken = sorted(number for number, t in lesson.native.uptracks.items() if t.mid in "01")[-2:]
    assert (await ask(lesson, "DELETE", FLOOR, token("teacher")))[0] == 200
    assert sorted(lesson.native.told("remove_uptrack")) == [(number,) for number in taken]


async def test_the_floor_is_free_when_the_encoder_stops(lesson: House) -> None:
    await ask(lesson, "POST", FLOOR, token("teacher"), {"identity": "hilltop"})
    encoder = await lesson.join("/math/whip", offer("obs_publish"), school())
    await encoder.connect()
    await lesson.client.delete(encoder.location)
    assert (await ask(lesson, "GET", FLOOR, school()))[1]["floor"] is None
    assert len(await lesson.lessons()) == 1


async def test_a_hand_is_lowered_by_its_school_or_the_teacher(lesson: House) -> None:
    for bearer in (school(), token("teacher")):
        await ask(lesson, "POST", HANDS, school())
        status, state = await ask(lesson, "DELETE", f"{HANDS}/hilltop", bearer)
        assert (status, state["hands"]) == (200, [])


async def test_what_others_may_not_do(lesson: House) -> None:
    await ask(lesson, "POST", FLOOR, token("teacher"), {"identity": "hilltop"})
    await ask(lesson, "POST", HANDS, school("seaside"))
    wish = {"identity": "seaside"}
    for method, path, body in (
        ("POST", FLOOR, wish),
        ("DELETE", FLOOR, None),
        ("DELETE", f"{HANDS}/hilltop", None),
    ):
        assert (await ask(lesson, method, path, school("seaside"), body))[0] == 403
        assert (await ask(lesson, method, path, token("teacher", "art"), body))[0] == 403
        assert (await ask(lesson, method, path, "garbage", body))[0] == 401
    assert (await ask(lesson, "GET", FLOOR, token("school", "art")))[0] == 403
    named = token("teacher", identity="seaside", attributes={"role": "school"})
    assert (await ask(lesson, "POST", FLOOR, named, wish))[0] == 403  # a school is no teacher


async def test_what_makes_no_sense(lesson: House) -> None:
    teacher = token("teacher")
    assert (await ask(lesson, "POST", FLOOR, teacher, {}))[0] == 400
    assert (await ask(lesson, "POST", FLOOR, teacher, {"identity": "nobody"}))[0] == 404
    assert (await ask(lesson, "POST", FLOOR, teacher, {"identity": "wang"}))[0] == 403
    assert (await ask(lesson, "DELETE", FLOOR, teacher))[0] == 409
    assert (await ask(lesson, "POST", HANDS, school("nobody")))[0] == 404
    assert (await ask(lesson, "GET", FLOOR.replace("math", "art"), teacher))[0] == 404
