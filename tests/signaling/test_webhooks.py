"""What other systems are told: each event once and in order, or counted as dropped."""

import asyncio
import base64
import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from signaling import webhooks
from signaling.webhooks import Key, Webhooks

KEY = Key("portal", "0123456789abcdef0123456789abcdef")
NOW = 1_700_000_000.0


class Listener:
    """Who is told; `statuses` are its answers, the last one for ever."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses) or [200]
        self.requests: list[tuple[str, bytes, Mapping[str, str]]] = []
        self.pauses: list[float] = []
        self.hold = asyncio.Event()
        self.hold.set()

    def hooks(self, *urls: str, clock: Callable[[], float] = lambda: NOW) -> Webhooks:
        return Webhooks(
            urls or ("https://a.example/h",), KEY, clock, post=self.post, pause=self.pause
        )

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        await self.hold.wait()
        self.requests.append((url, body, headers))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status == 0:
            raise ConnectionRefusedError
        return status

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body, _ in self.requests]


async def test_an_event_is_signed_as_livekits_are() -> None:
    listener = Listener()
    hooks = listener.hooks()
    hooks.send("participant_joined", {"room": {"name": "math"}})
    await hooks.close()
    ((_, body, headers),) = listener.requests
    event = json.loads(body)
    assert event["event"] == "participant_joined"
    assert event["room"] == {"name": "math"}
    assert event["id"].startswith("EV_")
    assert event["createdAt"] == "1700000000"
    assert "numDropped" not in event
    assert headers["Content-Type"] == "application/webhook+json"
    options: Any = {"verify_exp": False, "verify_nbf": False}
    claims = jwt.decode(headers["Authorization"], KEY.secret, algorithms=["HS256"], options=options)
    assert claims["iss"] == "portal"
    assert base64.b64decode(claims["sha256"]) == hashlib.sha256(body).digest()
    assert claims["exp"] > NOW


async def test_livekits_own_receiver_takes_it() -> None:
    from google.protobuf import json_format
    from livekit.protocol import webhook

    listener = Listener()
    hooks = listener.hooks()
    hooks.send("room_started", {"room": {"name": "math", "sid": "RM_x"}})
    await hooks.close()
    event = json_format.Parse(listener.requests[0][1], webhook.WebhookEvent())
    assert (event.event, event.room.name, event.created_at) == ("room_started", "math", int(NOW))


async def test_it_is_tried_again_with_growing_pauses() -> None:
    listener = Listener(500, 0, 429, 200)
    hooks = listener.hooks()
    hooks.send("a", {})
    hooks.send("b", {})
    await hooks.close()
    assert [event["event"] for event in listener.events] == ["a", "a", "a", "a", "b"]
    assert len({event["id"] for event in listener.events}) == 2
    assert listener.pauses == [1, 2, 4]
    assert (hooks.counts.delivered, hooks.counts.failed, hooks.counts.dropped) == (2, 3, 0)


async def test_what_nobody_takes_is_counted_and_told() -> None:
    listener = Listener(*[503] * webhooks.ATTEMPTS, 200)
    hooks = listener.hooks()
    for name in ("lost", "next", "later"):
        hooks.send(name, {})
    await hooks.close()
    events = listener.events[webhooks.ATTEMPTS :]
    assert [(e["event"], e.get("numDropped")) for e in events] == [("next", 1), ("later", None)]
    assert hooks.counts.dropped == 1


@pytest.mark.parametrize("status", [302, 400, 401, 404])
async def test_a_refusal_is_final(status: int) -> None:
    listener = Listener(status, 200)
    hooks = listener.hooks()
    hooks.send("a", {})
    await hooks.close()
    assert len(listener.requests) == 1
    assert hooks.counts.dropped == 1


async def test_one_that_hangs_holds_up_no_other_and_is_bounded() -> None:
    got: list[str] = []
    release, all_quick = asyncio.Event(), asyncio.Event()

    async def post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
        if "slow" in url:
            await release.wait()
        got.append(url)
        if len(got) == 5:
            all_quick.set()
        return 200

    urls = ("https://slow.example", "https://quick.example")
    hooks = Webhooks(urls, KEY, lambda: NOW, post=post)
    for _ in range(5):
        hooks.send("a", {})
    await all_quick.wait()
    assert got == ["https://quick.example"] * 5
    for _ in range(webhooks.MAX_WAITING):
        hooks.send("b", {})
    assert hooks.counts.dropped >= 4  # of the slow one: 4 waited already
    release.set()
    await hooks.close()


async def test_over_http_and_no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    got: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    statuses = [200, 403]

    async def take(request: web.Request) -> web.Response:
        got.put_nowait(json.loads(await request.text()))
        return web.Response(status=statuses.pop())

    app = web.Application()
    app.add_routes([web.post("/hook", take)])
    async with TestServer(app) as server:
        url = str(server.make_url("/hook")) + "?token=hush"
        hooks = Webhooks([url, "http://127.0.0.1:1/?token=hush"], KEY, lambda: NOW)
        hooks.send("a", {})
        hooks.send("b", {})
        events = [(await got.get())["event"], (await got.get())["event"]]
        await hooks.close()
    assert events == ["a", "b"]
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("signaling")]
    assert ours
    assert not any("hush" in line or "eyJ" in line for line in ours)


async def test_without_urls_nothing_is_made() -> None:
    hooks = Webhooks([], KEY, lambda: NOW)
    hooks.send("a", {})
    await hooks.close()
