"""npm's `livekit-client` in Chromium: the newest release, and one that makes two connections."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Page, async_playwright

from clients.headless.node import Node
from tests.interop.clients.python_livekit import token
from tests.interop.row import Client, Row, Unavailable
from tests.interop.severable import Severable
from tests.interop.venvs import InstallError, node_modules

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
_OUTAGE = 1.0


def clients() -> list[Client]:
    """Two releases. Raises InstallError."""
    return [_client(_newest(), "one connection"), _client(DUAL, "two connections")]


def _newest() -> str:
    try:
        done = subprocess.run(
            ("npm", "view", "livekit-client", "version"),
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        raise InstallError("npm does not tell the newest livekit-client.") from None
    return done.stdout.strip()


def _client(version: str, topology: str) -> Client:
    async def check(node: Node, row: Row) -> None:
        if not _CHROMIUM.exists():
            raise Unavailable("There is no Chromium: tests/tools.sh installs it.")
        modules = await asyncio.to_thread(
            node_modules, f"livekit-client-{version}", f"livekit-client@{version}"
        )
        bundle = modules / "livekit-client" / "dist" / "livekit-client.umd.js"
        async with Severable(node.url) as way, _page(way.url, bundle) as page:
            tokens = [token("npm", name) for name in ("a", "b")]
            await _do(page, "join", way.url, tokens)
            row.holds("connect")
            await _do(page, "publish")
            row.holds("publish")
            await _do(page, "watch")
            row.holds("subscribe")
            await _do(page, "say", "one", "two", "three")
            row.holds("data")
            await _do(page, "layers")
            row.holds("simulcast")
            way.cut()
            await asyncio.sleep(_OUTAGE)
            way.mend()
            await _do(page, "resumed")
            await _do(page, "say", "four")
            row.holds("resume")
            await _do(page, "leave")

    return Client(f"npm livekit-client {version} ({topology}), Chromium", check)


async def _do(page: Page, name: str, *arguments: Any) -> None:
    await page.evaluate(f"pair.{name}(...{json.dumps(arguments)})")


@asynccontextmanager
async def _page(way: str, bundle: Path) -> AsyncIterator[Page]:
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
