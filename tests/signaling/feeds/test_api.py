"""Who may have what pulled and pushed, over HTTP: the processes are stood in for."""

import asyncio
import json
from typing import Any

import jwt
import pytest

from signaling.config import DEV_KEY, DEV_SECRET, IngestSource, NodeConfig, load
from signaling.feeds import ingest, push
from signaling.feeds.feed import Spec
from signaling.feeds.feeds import Feeds
from signaling.node import INGESTS
from signaling.openapi import document
from tests.signaling.conftest import House, token

CAMERA = "rtsp://admin:geheim@10.1.0.5/stream1"
PLATFORM = "rtmp://live.example.org/live2/geheim"
_SAY = """
import json, sys
sys.stdin.readline()
print(json.dumps({"state": "live", "video": "H264 320x180", "audio": "opus"}), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def config() -> NodeConfig:
    sources = (
        IngestSource(lesson="math", url="rtsp://10.9.0.1/x", source="slides", name="Desk"),
        IngestSource(lesson="hall", url="srt://10.9.0.2:9000", role="teacher"),
    )
    base = load(None, dev=True)
    return base.model_copy(
        update={
            "ingest": base.ingest.model_copy(
                update={"allow": ("10.1.0.0/16",), "sources": sources}
            ),
            "push": base.push.model_copy(update={"allow": ("live.example.org",)}),
        }
    )


@pytest.fixture(autouse=True)
def begun(monkeypatch: pytest.MonkeyPatch) -> list[Spec]:
    """What was to be started; scripts that say they are live run instead."""
    specs: list[Spec] = []
    add = Feeds.add

    def note(self: Feeds, spec: Spec, most: int = 8) -> Any:
        specs.append(spec)
        return add(self, spec, most)

    monkeypatch.setattr(Feeds, "add", note)
    monkeypatch.setattr(ingest, "COMMAND", ("-c", _SAY))
    monkeypatch.setattr(push, "COMMAND", ("-c", _SAY))
    return specs


async def ask(
    house: House, method: str, path: str, role: str = "teacher", body: Any = None, **who: Any
) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token(role, **who)}"}
    response = await house.client.request(
        method, f"/api/lessons/{path}", headers=headers, json=body
    )
    text = await response.text()
    assert "geheim" not in text
    return response.status, json.loads(text) if text else None


async def lists(house: House, path: str, count: int) -> list[Any]:
    """The feeds, when there are so many and all are live."""
    async with asyncio.timeout(60):
        while True:
            status, feeds = await ask(house, "GET", path)
            assert status == 200
            if len(feeds) == count and all(feed["state"] == "live" for feed in feeds):
                return list(feeds)
            await asyncio.sleep(0.02)


async def test_a_camera_comes_along_with_a_lesson(house: House, begun: list[Spec]) -> None:
    assert (await ask(house, "POST", "math/ingest", body={"url": CAMERA}))[0] == 409
    await house.teach()
    status, feed = await ask(house, "POST", "math/ingest", body={"url": CAMERA, "name": "Hall"})
    assert status == 201
    assert feed["url"] == "rtsp://10.1.0.5/stream1"
    assert (feed["role"], feed["name"], feed["source"]) == ("assistant", "Hall", "camera")
    job = begun[-1].job()
    assert job["url"] == CAMERA
    assert job["whip"].endswith("/math/whip")
    assert job["audio"] is True
    claims = jwt.decode(job["token"], DEV_SECRET, algorithms=["HS256"])
    assert claims["iss"] == DEV_KEY
    assert claims["attributes"] == {"role": "assistant"}
    assert claims["video"]["room"] == "math"
    assert claims["video"]["canSubscribe"] is False
    assert claims["exp"] - claims["nbf"] == ingest.TOKEN_TTL
    assert "geheim" not in str(begun[-1].command)
    feeds = await lists(house, "math/ingest", 2)
    mine = next(one for one in feeds if one["id"] == feed["id"])
    assert mine["video"] == "H264 320x180"
    required = document(dev=True)["components"]["schemas"]["Feed"]
    assert set(required["required"]) <= set(mine) <= set(required["properties"])
    assert (await ask(house, "DELETE", f"math/ingest/{feed['id']}"))[0] == 204
    assert (await ask(house, "DELETE", f"math/ingest/{feed['id']}"))[0] == 404
    await lists(house, "math/ingest", 1)


async def test_what_is_configured_comes_with_the_teacher_and_goes(
    house: House, begun: list[Spec]
) -> None:
    await house.teach()
    (feed,) = await lists(house, "math/ingest", 1)
    assert (feed["configured"], feed["name"], feed["source"]) == (True, "Desk", "slides")
    assert begun[-1].job()["audio"] is False
    assert (await ask(house, "DELETE", "math"))[0] == 204
    await lists(house, "math/ingest", 0)
    await house.teach()
    await lists(house, "math/ingest", 1)


async def test_a_source_that_gives_a_lesson_is_pulled_always(
    house: House, begun: list[Spec]
) -> None:
    app = house.client.server.app  # type: ignore[attr-defined]
    app[INGESTS].serve("http://127.0.0.1:9")
    assert [spec.lesson for spec in begun] == ["hall"]
    job = begun[0].job()
    assert job["whip"] == "http://127.0.0.1:9/hall/whip"
    claims = jwt.decode(job["token"], DEV_SECRET, algorithms=["HS256"])
    assert claims["attributes"] == {"role": "teacher"}
    await house.teach("hall", claims["sub"])
    house.registry.require("hall").end("teacher")
    headers = {"Authorization": f"Bearer {token('teacher', 'hall')}"}
    answer = await (await house.client.get("/api/lessons/hall/ingest", headers=headers)).json()
    assert len(answer) == 1  # it brings the next lesson
    await app[INGESTS].close()


async def test_a_lesson_is_sent_elsewhere_until_it_is_over(house: House, begun: list[Spec]) -> None:
    body = {"url": PLATFORM, "source": "slides"}
    assert (await ask(house, "POST", "math/push", body=body))[0] == 409
    peer = await house.teach()
    await peer.say()
    status, feed = await ask(house, "POST", "math/push", body=body)
    assert status == 201
    assert feed["url"] == "rtmp://live.example.org/live2/…"
    job = begun[-1].job()
    assert job["url"] == PLATFORM
    assert job["source"] == "slides"
    assert job["audio"] == "aac"
    lesson = house.registry.require("math")
    assert job["journal"].endswith(f"/lessons/{lesson.lesson.id}/journal")
    await lists(house, "math/push", 1)
    lesson.end("teacher")
    await lists(house, "math/push", 0)


@pytest.mark.parametrize(
    ("kind", "body", "status", "says"),
    [
        ("ingest", {"url": "rtsp://10.2.0.5/x"}, 403, "10.2.0.5"),
        ("ingest", {"url": "rtsp://10.9.0.1/x"}, 403, "ingest.allow"),  # the configuration's own
        ("ingest", {"url": "file:///etc/passwd"}, 400, "must begin with"),
        ("ingest", {"url": "http://me:geheim@10.1.0.5/"}, 400, "must begin with"),
        ("ingest", {"url": 7}, 400, "url"),
        ("ingest", {}, 400, "url"),
        ("ingest", {"url": CAMERA, "role": "school"}, 400, "role"),
        ("ingest", {"url": CAMERA, "key": 1}, 400, "key is not"),
        ("ingest", {"url": CAMERA, "transport": "geheim"}, 400, "transport"),
        ("push", {"url": "rtmp://10.1.0.5/a/b"}, 403, "push.allow"),
        ("push", {"url": "rtsp://live.example.org/a"}, 400, "must begin with rtmp"),
        ("push", {"url": PLATFORM, "source": "x"}, 400, "source"),
        ("push", {"url": PLATFORM, "audio": "mp3"}, 400, "audio"),
        ("push", {"url": PLATFORM, "key": "x"}, 400, "key is not"),
        ("push", {}, 400, "url"),
    ],
)
async def test_what_makes_no_sense_or_is_not_allowed_is_refused(
    house: House, begun: list[Spec], kind: str, body: Any, status: int, says: str
) -> None:
    await house.teach()
    before = len(begun)
    answered, said = await ask(house, "POST", f"math/{kind}", body=body)
    assert answered == status, said
    assert says in said["error"]
    assert len(begun) == before


async def test_who_may_not_teach_may_not_feed(house: House) -> None:
    await house.teach()
    for role, who in (("school", {}), ("observer", {}), ("teacher", {"lesson": "other"})):
        for kind, body in (("ingest", {"url": CAMERA}), ("push", {"url": PLATFORM})):
            for method, path in (
                ("GET", f"math/{kind}"),
                ("POST", f"math/{kind}"),
                ("DELETE", f"math/{kind}/x"),
            ):
                status, _ = await ask(house, method, path, role, body, **who)
                assert status == 403, (role, method, path)
    response = await house.client.get("/api/lessons/math/ingest")
    assert response.status == 401


async def test_an_assistant_lets_no_source_give_the_lesson(house: House) -> None:
    body = {"url": CAMERA, "role": "teacher"}
    assert (await ask(house, "POST", "math/ingest", "assistant", body))[0] == 403
    status, feed = await ask(house, "POST", "math/ingest", "teacher", body)
    assert status == 201
    assert feed["role"] == "teacher"
