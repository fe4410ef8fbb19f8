"""How soon can a lesson be watched again, how soon does it begin, and how fast is a jump in it?

An hour of one camera (720p30 H264, 1.5 Mbit/s) and one microphone lies in a journal whose writer
lives; the node's recorder has followed it to its end. Then the bell rings:

- `playable_s`: from the bell until both playlists are closed and can be fetched, and the archive no
  longer says that the lesson is live; `archived_s`: until its manifest is there.
- `start_ms`: from the opening of the replay page, with nothing in the browser's cache, to the first
  picture on the screen. The page, hls.js, the token and the lesson's facts are in it.
- `seek_ms`: from a jump by the seek bar to a random place, in a page that stands still, until the
  picture of that place is on the screen.

Chromium and the node share the machine; the browser has no graphics card.
"""

import argparse
import asyncio
import contextlib
import fcntl
import logging
import random
import re
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, async_playwright

from benchmarks import recorded
from benchmarks.machine import conditions
from benchmarks.span import percentile
from clients.headless.api import Api, Json
from clients.headless.node import Node

HOUR = 3_600.0
STARTS = 7
SEEKS = 50

_LESSON = "20260921-141320-bench-00aa"
_CHROMIUM = "/usr/bin/chromium"
_FLAGS = ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"]
_TRACKS = ("camera", "audio")
_PATIENCE = 300.0
_REST_MS = 400
"""Between two jumps: what the last one has asked for is there."""

_FIRST_PICTURE = """
document.addEventListener('loadeddata', ({ target }) => {
  if (!target.videoWidth) return
  requestAnimationFrame(() => requestAnimationFrame(now => { globalThis.firstPicture ||= now }))
}, { capture: true })
"""
_JUMP = """
async ({ to, rest }) => {
  const [video, bar] = ['player', 'seek'].map(id => document.getElementById(id))
  const began = performance.now()
  const shown = new Promise(done => video.requestVideoFrameCallback(done))
  const seeked = new Promise(done => video.addEventListener('seeked', done, { once: true }))
  bar.value = to
  for (const kind of ['input', 'change']) bar.dispatchEvent(new Event(kind, { bubbles: true }))
  await Promise.all([shown, seeked])
  const took = performance.now() - began
  await new Promise(done => setTimeout(done, rest))
  return { took, off: Math.abs(video.currentTime - to) }
}
"""
_LOG = logging.getLogger(__name__)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    parser.add_argument("--seconds", type=float, default=HOUR, help="of lesson")
    parser.add_argument("--starts", type=int, default=STARTS)
    parser.add_argument("--seeks", type=int, default=SEEKS)
    parser.add_argument("--seed", type=int, default=1, help="of the places that are jumped to")


def quick(options: argparse.Namespace) -> None:
    """Less of it, for a look."""
    options.seconds, options.starts = min(options.seconds, 300.0), min(options.starts, 3)
    options.seeks = min(options.seeks, 15)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """One answer."""
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        async with _bell(Path(folder), options.seconds) as (node, entry, after_the_bell):
            url = f"{node.url}/archive/{_LESSON}"
            async with _chromium() as browser:
                starts = [await _start(browser, url) for _ in range(options.starts)]
                jumps = await _jumps(browser, url, entry["duration_s"], options)
    return {
        "lesson_s": entry["duration_s"],
        "bytes": entry["bytes"],
        **after_the_bell,
        "starts": options.starts,
        "start_ms_p50": round(statistics.median(starts)),
        "start_ms_max": round(max(starts)),
        "seeks": options.seeks,
        "seek_ms_p50": round(statistics.median(jumps)),
        "seek_ms_p95": round(percentile(sorted(jumps), 0.95)),
        "seek_ms_max": round(max(jumps)),
        "conditions": conditions() | {"cores_used": "node, worker and browser on all"},
    }


@contextlib.asynccontextmanager
async def _bell(data: Path, seconds: float) -> AsyncIterator[tuple[Node, Json, dict[str, float]]]:
    """A node in whose archive the lesson is, and how soon after the bell it was."""
    journal = data / "lessons" / _LESSON / "journal"
    with _written(journal, seconds) as ring:
        node = await Node.start(data, environment={"TONGBU_LOG__LEVEL": "warning"})
        try:
            async with Api(node.url) as api:
                await api.become("archivist", "bench")
                _LOG.info("the recorder follows %d s of lesson", seconds)
                await _until(lambda: asyncio.to_thread(_followed, data, seconds), 0.2)
                ring()
                playable = await _until(lambda: _playable(api))
                archived = playable + await _until(lambda: _archived(api))
                entry = await api.entry(_LESSON)
            told = {"playable_s": round(playable, 2), "archived_s": round(archived, 2)}
            _LOG.info("playable after %.2f s", playable)
            yield node, entry, told
        finally:
            await node.stop()


@contextlib.contextmanager
def _written(journal: Path, seconds: float) -> Iterator[Callable[[], None]]:
    """The journal but for its end, its writer alive; what is given rings the bell."""
    _LOG.info("writing the journal")
    journal.mkdir(parents=True)
    clip = recorded.clip()
    with (
        (journal / "lock").open("wb") as lock,
        (journal / "00000001.tbj").open("wb", buffering=1 << 20) as file,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        for _, record in recorded.timed(clip, seconds):
            file.write(record)
        file.flush()

        def ring() -> None:
            file.write(recorded.end(seconds))
            file.flush()
            fcntl.flock(lock, fcntl.LOCK_UN)

        yield ring


@contextlib.asynccontextmanager
async def _chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=_CHROMIUM, args=_FLAGS)
        try:
            yield browser
        finally:
            await browser.close()


def _followed(data: Path, seconds: float) -> bool:
    """The recorder has published all but the last segments of both tracks."""
    lesson = data / "lessons" / _LESSON
    try:
        texts = [(lesson / "media" / name / "index.m3u8").read_text() for name in _TRACKS]
    except FileNotFoundError:
        return False
    return all(_length(text) > seconds - 8 for text in texts)


async def _playable(api: Api) -> bool:
    entry = await api.entry(_LESSON)
    if entry["state"] == "live":
        return False
    files = [await api.file(f"/archive/{_LESSON}/media/{name}/index.m3u8") for name in _TRACKS]
    return all(b"#EXT-X-ENDLIST" in file for file in files)


async def _archived(api: Api) -> bool:
    return bool((await api.entry(_LESSON))["state"] == "complete")


async def _start(browser: Browser, url: str) -> float:
    """Milliseconds to the first picture, with empty caches."""
    page = await _opened(browser, url)
    took = float(await page.evaluate("firstPicture"))
    await page.context.close()
    return took


async def _jumps(
    browser: Browser, url: str, duration: float, options: argparse.Namespace
) -> list[float]:
    """Milliseconds of each jump."""
    page = await _opened(browser, url)
    dice = random.Random(options.seed)
    took = []
    for number in range(options.seeks):
        to = dice.uniform(0, duration - 5)
        jump = await page.evaluate(_JUMP, {"to": to, "rest": _REST_MS})
        if jump["off"] > 0.5:
            raise RuntimeError(f"A jump to {to:.1f} s ended {jump['off']:.1f} s beside it.")
        took.append(float(jump["took"]))
        _LOG.info("%d of %d jumps", number + 1, options.seeks)
    await page.context.close()
    return took


async def _opened(browser: Browser, url: str) -> Page:
    context = await browser.new_context(viewport={"width": 1366, "height": 768})
    await context.add_init_script(script=_FIRST_PICTURE)
    page = await context.new_page()
    page.set_default_timeout(60_000)
    await page.goto(url)
    await page.wait_for_function("globalThis.firstPicture")
    return page


async def _until(holds: Callable[[], Awaitable[bool]], step: float = 0.02) -> float:
    """Look again and again until it holds: how many seconds that took."""
    began = time.monotonic()
    while True:
        if await holds():
            return time.monotonic() - began
        if time.monotonic() > began + _PATIENCE:
            raise TimeoutError("The recorder did not get the lesson ready.")
        await asyncio.sleep(step)


def _length(text: str) -> float:
    return sum(map(float, re.findall(r"^#EXTINF:([\d.]+)", text, re.MULTILINE)))
