"""Lessons under load on a node of their own."""

import argparse
import asyncio
import contextlib
import logging
import resource
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.generator import Clients, Endpoint
from benchmarks.machine import (
    GENERATOR_CORE,
    SERVER_CORE,
    core_seconds,
    cpu_us,
    on_all_cores,
    on_core,
    receive_buffer_errors,
)
from benchmarks.span import Moment as Moment
from benchmarks.span import Span as Span
from clients.headless.api import Api
from clients.headless.node import Node

NAME = "bench"
SETTLE = 2.0
"""Seconds of lesson after the last join before anything is counted."""
JOINING_AT_ONCE = 8

_TRACE_US = 10_000_000  # the trace repeats
_GOLDEN = 0.6180339887498949  # its multiples spread evenly over the unit interval
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trace:
    """What a teacher sends: H264 at 30 frames a second, and Opus."""

    video_bps: int = 2_000_000
    spread_us: int = 0
    """A frame's packets are spread over this; 0 is a burst, as browsers without a pacer send."""


class Lesson:
    """Teachers and their schools on a running node."""

    def __init__(self, node: Node, api: Api, clients: Clients) -> None:
        self.node = node
        self.api = api
        self.clients = clients
        self.teachers: dict[str, int] = {}
        """The client of each lesson's teacher."""

    async def teach(self, trace: Trace, name: str = NAME) -> None:
        """Seat a lesson's teacher and begin to send; each lesson is at a point of its own."""
        teacher = await self.clients.teach(await self._endpoint("whip", "teacher", name))
        self.teachers[name] = teacher
        self._publish(len(self.teachers) - 1, teacher, trace)

    def change(self, trace: Trace) -> None:
        """All teachers go on with another trace."""
        for number, teacher in enumerate(self.teachers.values()):
            self._publish(number, teacher, trace)

    async def join(self, schools: int, name: str = NAME) -> None:
        """Seat so many more schools in a lesson, a few at a time."""
        endpoint = await self._endpoint("whep", "school", name)
        for start in range(0, schools, JOINING_AT_ONCE):
            batch = range(start, min(start + JOINING_AT_ONCE, schools))
            await asyncio.gather(*(self.clients.watch(endpoint) for _ in batch))
            _LOG.info("%d schools seated", self.clients.viewers)

    async def moment(self) -> Moment:
        """What has been counted by now; the asking itself is counted."""
        shards = await self._shards()
        return self._moment(shards)

    async def span(self, seconds: float) -> Span:
        """What is counted from now on for so long, without the asking."""
        _LOG.info("measuring for %.0f s", seconds)
        before = self._moment(await self._shards())
        await asyncio.sleep(seconds)
        after = self._moment([])
        after.shards.extend(await self._shards())
        return Span(before, after)

    async def _shards(self) -> list[dict[str, object]]:
        return list((await self.api.stats())["shards"])

    def _moment(self, shards: list[dict[str, object]]) -> Moment:
        user, system = cpu_us(self.node.process.pid)
        now = asyncio.get_running_loop().time()
        snapshot = self.clients.native.snapshot()
        return Moment(
            user,
            system,
            shards,
            snapshot,
            frozenset(self.teachers.values()),
            receive_buffer_errors(set(snapshot["ports"])),
            *core_seconds(SERVER_CORE, GENERATOR_CORE),
            time.process_time(),
            now,
        )

    def _publish(self, number: int, teacher: int, trace: Trace) -> None:
        phase = int(number * _GOLDEN % 1 * _TRACE_US)
        self.clients.native.publish(
            teacher, video_bps=trace.video_bps, spread_us=trace.spread_us, phase_us=phase
        )

    async def _endpoint(self, protocol: str, role: str, name: str) -> Endpoint:
        token = await self.api.become(role, name)
        return Endpoint(f"{self.api.url}/{name}/{protocol}", token)


@contextlib.asynccontextmanager
async def lesson(*, shards: int = 1, timed: bool = False) -> AsyncIterator[Lesson]:
    """A node on the server's core, and a generator on its own; nobody has joined yet.

    The recorder is off (its worker would take the generator's core), logging is at warnings;
    the retransmission store is on, as always. With `timed`, the sample's latencies are kept:
    stamping every packet costs the kernel a little, on the server's side, too.
    """
    _allow_many_sockets()
    environment = {
        "TONGBU_RECORDER__ENABLED": "false",
        "TONGBU_LOG__LEVEL": "warning",
        "TONGBU_LESSON__MAX_SCHOOLS": "10000",
        "TONGBU_RTC__SHARDS": str(shards),
    }
    with tempfile.TemporaryDirectory() as folder, on_core(GENERATOR_CORE):
        # Several shards need several cores; the generator's is then shared.
        with on_core(SERVER_CORE) if shards == 1 else on_all_cores():
            node = await Node.start(Path(folder), environment=environment)
        try:
            async with Api(node.url) as api, Clients() as clients:
                if timed:
                    clients.native.stamp_arrivals()
                yield Lesson(node, api, clients)
        finally:
            await node.stop()


def trace_options(parser: argparse.ArgumentParser, *, viewers: int, seconds: float) -> None:
    """Options that most benchmarks share."""
    parser.add_argument("--viewers", type=int, default=viewers)
    parser.add_argument("--seconds", type=float, default=seconds)
    parser.add_argument("--video-bps", type=int, default=2_000_000)


def _allow_many_sockets() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
