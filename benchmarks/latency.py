"""How long does the node hold a packet, at half a core of load?

From the moment the teacher's packet is handed to the kernel to the moment a school's socket has
been read: both on one clock, of every school in 32. "Paced" spreads a frame's packets over 10 ms,
as browsers do; "bursty" sends them at once, and the last packet to the last school waits for all
others of its frame.
"""

import argparse
import asyncio
from typing import Any

from benchmarks.lesson import SETTLE, Span, Trace, lesson, percentile, trace_options
from benchmarks.machine import conditions

SPREAD_US = 10_000


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    trace_options(parser, viewers=500, seconds=15.0)


def quick(options: argparse.Namespace) -> None:
    """Less of it, for a look."""
    options.viewers, options.seconds = min(options.viewers, 100), min(options.seconds, 4.0)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """One answer."""
    paced = asyncio.run(_run(options, Trace(options.video_bps, SPREAD_US)))
    bursty = asyncio.run(_run(options, Trace(options.video_bps)))
    return {
        "viewers": options.viewers,
        "video_bps": options.video_bps,
        **_figures(paced),
        "bursty": _figures(bursty),
        "conditions": conditions(),
    }


async def _run(options: argparse.Namespace, trace: Trace) -> Span:
    async with lesson() as taught:
        await taught.teach(trace)
        await taught.join(options.viewers)
        await asyncio.sleep(SETTLE)
        return await taught.span(options.seconds)


def _figures(span: Span) -> dict[str, Any]:
    latencies = span.latencies_us
    return {
        "p50_us": round(percentile(latencies, 0.5)),
        "p99_us": round(percentile(latencies, 0.99)),
        "p999_us": round(percentile(latencies, 0.999)),
        "samples": len(latencies),
        "loss": span.loss,
        "server_cpu": round(span.server_cpu, 3),
        **span.generator(),
    }
