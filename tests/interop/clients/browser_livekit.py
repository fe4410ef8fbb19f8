"""npm's `livekit-client` in Chromium: the newest release, and one that makes two connections."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Page, async_playwright

from clients.headless.node import Node
from tests.interop.clients.python_livekit import token
from tests.interop.row import Client, Row, Unavailable
from tests.interop.severable import Severable
from tests.interop.venvs import newest_of_npm, node_modules

logger = logging.getLogger(__name__)

DUAL = "2.15.0"
"""A release from before one connection was the custom (`/rtc`, without a version)."""
_CHROMIUM = Path("/usr/bin/chromium")
_SCRIPT = Path(__file__).with_name("livekit_page.js")
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
OUTAGE = 30.0
"""Seconds without signalling. The client goes on trying to come back for about 45."""
_LATER = 1.0
"""Seconds between words that are said meanwhile."""
_SOUNDS, _PICTURES = 5, 0.5
"""A second, that must come; there are 50 and 15, fewer while the tone pauses or cores are busy."""


def clients() -> list[Client]:
    """Two releases. Raises InstallError."""
    newest = newest_of_npm("livekit-client")
    return [
        _client(newest, "one connection", talks=True),
        _client(DUAL, "two connections", talks=False),
    ]


def _client(version: str, topology: str, *, talks: bool) -> Client:
    async def check(node: Node, row: Row) -> None:
        if not _CHROMIUM.exists():
            raise Unavailable("There is no Chromium: tests/tools.sh installs it.")
        modules = await asyncio.to_thread(
            node_modules, f"livekit-client-{version}", f"livekit-client@{version}"
        )
        bundle = modules / "livekit-client" / "dist" / "livekit-client.umd.js"
        async with Severable(node.url) as way, open_page(way.url, bundle) as page:
            tokens = [token("npm", name) for name in ("a", "b")]
            await do(page, "join", way.url, tokens)
            row.holds("connect")
            await do(page, "publish")
            row.holds("publish")
            await do(page, "watch")
            row.holds("subscribe")
            await do(page, "say", "one", "two", "three")
            row.holds("data")
            await do(page, "layers")
            row.holds("simulcast")
            await outage(page, way, OUTAGE, said=["one", "two", "three"], talks=talks)
            row.holds("resume")
            await do(page, "leave")

    return Client(f"npm livekit-client {version} ({topology}), Chromium", check)


async def outage(
    page: Page, way: Severable, seconds: float, said: list[str], *, talks: bool = True
) -> None:
    """Cut both participants' WebSockets, and see that neither media nor any reliable message is
    lost, and that both come back to the places they had. `said` has been said before.

    A client that does not talk meanwhile is one that forgets what it is told to say: 2.15 keeps
    only as much of it as waits in its data channel, where it does not put it.
    """
    words = list(said)
    before = await do(page, "got")
    way.cut()
    began = time.monotonic()
    while time.monotonic() < began + seconds:
        await asyncio.sleep(_LATER)
        if talks:
            words.append(f"after {time.monotonic() - began:.1f} s")
            await do(page, "tell", words[-1])  # the client may keep it until it is back
    after, lasted = await do(page, "got"), time.monotonic() - began
    way.mend()
    await do(page, "resumed")
    words.append("back")
    await do(page, "say", words[-1])
    heard = await do(page, "heard")
    assert heard["texts"] == words, f"{heard['texts']} is not what was said, in order, once each"
    assert sorted(heard["events"]) == ["a", "b"], heard["events"]
    new = {name: after[name] - count for name, count in before.items()}
    assert new["sounds"] > lasted * _SOUNDS, f"in {lasted:.0f} s without signalling came {new}"
    assert new["lost"] <= new["sounds"] // 50, f"in {lasted:.0f} s without signalling came {new}"
    assert new["pictures"] > lasted * _PICTURES, f"in {lasted:.0f} s without signalling came {new}"
    logger.info("%.0f s without signalling: %s, %d words", lasted, new, len(words))


async def do(page: Page, name: str, *arguments: Any) -> Any:
    """Let the pair in the page do something."""
    return await page.evaluate(f"pair.{name}(...{json.dumps(arguments)})")


@asynccontextmanager
async def open_page(way: str, bundle: Path) -> AsyncIterator[Page]:
    """A page with the SDK and the pair; `way` is a WebSocket's URL on this machine."""
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=_CHROMIUM, args=list(_FLAGS))
        try:
            page = await chromium.new_page()
            # A page of this machine's own: only such a one may reach it, and use the camera.
            await page.goto(f"{way.replace('ws', 'http', 1)}/healthz")
            await page.add_script_tag(path=bundle)
            await page.add_script_tag(path=_SCRIPT)
            yield page
        finally:
            await chromium.close()
