"""How many schools does one core carry, and does a packet cost more the more there are?

Schools join one lesson in steps; each step is measured. It ends when 1 % is lost, or when the
node or the generator has no more of its core: which of them, is told.
"""

import argparse
import asyncio
from typing import Any

from benchmarks.lesson import SETTLE, Span, Trace, lesson, trace_options
from benchmarks.machine import conditions

MAX_LOSS = 0.01
FULL = 0.95
"""Of a core: more cannot be had beside the rest of the machine."""
STEPS = (100, 300, 600, 1_000, 1_500, 2_000, 2_500, 3_000)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    trace_options(parser, viewers=3_000, seconds=5.0)
    # So low that the generator is not full before the node is asked for 3,000.
    parser.set_defaults(video_bps=300_000)
    parser.add_argument("--shards", type=int, default=1)


def quick(options: argparse.Namespace) -> None:
    """Less of it, for a look."""
    options.viewers, options.seconds = min(options.viewers, 600), min(options.seconds, 3.0)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """One answer."""
    steps = asyncio.run(_run(options))
    carried = [viewers for viewers, span in steps if span.loss < MAX_LOSS]
    costs = [span.cpu_us for _, span in steps]
    return {
        "video_bps": options.video_bps,
        "shards": options.shards,
        "viewers": max(carried, default=0),
        "ended_by": _full(steps[-1][1]) or "asked for no more",
        "cost_growth": round(costs[-1] / costs[0], 2),
        "steps": [_row(viewers, span) for viewers, span in steps],
        "conditions": conditions(),
    }


async def _run(options: argparse.Namespace) -> list[tuple[int, Span]]:
    steps: list[tuple[int, Span]] = []
    async with lesson(shards=options.shards) as taught:
        await taught.teach(Trace(options.video_bps))
        seated = 0
        for viewers in [step for step in STEPS if step <= options.viewers]:
            await taught.join(viewers - seated)
            seated = viewers
            await asyncio.sleep(SETTLE)
            span = await taught.span(options.seconds)
            steps.append((viewers, span))
            if _full(span):
                break
    return steps


def _full(span: Span) -> str | None:
    if span.generator_cpu > FULL:
        return "the generator's core is full"
    if span.server_cpu > FULL:
        return "the node's core is full"
    return "loss" if span.loss >= MAX_LOSS else None


def _row(viewers: int, span: Span) -> dict[str, Any]:
    return {
        "viewers": viewers,
        "packets_per_second": round(span.received / span.seconds),
        "cpu_us_per_packet": round(span.cpu_us, 3),
        "loss": span.loss,
        "server_cpu": round(span.server_cpu, 3),
        **span.generator(),
    }
