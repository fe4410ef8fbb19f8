"""How fast do schools join, and do those already there notice?

A class of 200 is seated; then others join as fast as the generator can shake hands, for a while.
`joins_per_second_per_core` is what one core of the node could do by the CPU time it spent, beyond
what forwarding took before; `joins_per_second` is what happened, the generator's own handshakes
(one core, Python) included.
"""

import argparse
import asyncio
from typing import Any

from benchmarks.lesson import SETTLE, Lesson, Moment, Span, Trace, lesson, percentile, trace_options
from benchmarks.machine import conditions


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    trace_options(parser, viewers=200, seconds=5.0)
    parser.add_argument("--joins", type=int, default=1_000)


def quick(options: argparse.Namespace) -> None:
    """Less of it, for a look."""
    options.viewers, options.joins = min(options.viewers, 50), min(options.joins, 200)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """One answer."""
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> dict[str, Any]:
    async with lesson() as taught:
        await taught.teach(Trace(options.video_bps))
        await taught.join(options.viewers)
        await asyncio.sleep(SETTLE)
        steady = await taught.span(options.seconds)
        storm = await _storm(taught, options.joins)
        await asyncio.sleep(SETTLE)
        waits = _waits(taught, await taught.moment(), options.viewers)
    return {
        "viewers": options.viewers,
        "joins": options.joins,
        "joins_per_second": round(options.joins / storm.seconds, 1),
        **_cost(options.joins, steady, storm),
        "first_packet_p50_ms": round(percentile(waits, 0.5), 1),
        "first_packet_p99_ms": round(percentile(waits, 0.99), 1),
        "without_packets": options.joins - len(waits),
        "loss_meanwhile": storm.loss,
        **storm.generator(),
        "conditions": conditions(),
    }


async def _storm(taught: Lesson, joins: int) -> Span:
    before = await taught.moment()
    await taught.join(joins)
    return Span(before, await taught.moment())


def _cost(joins: int, steady: Span, storm: Span) -> dict[str, Any]:
    spent = storm.server_cpu * storm.seconds
    # New schools are forwarded to as well: that is not the joining's cost.
    forwarding = steady.cpu_us / 1e6 * storm.counted("datagrams_out")
    each = max(spent - forwarding, 1e-9) / joins
    return {
        "server_ms_per_join": round(each * 1e3, 2),
        "joins_per_second_per_core": round(1 / each),
    }


def _waits(taught: Lesson, after: Moment, seated: int) -> list[float]:
    """For each school that joined in the storm: from its offer to its first packet, in ms."""
    began = taught.clients.began_ns
    rows = list(enumerate(after.clients["received"]))[1 + seated :]
    return sorted((row[5] - began[client]) / 1e6 for client, row in rows if row[5])
