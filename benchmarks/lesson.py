"""A lesson under load on a node of its own, and what is counted of it between two moments."""

import argparse
import asyncio
import contextlib
import resource
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.generator import Clients, Endpoint
from benchmarks.machine import (
    GENERATOR_CORE,
    SERVER_CORE,
    cpu_us,
    on_core,
    receive_buffer_errors,
)
from clients.headless.api import Api
from clients.headless.node import Node

if TYPE_CHECKING:
    from benchmarks._loadgen import Snapshot

NAME = "bench"
SETTLE = 2.0
"""Seconds of lesson after the last join before anything is counted."""
JOINING_AT_ONCE = 8


@dataclass(frozen=True)
class Trace:
    """What the teacher sends: H264 at 30 frames a second, and Opus."""

    video_bps: int = 2_000_000
    spread_us: int = 0
    """A frame's packets are spread over this; 0 is a burst, as browsers without a pacer send."""


@dataclass(frozen=True)
class Moment:
    """What had been counted at one moment."""

    user_us: float
    system_us: float
    shards: list[dict[str, float]]
    clients: "Snapshot"
    drops: int
    time: float


class Lesson:
    """A teacher and his schools on a running node."""

    def __init__(self, node: Node, api: Api, clients: Clients) -> None:
        self.node = node
        self.api = api
        self.clients = clients

    async def teach(self, trace: Trace) -> None:
        """Seat the teacher and begin to send."""
        teacher = await self.clients.teach(await self._endpoint("whip", "teacher"))
        self.clients.native.publish(teacher, video_bps=trace.video_bps, spread_us=trace.spread_us)

    async def join(self, schools: int) -> None:
        """Seat so many more schools, a few at a time."""
        endpoint = await self._endpoint("whep", "school")
        for start in range(0, schools, JOINING_AT_ONCE):
            batch = range(start, min(start + JOINING_AT_ONCE, schools))
            await asyncio.gather(*(self.clients.watch(endpoint) for _ in batch))

    async def moment(self) -> Moment:
        """What has been counted by now."""
        shards = (await self.api.stats())["shards"]
        user, system = cpu_us(self.node.process.pid)
        snapshot = self.clients.native.snapshot()
        now = asyncio.get_running_loop().time()
        return Moment(user, system, shards, snapshot, receive_buffer_errors(), now)

    async def span(self, seconds: float) -> "Span":
        """What is counted from now on for so long."""
        before = await self.moment()
        await asyncio.sleep(seconds)
        return Span(before, await self.moment())

    async def _endpoint(self, protocol: str, role: str) -> Endpoint:
        token = await self.api.become(role, NAME)
        return Endpoint(f"{self.api.url}/{NAME}/{protocol}", token)


@contextlib.asynccontextmanager
async def lesson(*, shards: int = 1) -> AsyncIterator[Lesson]:
    """A node on the server's core, and a generator on its own; nobody has joined yet.

    The recorder is off (its worker would take the generator's core), logging is at warnings;
    the retransmission store is on, as always.
    """
    _allow_many_sockets()
    environment = {
        "TONGBU_RECORDER__ENABLED": "false",
        "TONGBU_LOG__LEVEL": "warning",
        "TONGBU_LESSON__MAX_SCHOOLS": "10000",
        "TONGBU_RTC__SHARDS": str(shards),
    }
    with tempfile.TemporaryDirectory() as folder, on_core(GENERATOR_CORE):
        with on_core(SERVER_CORE):
            node = await Node.start(Path(folder), environment=environment)
        try:
            async with Api(node.url) as api, Clients() as clients:
                yield Lesson(node, api, clients)
        finally:
            await node.stop()


@dataclass(frozen=True)
class Span:
    """What happened between two moments."""

    before: Moment
    after: Moment

    @property
    def seconds(self) -> float:
        """How long it was."""
        return self.after.time - self.before.time

    @property
    def received(self) -> int:
        """Packets that reached schools."""
        return self._received(0)

    @property
    def loss(self) -> float:
        """Of what the schools should have got, the part they did not."""
        lost = self._received(2)
        return lost / max(1, self.received + lost)

    @property
    def unopened(self) -> int:
        """Packets of the sample that were not what the teacher had sealed."""
        return self._received(4)

    @property
    def user_us(self) -> float:
        """CPU microseconds of the node in user mode, a packet."""
        return (self.after.user_us - self.before.user_us) / max(1, self.received)

    @property
    def system_us(self) -> float:
        """The same in the kernel."""
        return (self.after.system_us - self.before.system_us) / max(1, self.received)

    @property
    def cpu_us(self) -> float:
        """Both."""
        return self.user_us + self.system_us

    @property
    def server_cpu(self) -> float:
        """Cores the node kept busy."""
        return self.cpu_us * self.received / self.seconds / 1e6

    @property
    def generator_cpu(self) -> float:
        """The part of its core that the generator's thread took."""
        used = self.after.clients["cpu_us"] - self.before.clients["cpu_us"]
        return used / self.seconds / 1e6

    @property
    def latencies_us(self) -> list[float]:
        """One way through the node for each packet of the sample, sorted."""
        return sorted(ns / 1e3 for ns in self.after.clients["latencies_ns"])

    def counted(self, counter: str) -> float:
        """A counter of the shards."""
        before = sum(shard[counter] for shard in self.before.shards)
        return sum(shard[counter] for shard in self.after.shards) - before

    def generator(self) -> dict[str, object]:
        """Whether the generator kept up: a reader must know."""
        return {
            "generator_cpu": round(self.generator_cpu, 3),
            "generator_late_us_max": self.after.clients["late_us_max"],
            "receive_buffer_errors": self.after.drops - self.before.drops,
        }

    def _received(self, column: int) -> int:
        # The first client is the teacher. Who joined in between is not compared.
        olds, news = self.before.clients["received"][1:], self.after.clients["received"][1:]
        return sum(new[column] - old[column] for old, new in zip(olds, news, strict=False))


def percentile(ordered: list[float], part: float) -> float:
    """The value below which `part` (0-1) of a sorted list lies; 0 of an empty one."""
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


def trace_options(parser: argparse.ArgumentParser, *, viewers: int, seconds: float) -> None:
    """Options that most benchmarks share."""
    parser.add_argument("--viewers", type=int, default=viewers)
    parser.add_argument("--seconds", type=float, default=seconds)
    parser.add_argument("--video-bps", type=int, default=2_000_000)


def _allow_many_sockets() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
