"""What stands between teacher and school: our node, or nothing (a call from peer to peer)."""

import contextlib
import json
import os
import secrets
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, ClassVar

from playwright.async_api import Page

from benchmarks.generator import Endpoint
from benchmarks.linklab.lab import Lab
from benchmarks.servers.program import program
from clients.headless.api import Api
from signaling.auth import TokenRole, mint

LESSON = "linklab"
HTTP_PORT = 443
"""Plain HTTP, at the port that is open everywhere."""
MEDIA_TCP_PORT = 8443
"""Where media goes by TCP. A node in the open has it at port 443 of an address of its own."""
_KEY = "linklab"
_TTL = 3_600.0


@dataclass(frozen=True)
class Teaching:
    """How the teacher's media is made (`pages/teacher.js`)."""

    codec: str = "VP8"
    """The camera's."""
    slides_codec: str = "AV1"
    """It has tools for text on a screen: a page is a quarter of VP8's."""
    camera_fps: float = 15.0
    slides_fps: float = 5.0
    flip_s: float = 8.0

    @property
    def options(self) -> dict[str, object]:
        """For the page."""
        return {
            "codec": self.codec,
            "slidesCodec": self.slides_codec,
            "cameraFps": self.camera_fps,
            "slidesFps": self.slides_fps,
            "flipMs": self.flip_s * 1e3,
        }


class Call(ABC):
    """A system that runs."""

    school: Endpoint | None = None
    """Where further schools join; None where there can be one only."""
    broadcasts = False
    """The teacher sends before anybody watches."""

    @abstractmethod
    async def teach(self, page: Page, teaching: Teaching) -> None:
        """The teacher begins."""

    async def prepare(self, viewer: Page) -> None:  # noqa: B027
        """What a page has done before anybody clicks: it was loaded. Nothing, of itself."""

    @abstractmethod
    async def join(self, teacher: Page, viewer: Page) -> int:
        """The viewer asks to join; when, in milliseconds since the epoch."""

    @abstractmethod
    async def counters(self, teacher: Page) -> dict[str, Any]:
        """What the sender of the viewer's media tells: `resent` packets, `estimate_bps`..."""


class System(ABC):
    """Starts it on the good side."""

    name: ClassVar[str]

    @abstractmethod
    def run(self, lab: Lab) -> AbstractAsyncContextManager[Call]:
        """It ends with the context. Raises ServerError."""


class Tongbu(System):
    """A node as it is shipped, but for the recorder, which is off: the cores are few."""

    name = "tongbu"

    @contextlib.asynccontextmanager
    async def run(self, lab: Lab) -> AsyncIterator[Call]:
        """The calling thread is on the good side."""
        secret = secrets.token_hex(16)
        command = [sys.executable, "-m", "signaling.cli", "serve", "--port", str(HTTP_PORT)]
        async with program(command, env=_environment(lab, secret)) as node:
            await node.line("ready ")
            url = f"http://{lab.good.address}:{HTTP_PORT}"
            tokens = {role: _token(secret, role) for role in TokenRole}
            async with Api(url, tokens[TokenRole.ARCHIVIST]) as api:
                yield _NodeCall(url, tokens, api)


def _environment(lab: Lab, secret: str) -> Mapping[str, str]:
    return {
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        "TONGBU_BIND": lab.good.address,
        "TONGBU_DATA_DIR": str(lab.folder / "data"),
        "TONGBU_KEYS": json.dumps({_KEY: secret}),
        "TONGBU_LOG__LEVEL": "warning",
        "TONGBU_RECORDER__ENABLED": "false",
        "TONGBU_RTC__NODE_IP": json.dumps([lab.good.address]),
        "TONGBU_RTC__TCP_PORT": str(MEDIA_TCP_PORT),
    }


def _token(secret: str, role: TokenRole) -> str:
    archivist = role is TokenRole.ARCHIVIST
    return mint(
        _KEY,
        secret,
        role=role,
        identity=role,
        name=role,
        lesson=None if archivist else LESSON,
        ttl=_TTL,
        now=time.time(),
        admin=archivist,
    )


class _NodeCall(Call):
    broadcasts = True

    def __init__(self, url: str, tokens: Mapping[TokenRole, str], api: Api) -> None:
        self._url = f"{url}/{LESSON}"
        self._tokens = tokens
        self._api = api
        self.school = Endpoint(f"{self._url}/whep", tokens[TokenRole.SCHOOL])

    async def teach(self, page: Page, teaching: Teaching) -> None:
        arguments = [f"{self._url}/whip", self._tokens[TokenRole.TEACHER], teaching.options]
        await page.evaluate("known => linklab.publish(...known)", arguments)

    async def prepare(self, viewer: Page) -> None:
        await viewer.evaluate("url => fetch(url).then(r => r.text())", "/healthz")

    async def join(self, teacher: Page, viewer: Page) -> int:
        arguments = [f"{self._url}/whep", self._tokens[TokenRole.SCHOOL]]
        return int(await viewer.evaluate("known => linklab.join(...known)", arguments))

    async def counters(self, teacher: Page) -> dict[str, Any]:
        return counters_of(await self._api.stats())


def counters_of(stats: Mapping[str, Any]) -> dict[str, Any]:
    """What the node tells of the weak viewer: the one whose round trip is the longest."""
    links = [link for link in stats["links"] if link.get("rtt_ms", 0) > 0]
    peers = {track["peer"] for track in stats["downtracks"]}
    links = [link for link in links if link["peer"] in peers]
    if not links:
        return {}
    link = max(links, key=lambda link: float(link["rtt_ms"]))
    own = [track for track in stats["downtracks"] if track["peer"] == link["peer"]]
    sums = {key: sum(float(track.get(key, 0)) for track in own) for key in ("resent", "packets")}
    return {**link, **sums}


class PeerToPeer(System):
    """Two Chromiums as they come; their descriptions are carried by hand, and take no time."""

    name = "p2p"

    @contextlib.asynccontextmanager
    async def run(self, lab: Lab) -> AsyncIterator[Call]:
        """Nothing to start."""
        yield _DirectCall()


class _DirectCall(Call):
    def __init__(self) -> None:
        self._options: dict[str, object] = {}

    async def teach(self, page: Page, teaching: Teaching) -> None:
        self._options = {**teaching.options, "simulcast": False}
        await page.evaluate("options => linklab.offer(options)", self._options)

    async def join(self, teacher: Page, viewer: Page) -> int:
        offer = await teacher.evaluate("() => linklab.localDescription()")
        began = time.time_ns() // 1_000_000
        answer = await viewer.evaluate("sdp => linklab.answer(sdp)", offer)
        await teacher.evaluate("sdp => linklab.answer(sdp)", answer)
        return began

    async def counters(self, teacher: Page) -> dict[str, Any]:
        rows = await teacher.evaluate("() => linklab.sending()")
        resent = sum(row.get("retransmittedPacketsSent", 0) for row in rows)
        return {"resent": resent, "packets": sum(row.get("packetsSent", 0) for row in rows)}
