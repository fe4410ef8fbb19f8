"""How late is a live lesson in a browser, and how many can watch it from one core?

A node with its recorder, nginx before it with the configuration that we ship, and a lesson of one
camera (720p30 H264, 1.5 Mbit/s) and one microphone. Two runs:

- latency: a teacher publishes by WHIP, hls.js in Chromium plays by LL-HLS through nginx, among a
  small crowd. Each shown frame's time in the lesson and the playlist's PROGRAM-DATE-TIME say when
  the teacher's packet came to the node; what a camera and an encoder take before that is not in it
  (some 40 ms in a browser);
- viewers: a journal grows in real time, and a bounded crowd asks nginx for what hls.js asks for
  (`benchmarks.viewers`). `viewers_per_core` is what one core of nginx would serve at the CPU time
  that it took for each of the crowd; `part_late` is how much later a viewer has a whole part than
  somebody beside the node knows of it. Plain HTTP: TLS is the operator's, and costs more.
"""

import argparse
import asyncio
import contextlib
import fcntl
import logging
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop
from playwright.async_api import Page, async_playwright

from benchmarks import nginx, recorded
from benchmarks.machine import (
    GENERATOR_CORE,
    SERVER_CORE,
    conditions,
    cpu_us,
    on_all_cores,
    on_core,
)
from benchmarks.viewers import Crowd, Target
from clients.headless.api import Api
from clients.headless.media import inspect
from clients.headless.node import Node
from clients.headless.publish import Publication
from clients.headless.whip import Endpoint

LESSON = "bench"

_CHROMIUM = "/usr/bin/chromium"
_FLAGS = ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"]
_HLS_JS = Path(__file__).parents[1] / "clients/web/node_modules/hls.js/dist/hls.min.js"
_PAGE = "<!doctype html><meta charset=utf-8><video muted autoplay playsinline></video>"
_WATCH = """
async ({ master, seconds, settle, patience }) => {
  const video = document.querySelector('video')
  const hls = new Hls({ lowLatencyMode: true, backBufferLength: 30 })
  const late = [], faults = []
  let stalls = 0, started = 0
  const loading = performance.now()
  const settled = () => started && performance.now() > started + settle
  video.addEventListener('waiting', () => { if (settled()) stalls++ })
  hls.on(Hls.Events.ERROR, (_, { details, fatal }) => faults.push(details + (fatal ? '!' : '')))
  hls.loadSource(master)
  hls.attachMedia(video)
  const zero = await new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`no playlist: ${faults.slice(-5)}`)), patience)
    hls.on(Hls.Events.LEVEL_LOADED, (_, { details }) => {
      const first = details.fragments.find((fragment) => fragment.programDateTime)
      if (first) resolve(first.programDateTime - first.start * 1000)
    })
  })
  const note = (now, { mediaTime, presentationTime }) => {
    started ||= now
    if (now > started + settle)
      late.push(performance.timeOrigin + presentationTime - (zero + mediaTime * 1000))
    video.requestVideoFrameCallback(note)
  }
  video.requestVideoFrameCallback(note)
  let began
  const closeIn = () => {  // as clients/web/src/archive/source.ts does
    began ??= video.currentTime
    const end = video.buffered.length ? video.buffered.end(video.buffered.length - 1) - 0.5 : 0
    const to = Math.min(hls.liveSyncPosition ?? 0, end)
    const late = to - video.currentTime > 0.5
    if (late) video.currentTime = to
    if (late || video.currentTime - began > 5) video.removeEventListener('timeupdate', closeIn)
  }
  video.addEventListener('timeupdate', closeIn)
  void video.play()
  await new Promise((resolve) => setTimeout(resolve, settle + seconds * 1000))
  const target = hls.targetLatency
  hls.destroy()
  return { late, stalls, faults, target, start: started - loading }
}
"""
_PATIENCE_MS = 30_000  # for the first playlist
_SETTLE_MS = 6_000  # hls.js finds its place
_LOG = logging.getLogger(__name__)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    parser.add_argument("--seconds", type=float, default=30.0, help="that a browser watches")
    parser.add_argument("--beside", type=int, default=40, help="who watch beside the browser")
    parser.add_argument("--viewers", type=int, default=150, help="of the crowd")
    parser.add_argument("--crowd-seconds", type=float, default=15.0, help="that it watches")


def quick(options: argparse.Namespace) -> None:
    """Less of it, for a look."""
    options.seconds, options.crowd_seconds = min(options.seconds, 8), min(options.crowd_seconds, 5)
    options.viewers, options.beside = min(options.viewers, 60), min(options.beside, 20)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """One answer."""
    _LOG.info("coding the clip")
    clip = recorded.clip()
    latency = asyncio.run(_latency(clip, options.seconds, options.beside))
    crowd = uvloop.run(_viewers(clip, options.viewers, options.crowd_seconds))
    cores = f"nginx, node and worker on {SERVER_CORE}, crowd on {GENERATOR_CORE}; browser on all"
    return {**latency, **crowd, "conditions": conditions() | {"cores_used": cores}}


async def _latency(clip: recorded.Clip, seconds: float, beside: int) -> dict[str, Any]:
    """Teach by WHIP, and watch in Chromium."""
    async with _school() as (node, url, api, folder, _):
        file = folder / "clip.mp4"
        recorded.as_mp4(clip, file)
        token = await api.become("teacher", LESSON)
        async with Endpoint(f"{node.url}/{LESSON}/whip", token) as endpoint:
            lesson = Publication(endpoint, inspect(file), None, loop=True)
            await lesson.start()
            try:
                lesson_id = await _live(api)
                _LOG.info("a browser watches for %d s", seconds)
                async with _crowd(api, url, lesson_id, beside):
                    token = await api.become("school", LESSON)
                    seen = await _watch(url, lesson_id, token, seconds)
            finally:
                await lesson.stop()
    late = sorted(seen["late"])
    if len(late) < 10:
        raise RuntimeError(f"The browser showed nothing: {seen['faults'][-5:]}")
    return {
        "latency_p50_ms": round(statistics.median(late)),
        "latency_p95_ms": round(late[int(len(late) * 0.95)]),
        "latency_target_ms": round(seen["target"] * 1_000),
        "frames": len(late),
        "stalls": seen["stalls"],
        "start_ms": round(seen["start"]),
        "player_faults": sorted(set(seen["faults"])),
    }


async def _watch(url: str, lesson_id: str, token: str, seconds: float) -> dict[str, Any]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=_CHROMIUM, args=_FLAGS)
        context = await browser.new_context()
        await context.add_cookies([{"name": "tongbu_token", "value": token, "url": url}])
        page: Page = await context.new_page()
        await page.route(
            "**/watch", lambda route: route.fulfill(body=_PAGE, content_type="text/html")
        )
        await page.goto(f"{url}/watch")
        await page.add_script_tag(path=_HLS_JS)
        master = f"{url}/archive/{lesson_id}/media/camera.m3u8"
        wish = {
            "master": master,
            "seconds": seconds,
            "settle": _SETTLE_MS,
            "patience": _PATIENCE_MS,
        }
        seen: dict[str, Any] = await page.evaluate(_WATCH, wish)
        await browser.close()
        return seen


async def _live(api: Api) -> str:
    """The id of the lesson, once a player can begin."""
    await api.become("archivist", LESSON)
    async with asyncio.timeout(60):
        while True:
            for entry in await api.entries():
                if entry["lesson"] == LESSON and entry["views"] and entry["views"][0]["hls"]:
                    return str(entry["id"])
            await asyncio.sleep(0.2)


async def _viewers(clip: recorded.Clip, viewers: int, seconds: float) -> dict[str, Any]:
    """A crowd before nginx, and what that costs."""
    async with _school(SERVER_CORE) as (node, url, api, folder, process):
        lesson_id = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{LESSON}-00aa"
        writing = asyncio.create_task(_write(folder / "data" / "lessons" / lesson_id, clip))
        try:
            await _live(api)
            _LOG.info("%d viewers", viewers)
            with on_core(GENERATOR_CORE):
                async with _crowd(api, url, lesson_id, viewers) as crowd:
                    return await _measure(crowd, viewers, seconds, node, process.pid)
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)


@contextlib.asynccontextmanager
async def _crowd(api: Api, url: str, lesson_id: str, viewers: int) -> AsyncIterator[Crowd]:
    """So many before nginx at `url`, each with a token; one beside, at the node itself."""
    tokens = [await api.become("school", LESSON, f"school {n}") for n in range(viewers)]
    crowd = Crowd(_target(url, lesson_id))
    try:
        await crowd.gather(tokens, _target(api.url, lesson_id))
        yield crowd
    finally:
        await crowd.leave()


def _target(url: str, lesson_id: str) -> Target:
    host, _, port = url.removeprefix("http://").partition(":")
    return Target(host, int(port), f"/archive/{lesson_id}/media/")


async def _measure(
    crowd: Crowd, viewers: int, seconds: float, node: Node, nginx_pid: int
) -> dict[str, Any]:
    await asyncio.sleep(2)
    tally = crowd.tally
    tally.late_ms.clear()
    began, answers, size, asked = time.monotonic(), tally.answers, tally.bytes, tally.asked
    before = _cpu(nginx_pid), sum(cpu_us(node.process.pid)) / 1e6
    await asyncio.sleep(seconds)
    crowd.check()
    elapsed = time.monotonic() - began
    used = _cpu(nginx_pid) - before[0]
    answers = tally.answers - answers
    late = sorted(tally.late_ms) or [0.0]
    return {
        "viewers": viewers,
        "viewers_per_core": round(viewers * elapsed / used),
        "requests_per_s": round(answers / elapsed),
        "requests_per_s_and_viewer": round(answers / elapsed / viewers, 1),
        "requests_per_s_and_core": round(answers / used),
        "mbit_per_s": round((tally.bytes - size) * 8 / elapsed / 1e6),
        "body_bytes_per_s_and_viewer": round((tally.bytes - size) / elapsed / viewers),
        "bytes_per_request": round((tally.asked - asked) / answers),
        "nginx_cpu_us_per_request": round(used * 1e6 / answers, 1),
        "nginx_cores": round(used / elapsed, 3),
        "node_cores": round((sum(cpu_us(node.process.pid)) / 1e6 - before[1]) / elapsed, 3),
        "refused": tally.refused,
        "part_late_p50_ms": round(statistics.median(late), 1),
        "part_late_p95_ms": round(late[int(len(late) * 0.95)], 1),
    }


def _cpu(parent: int) -> float:
    """CPU-seconds of nginx's workers so far."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return sum(sum(cpu_us(int(child))) for child in children) / 1e6


async def _write(folder: Path, clip: recorded.Clip) -> None:
    """A journal as the engine writes it, until cancelled."""
    (folder / "journal").mkdir(parents=True)
    with (folder / "journal" / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with (folder / "journal" / "00000001.tbj").open("wb", buffering=0) as file:
            began, epoch_us = time.monotonic(), time.time_ns() // 1_000
            for due, data in recorded.batches(clip, 600, epoch_us):
                await asyncio.sleep(max(0.0, began + due - time.monotonic()))
                file.write(data)


@contextlib.asynccontextmanager
async def _school(
    core: int | None = None,
) -> AsyncIterator[tuple[Node, str, Api, Path, asyncio.subprocess.Process]]:
    """A node, nginx before it, and a folder; on one core, or on all."""
    with tempfile.TemporaryDirectory(prefix="tongbu-broadcast-") as name:
        folder = Path(name)
        with _placed(core):
            node = await Node.start(folder / "data")
        try:
            async with Api(node.url) as api, contextlib.AsyncExitStack() as stack:
                port = int(node.url.rpartition(":")[2])
                with _placed(core):
                    url, process = await stack.enter_async_context(
                        nginx.running(folder / "nginx", port)
                    )
                yield node, url, api, folder, process
        finally:
            await node.stop()


@contextlib.contextmanager
def _placed(core: int | None) -> Iterator[None]:
    with on_all_cores() if core is None else on_core(core):
        yield
