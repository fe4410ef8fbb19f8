"""How fast do schools join, what does it cost the node, and do those already there notice?

A class of 200 watches a lesson; then others join it as fast as the generator shakes hands.
`joins_per_second` is what happened: the generator's half of the handshakes, Python on one core,
bounds it. `server_ms_per_join` is the node's CPU time for a join, which is

- that of its Python thread, less what it took at rest: nothing is forwarded there;
- that of its shards, less what they took to forward meanwhile, to those who joined as well, at the
  mean price of a datagram before and after the storm.

`ms_per_join_by_seated` checks this where nothing is to be subtracted: in a lesson whose teacher
sends nothing, the whole node's CPU time for a join with so many seated already. It should not grow.
`joins_per_second_per_core` is one over the dearest of all these.
"""

import argparse
import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.generator import Endpoint
from benchmarks.lesson import NAME, SETTLE, Lesson, Trace, lesson, trace_options
from benchmarks.machine import conditions
from benchmarks.span import FIRST_NS, Moment, Span, percentile

AT_ONCE = 4
"""Streams of joins, each of `lesson.JOINING_AT_ONCE`: enough to keep the generator's core busy."""
PROBE = 150
"""Joins that tell what one costs with so many seated."""
SEATED = (200, 2_000)
_HALL = "hall"
"""The lesson whose teacher is silent."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    trace_options(parser, viewers=200, seconds=5.0)
    parser.add_argument("--joins", type=int, default=300)
    parser.add_argument("--seated", type=int, nargs="*", default=SEATED, help="see above")


def quick(options: argparse.Namespace) -> None:
    """Less of it, for a look."""
    options.viewers, options.joins = min(options.viewers, 100), min(options.joins, 150)
    options.seconds, options.seated = min(options.seconds, 3.0), [50, 300]


def run(options: argparse.Namespace) -> dict[str, Any]:
    """One answer."""
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> dict[str, Any]:
    async with lesson() as taught:
        await taught.teach(Trace(options.video_bps))
        await taught.join(options.viewers)
        await asyncio.sleep(SETTLE)
        before = await _stretch(taught, asyncio.sleep(options.seconds))
        storm = await _stretch(taught, _storm(taught, options.joins, NAME))
        await asyncio.sleep(SETTLE)
        after = await _stretch(taught, asyncio.sleep(options.seconds))
        waits = _waits(taught, after.span.after, options.viewers)
    live = cost(options.joins, before, storm, after)
    by_seated = await _growth(sorted(options.seated))
    dearest = max([live["server_ms_per_join"], *by_seated.values()])
    return {
        "viewers": options.viewers,
        "joins": options.joins,
        "joins_per_second": round(options.joins / storm.span.seconds, 1),
        "joins_per_second_per_core": round(1e3 / dearest),
        **live,
        "ms_per_join_by_seated": by_seated,
        "first_packet_p50_ms": round(percentile(waits, 0.5), 1),
        "first_packet_p99_ms": round(percentile(waits, 0.99), 1),
        "without_packets": options.joins - len(waits),
        "loss_meanwhile": storm.span.loss,
        **storm.span.generator(),
        "conditions": conditions(),
    }


@dataclass(frozen=True)
class Work:
    """CPU seconds of the node's threads."""

    python: float
    shards: float

    def since(self, earlier: "Work") -> "Work":
        """What came to it."""
        return Work(self.python - earlier.python, self.shards - earlier.shards)


@dataclass(frozen=True)
class Stretch:
    """Some time of a lesson: what was counted, and who worked."""

    span: Span
    work: Work

    @property
    def datagram_us(self) -> float:
        """CPU microseconds of the shards for each datagram that left them."""
        return self.work.shards * 1e6 / max(1.0, self.span.counted("datagrams_out"))


def cost(joins: int, before: Stretch, storm: Stretch, after: Stretch) -> dict[str, float]:
    """What a join cost, by thread, and how much was taken off for forwarding."""
    at_rest = before.work.python * storm.span.seconds / before.span.seconds
    price = (before.datagram_us + after.datagram_us) / 2
    forwarding = price / 1e6 * storm.span.counted("datagrams_out")
    python = (storm.work.python - at_rest) / joins
    shards = (storm.work.shards - forwarding) / joins
    return {
        "server_ms_per_join": round((python + shards) * 1e3, 3),
        "python_ms_per_join": round(python * 1e3, 3),
        "shards_ms_per_join": round(shards * 1e3, 3),
        "forwarding_ms_per_join": round(forwarding / joins * 1e3, 3),
        "datagram_us_before": round(before.datagram_us, 3),
        "datagram_us_after": round(after.datagram_us, 3),
    }


async def _growth(seats: list[int]) -> dict[str, float]:
    """The node's milliseconds for a join, by how many were seated before."""
    found: dict[str, float] = {}
    async with lesson() as quiet:
        token = await quiet.api.become("teacher", _HALL)
        await quiet.clients.teach(Endpoint(f"{quiet.api.url}/{_HALL}/whip", token))
        seated = 0
        for wanted in seats:
            await _storm(quiet, max(0, wanted - seated), _HALL)
            began = _work(quiet)
            await _storm(quiet, PROBE, _HALL)
            work = _work(quiet).since(began)
            found[str(wanted)] = round((work.python + work.shards) / PROBE * 1e3, 3)
            seated = wanted + PROBE
    return found


async def _storm(taught: Lesson, joins: int, name: str) -> None:
    parts = [joins // AT_ONCE + (number < joins % AT_ONCE) for number in range(AT_ONCE)]
    await asyncio.gather(*(taught.join(part, name) for part in parts))


async def _stretch(taught: Lesson, doing: Awaitable[object]) -> Stretch:
    """What happens meanwhile; the asking for counters is nobody's work."""
    before = await taught.moment()
    began = _work(taught)
    await doing
    work = _work(taught).since(began)
    return Stretch(Span(before, await taught.moment()), work)


def _work(taught: Lesson) -> Work:
    """The scheduler's account of each thread, by its name."""
    python = shards = 0.0
    for task in Path(f"/proc/{taught.node.process.pid}/task").iterdir():
        seconds = int((task / "schedstat").read_text().split()[0]) / 1e9
        if (task / "comm").read_text().startswith("tongbu-shard"):
            shards += seconds
        else:
            python += seconds
    return Work(python, shards)


def _waits(taught: Lesson, after: Moment, seated: int) -> list[float]:
    """For each school that joined in the storm: from its offer to its first packet, in ms."""
    began = taught.clients.began_ns
    rows = list(enumerate(after.clients["received"]))[1 + seated :]
    return sorted((row[FIRST_NS] - began[client]) / 1e6 for client, row in rows if row[FIRST_NS])
