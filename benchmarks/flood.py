"""What do the schools notice when one of them turns hostile?

One seated school sends garbage, checks with a wrong password and SRTP with a wrong tag, a third
each, at 200,000 packets a second; the others are counted without the flood and under it. The flood
shares the generator's core, and yields to it; the kernel stamps what is timed, so that only the
node's part is.
"""

import argparse
import asyncio
from typing import Any

from benchmarks.lesson import SETTLE, Trace, lesson, trace_options
from benchmarks.machine import conditions
from benchmarks.span import Span

SPREAD_US = 10_000


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    trace_options(parser, viewers=100, seconds=10.0)
    parser.add_argument("--pps", type=int, default=200_000)


def quick(options: argparse.Namespace) -> None:
    """Less of it, for a look."""
    options.viewers, options.seconds = min(options.viewers, 50), min(options.seconds, 4.0)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """One answer."""
    quiet, under = asyncio.run(_run(options))
    sent = under.after.clients["flooded"] - under.before.clients["flooded"]
    kinds = ("dropped_malformed", "dropped_unauthentic")
    return {
        "viewers": options.viewers,
        "flood_pps": round(sent / under.seconds),
        "counted_pps": round(sum(under.counted(kind) for kind in kinds) / under.seconds),
        "loss": under.loss,
        **_figures(under),
        "quiet": {"loss": quiet.loss, **_figures(quiet)},
        "conditions": conditions(),
    }


async def _run(options: argparse.Namespace) -> tuple[Span, Span]:
    async with lesson(timed=True) as taught:
        await taught.teach(Trace(options.video_bps, SPREAD_US))
        await taught.join(options.viewers)
        await asyncio.sleep(SETTLE)
        quiet = await taught.span(options.seconds)
        hostile = options.viewers  # the last to join; no school of the sample
        taught.clients.native.flood(hostile, options.pps, options.seconds + 2 * SETTLE)
        await asyncio.sleep(SETTLE)
        return quiet, await taught.span(options.seconds)


def _figures(span: Span) -> dict[str, Any]:
    return {
        **span.latency,
        "server_cpu": round(span.server_cpu, 3),
        **span.generator(),
    }
