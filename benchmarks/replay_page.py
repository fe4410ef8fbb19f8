"""The replay page in Chromium, with a stopwatch: its first picture, and the picture after a jump.

A start is counted in a window that stands open: one that has just been made still draws itself for
a second (1.7 CPU-seconds of a Chromium 156 without a screen), which is no part of a page.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass

from playwright.async_api import Browser, Page, async_playwright

_CHROMIUM = "/usr/bin/chromium"
_FLAGS = ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"]
_OPENED_S = 2.0
_REST_MS = 400
"""Between two jumps: what the last one has asked for is there."""
_FRAME_S = 0.05

_PICTURES = """
globalThis.drawn = []
document.addEventListener('loadeddata', ({ target }) => {
  if (!target.videoWidth) return
  requestAnimationFrame(() => requestAnimationFrame(now => { drawn.push(now) }))
}, { capture: true })
"""
_JUMP = """
async ({ to, rest, near }) => {
  const bar = document.getElementById('seek')
  const videos = [...document.querySelectorAll('#screens video')].filter(one => !one.hidden)
  const began = performance.now()
  const there = videos.map(video => new Promise(done => {
    const look = (_, { mediaTime }) => {
      if (mediaTime < to + near && mediaTime > to - near) done()
      else video.requestVideoFrameCallback(look)
    }
    video.requestVideoFrameCallback(look)
  }))
  bar.value = to
  for (const kind of ['input', 'change']) bar.dispatchEvent(new Event(kind, { bubbles: true }))
  await Promise.all(there)
  const took = performance.now() - began
  await new Promise(done => setTimeout(done, rest))
  return took
}
"""


@dataclass(frozen=True)
class Link:
    """Between the browser and the node."""

    kilobits_per_second: float
    round_trip_ms: float


@dataclass(frozen=True)
class Opened:
    """A page, what it took to its last picture, and what came over the link until then."""

    page: Page
    milliseconds: float
    kilobytes: float


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=_CHROMIUM, args=_FLAGS)
        try:
            yield browser
        finally:
            await browser.close()


@contextlib.asynccontextmanager
async def opened(
    browser: Browser, url: str, pictures: int, link: Link | None = None
) -> AsyncIterator[Opened]:
    """The page, all its pictures drawn, nothing in the browser's cache before."""
    context = await browser.new_context(viewport={"width": 1366, "height": 768})
    try:
        await context.add_init_script(script=_PICTURES)
        page = await context.new_page()
        page.set_default_timeout(120_000)
        received = 0
        if link is not None:
            session = await context.new_cdp_session(page)

            def count(event: dict[str, int]) -> None:
                nonlocal received
                received += event["encodedDataLength"]

            session.on("Network.dataReceived", count)
            await session.send("Network.enable")
            rate = link.kilobits_per_second * 125
            await session.send(
                "Network.emulateNetworkConditions",
                {
                    "offline": False,
                    "latency": link.round_trip_ms,
                    "downloadThroughput": rate,
                    "uploadThroughput": rate,
                },
            )
        await asyncio.sleep(_OPENED_S)
        await page.goto(url, wait_until="commit")
        await page.wait_for_function(f"drawn.length >= {pictures}")
        took = float(await page.evaluate(f"drawn[{pictures - 1}]"))
        yield Opened(page, took, received / 1000)
    finally:
        await context.close()


async def jumps(page: Page, duration: float, count: int, seed: int) -> list[float]:
    """Milliseconds of each jump, until every picture is that of the place."""
    dice = random.Random(seed)
    return [
        float(
            await page.evaluate(
                _JUMP, {"to": dice.uniform(0, duration - 5), "rest": _REST_MS, "near": _FRAME_S}
            )
        )
        for _ in range(count)
    ]
