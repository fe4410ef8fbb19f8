"""One lesson on a weak link: a teacher, a viewer, and what happens on the way between them."""

import asyncio
import contextlib
import logging
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from playwright.async_api import Error as BrowserError
from playwright.async_api import Page, async_playwright

from benchmarks.linklab import browser, namespaces
from benchmarks.linklab.emulator import Side
from benchmarks.linklab.lab import Lab, LabError, lab
from benchmarks.linklab.observed import Observed, Sample
from benchmarks.linklab.profile import Flow, Profile, Script
from benchmarks.linklab.strong import Strong, strong
from benchmarks.linklab.systems import Call, System, Teaching
from benchmarks.machine import core_seconds
from clients.headless.errors import EndpointError

SAMPLE_S = 1.0
"""How often counters of link, node and teacher are read."""
TEACHER_PATIENCE = 15.0
"""Seconds for the teacher's upper layer to be there; a lesson has begun before schools join."""
TEACHER_SETTLES = 3.0
STRONG_SETTLE = 5.0
"""Seconds for their estimates to rise."""
_CORES = range(os.cpu_count() or 1)
_END_PATIENCE = 10.0
_LOG = logging.getLogger("benchmarks.weaklink")


@dataclass(frozen=True)
class Conditions:
    """What a run is to be."""

    profile: Profile
    script: Script
    seconds: float
    seed: int
    teaching: Teaching
    strong: int = 0
    """Further schools, on the good side."""


async def hold(system: System, conditions: Conditions) -> Observed:
    """Hold the lesson, and tell what was observed.

    Raises LabError, NamespaceError, ServerError.
    """
    profile, script = conditions.profile, conditions.script
    async with lab(script.links, conditions.seed, profile.tcp_ports) as link:
        with namespaces.inside(link.good.namespace):  # and so is all that we start
            async with system.run(link) as call, _pages(link) as (teacher, viewer):
                return await _Run(conditions, link, call, teacher, viewer).hold()


@contextlib.asynccontextmanager
async def _pages(link: Lab) -> AsyncIterator[tuple[Page, Page]]:
    """The teacher's and the viewer's, each in a browser of its own."""
    origin = f"http://{link.good.address}:443"
    async with (
        async_playwright() as playwright,
        browser.chromium(playwright, link.good.namespace, link.folder, origin) as good,
        browser.chromium(playwright, link.school.namespace, link.folder, origin) as school,
    ):
        teacher = await browser.open_page(good, origin, ["marks", "slides", "ice", "teacher"])
        viewer = await browser.open_page(school, origin, ["ice", "viewer"])
        await viewer.evaluate(
            "source => linklab.start(source)", browser.source(["marks", "slides", "watch"])
        )
        yield teacher, viewer


class _Run:
    def __init__(
        self, conditions: Conditions, link: Lab, call: Call, teacher: Page, viewer: Page
    ) -> None:
        self._conditions = conditions
        self._link = link
        self._call = call
        self._teacher = teacher
        self._viewer = viewer
        self._began = 0.0  # on the event loop's clock
        self._seen = Observed(
            conditions.seconds, conditions.script, conditions.teaching.flip_s, call.broadcasts
        )
        self._strong: Strong | None = None

    async def hold(self) -> Observed:
        await self._call.teach(self._teacher, self._conditions.teaching)
        if self._call.broadcasts:
            await self._teacher_settles()
        await self._call.prepare(self._viewer)
        async with self._others() as self._strong:
            return await self._hold()

    @contextlib.asynccontextmanager
    async def _others(self) -> AsyncIterator[Strong | None]:
        number, teaching = self._conditions.strong, self._conditions.teaching
        if not number:
            yield None
            return
        if self._call.school is None:
            raise LabError("further viewers are for tongbu only")
        codecs = teaching.codec, teaching.slides_codec
        async with strong(number, self._call.school, *codecs) as others:
            await asyncio.sleep(STRONG_SETTLE)
            yield others

    async def _hold(self) -> Observed:
        before = core_seconds(*_CORES)
        began_ms = time.time() * 1e3
        self._began = asyncio.get_running_loop().time()
        _LOG.info("the viewer joins")
        targets = {self._ends(flow)[1] for flow in self._script.flows}
        try:
            async with _sinks(targets), asyncio.TaskGroup() as tasks:
                events = (self._change(), self._sample(), *map(self._flow, self._script.flows))
                jobs = [tasks.create_task(event) for event in events]
                began_ms = await self._join() or began_ms
                await self._sleep_until(self._conditions.seconds)
                self._load(*before)
                for job in jobs:
                    job.cancel()
        except* (LabError, BrowserError, EndpointError) as broken:
            raise LabError(f"the lesson broke off: {broken.exceptions[0]}") from None
        return await self._gather(began_ms)

    @property
    def _script(self) -> Script:
        return self._conditions.script

    async def _teacher_settles(self) -> None:
        deadline = time.monotonic() + TEACHER_PATIENCE
        while time.monotonic() < deadline:
            rows = await self._teacher.evaluate("() => linklab.sending()")
            views = [row for row in rows if row["kind"] == "video" and row["bytesSent"]]
            if {"f", None} <= {row.get("rid") for row in views}:
                await asyncio.sleep(TEACHER_SETTLES)
                return
            await asyncio.sleep(0.5)
        raise LabError("the teacher's page does not send its pictures")

    async def _join(self) -> float | None:
        try:
            async with asyncio.timeout(self._conditions.seconds):
                return await self._call.join(self._teacher, self._viewer)
        except (BrowserError, TimeoutError) as error:
            self._seen.failed = str(error).splitlines()[0] if str(error) else "no answer in time"
            return None

    async def _change(self) -> None:
        for change in self._script.changes:
            await self._sleep_until(change.at)
            await self._link.change(change.way, change.settings)

    def _load(self, worked: float, stolen: float) -> None:
        worked_now, stolen_now = core_seconds(*_CORES)
        self._seen.busy_cores = round((worked_now - worked) / self._now(), 2)
        self._seen.stolen_cpu = round((stolen_now - stolen) / self._now(), 3)

    def _ends(self, flow: Flow) -> tuple[Side, Side]:
        """Where it comes from, and where it goes."""
        good, school = self._link.good, self._link.school
        return (good, school) if flow.way == "down" else (school, good)

    async def _flow(self, flow: Flow) -> None:
        await self._sleep_until(flow.at)
        source, target = self._ends(flow)
        options = ["--seconds", str(flow.until - flow.at)]
        if flow.kilobytes is not None:
            options += ["--kilobytes", str(flow.kilobytes)]
        async with _traffic(source.namespace, "send", target.address, *options) as sender:
            await sender.wait()

    async def _sample(self) -> None:
        number = 0
        while True:
            await self._sleep_until(number * SAMPLE_S)
            number += 1
            seen = self._seen
            seen.link.append(Sample(self._now(), await self._link.snapshot()))
            seen.sender.append(Sample(self._now(), await self._call.counters(self._teacher)))
            rows = await self._teacher.evaluate("() => linklab.sending()")
            seen.published.append(Sample(self._now(), {"bytes": _best_bytes(rows), "rows": rows}))
            if self._strong:
                seen.strong.append(Sample(self._now(), self._strong.counters()))

    async def _gather(self, began_ms: float) -> Observed:
        async with asyncio.timeout(_END_PATIENCE):
            notes = await self._viewer.evaluate("() => linklab.notes()")
            taught = await self._teacher.evaluate("() => linklab.taught")
        return self._seen.note(notes, taught, began_ms)

    def _now(self) -> float:
        return asyncio.get_running_loop().time() - self._began

    async def _sleep_until(self, at: float) -> None:
        await asyncio.sleep(max(0.0, at - self._now()))


def _best_bytes(rows: Sequence[Mapping[str, Any]]) -> int:
    """Of sound, slides and the camera's upper layer: nobody can be given more."""
    best = [row for row in rows if row.get("rid") not in ("q", "h")]
    return sum(_first_bytes(row) for row in best)


def _first_bytes(row: Mapping[str, Any]) -> int:
    """What was sent for the first time, with RTP's fixed header."""
    octets = (row.get("bytesSent") or 0) - (row.get("retransmittedBytesSent") or 0)
    packets = (row.get("packetsSent") or 0) - (row.get("retransmittedPacketsSent") or 0)
    return int(octets + 12 * packets)


@contextlib.asynccontextmanager
async def _sinks(sides: set[Side]) -> AsyncIterator[None]:
    """Where other people's flows end."""
    async with contextlib.AsyncExitStack() as stack:
        for side in sides:
            taker = await stack.enter_async_context(_traffic(side.namespace, "take", side.address))
            assert taker.stdout
            await taker.stdout.readline()
        yield


@contextlib.asynccontextmanager
async def _traffic(namespace: str, *arguments: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *("ip", "netns", "exec", namespace, sys.executable),
        *("-m", "benchmarks.linklab.traffic", *arguments),
        stdout=PIPE,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
