"""A node without its native half: the real HTTP, lessons and DTLS over the engine's double."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from sfu.dtls import Data, Dtls, Identity, Keys
from sfu.engine import Engine
from sfu.negotiation import Fingerprint
from signaling import classroom
from signaling.admission import Limits
from signaling.api import Api
from signaling.auth import TokenRole, mint
from signaling.classroom import ClassroomConfig
from signaling.config import DEV_KEY, DEV_SECRET, NodeConfig, load
from signaling.delivery import Budgets
from signaling.door import Door
from signaling.edge import unix_now
from signaling.lesson import Rules
from signaling.node import make_app, make_webhooks
from signaling.registry import Registry
from signaling.session import MediaPlane
from tests import fake_media
from tests.fake_media import FakeEngine
from tests.sfu.offers import capture

CERTIFICATE_OF_CAPTURES = (
    "6B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35:"
    "DC:B8:5F:64:1A:24:C2:43:F0:A1:58:D0:A1:2C:19:08"
)
THEIRS = Identity.generate()


def offer(name: str) -> str:
    """A captured offer with a certificate that a test can prove to have."""
    return capture(name).replace(CERTIFICATE_OF_CAPTURES, THEIRS.fingerprint.value)


def token(role: str, lesson: str | None = "math", identity: str = "wang", **changes: Any) -> str:
    settings: dict[str, Any] = {"ttl": 3600, "now": unix_now(), "name": identity, **changes}
    return mint(
        DEV_KEY, DEV_SECRET, role=TokenRole(role), identity=identity, lesson=lesson, **settings
    )


@dataclass
class Peer:
    """The far end of a session: shakes hands through the engine's double."""

    native: FakeEngine
    id: int
    answer: str
    location: str
    etag: str
    data: list[bytes] = field(default_factory=list)
    dtls: Dtls = field(init=False)

    def __post_init__(self) -> None:
        line = next(x for x in self.answer.splitlines() if x.startswith("a=fingerprint:"))
        algorithm, value = line.removeprefix("a=fingerprint:").split(" ")
        role = "server" if "a=setup:active" in self.answer else "client"
        self.dtls = Dtls(THEIRS, role, [Fingerprint(algorithm, value)])  # type: ignore[arg-type]

    async def connect(self) -> None:
        """ICE and DTLS."""
        self.native.say(fake_media.Connected(self.id))
        self.dtls.start()
        for _ in range(20):
            await self.exchange()
            if self.dtls.state == "connected":
                await self.exchange()
                return
        raise AssertionError("the handshake did not complete")

    async def exchange(self) -> None:
        """Carry what waits, once in each direction."""
        for datagram in iter(self.dtls.poll_transmit, None):
            self.native.say(fake_media.Dtls(self.id, datagram))
        await asyncio.sleep(0.001)  # a turn of the loop, so that it sees the descriptor
        outbox = self.native.outbox[self.id]
        while outbox:
            self.dtls.handle_datagram(outbox.popleft())
        for event in iter(self.dtls.poll_event, None):
            match event:
                case Data(payload):
                    self.data.append(payload)
                case Keys():
                    pass

    async def say(self, *events: object) -> None:
        """Let the engine report something."""
        self.native.say(*events)
        await asyncio.sleep(0.001)


@dataclass
class House:
    """The node under test."""

    native: FakeEngine
    engine: Engine
    registry: Registry
    client: "TestClient[Any, Any]"
    recorder_state: list[str]

    async def post(
        self, path: str, body: str, bearer: str | None, content_type: str = "application/sdp"
    ) -> ClientResponse:
        headers = {"Content-Type": content_type}
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        return await self.client.post(path, data=body.encode(), headers=headers)

    async def join(self, path: str, text: str, bearer: str) -> Peer:
        """POST an offer that must be accepted; the peer is not connected yet."""
        response = await self.post(path, text, bearer)
        answer, headers = await response.text(), response.headers
        assert response.status == 201, answer
        peer = next(
            number
            for number, (_, ufrag, _) in self.native.peers.items()
            if f"a=ice-ufrag:{ufrag}\r\n" in answer
        )
        return Peer(self.native, peer, answer, headers["Location"], headers["ETag"])

    async def teach(self, lesson: str = "math", identity: str = "wang") -> Peer:
        """A connected teacher: audio, camera, slides, data."""
        bearer = token("teacher", lesson, identity)
        peer = await self.join(f"/{lesson}/whip", offer("chromium_publish"), bearer)
        await peer.connect()
        return peer

    async def watch(self, lesson: str = "math", identity: str = "school") -> Peer:
        """A connected school: audio, two videos, data."""
        bearer = token("school", lesson, identity)
        peer = await self.join(f"/{lesson}/whep", offer("chromium_watch"), bearer)
        await peer.connect()
        return peer

    def age(self, lesson: str, seconds: float) -> None:
        """Let a lesson's sessions be older than they are."""
        for session in self.registry.require(lesson).sessions.values():
            session.created_at -= seconds

    def uptrack(self, source_mid: str) -> int:
        """The newest uptrack with that mid."""
        return max(number for number, t in self.native.uptracks.items() if t.mid == source_mid)

    def downtrack(self, mid: str) -> int:
        """The newest downtrack with that mid."""
        return max(number for number, t in self.native.downtracks.items() if t.mid == mid)

    def journal(self) -> list[dict[str, Any]]:
        """The events of the newest journal."""
        return [
            json.loads(event) for event in self.native.journals[max(self.native.journals)].events
        ]

    async def lessons(self) -> list[dict[str, Any]]:
        """What /api/lessons says."""
        response = await self.client.get("/api/lessons")
        assert response.status == 200
        answer: list[dict[str, Any]] = await response.json()
        return answer


@pytest.fixture(autouse=True)
def _short_goodbye(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classroom, "GOODBYE", 0.02)


@pytest.fixture
def config() -> NodeConfig:
    return load(None, dev=True)


@pytest.fixture
def dev() -> bool:
    return True


@pytest.fixture
def rules() -> Rules:
    return Rules(linger=30, max_schools=3)


@pytest.fixture
def limits() -> Limits:
    return Limits()


@pytest.fixture
def shards() -> int:
    return 1


@pytest.fixture
async def house(
    tmp_path: Path, config: NodeConfig, dev: bool, rules: Rules, limits: Limits, shards: int
) -> AsyncIterator[House]:
    native = FakeEngine(shards)
    engine = Engine(native, asyncio.get_running_loop())  # type: ignore[arg-type]
    media = MediaPlane(engine, Identity.generate(), ("192.0.2.7", "127.0.0.1"))
    lessons = tmp_path / "lessons"
    budgets = Budgets(sites={"hilltop": 1_000_000})
    classrooms = ClassroomConfig(media, rules, config.rtc.video_codecs, lessons, budgets)
    registry = Registry(classrooms, clock=unix_now)
    states = ["ok"]
    door = Door(limits)
    webhooks = make_webhooks(config)
    api = Api(registry, engine, door, config.keys, dev=dev, recorder_state=lambda: states[-1])
    async with TestClient(
        TestServer(make_app(registry, config, api, door, [], webhooks))
    ) as client:
        yield House(native, engine, registry, client, states)
        await registry.close("shutdown")
    await engine.close()
