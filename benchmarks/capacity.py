"""How many schools does a node carry, and does a packet cost more the more there are?

Schools join one lesson in steps, and each step is measured, on one shard and then on two. It ends
when 1 % is lost, when the node or the generator has no more of its core, or when as many are seated
as were asked for: which of them, is told. The bitrate is low, so that the generator is not full
before the node.
"""

import argparse
import asyncio
import logging
import os
from collections.abc import Iterator
from typing import Any

from benchmarks.lesson import SETTLE, Trace, lesson, trace_options
from benchmarks.machine import conditions
from benchmarks.span import Span

MAX_LOSS = 0.01
MAX_BEHIND = 0.02
"""Of what was sent: a node that falls behind loses nothing as long as its buffer lasts."""
FULL = 0.97
"""Of a core: more cannot be had beside the rest of the machine."""
SMALL = (100, 300)
PARTS = (0.25, 0.5, 0.75)
STEP = 0.06
"""Of the expected end: how fine the last steps are."""
PATIENCE = 100.0
"""Seconds that one number of shards may take."""

_LOG = logging.getLogger(__name__)
_Step = tuple[int, Span]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    trace_options(parser, viewers=3_000, seconds=4.0)
    parser.set_defaults(video_bps=300_000)
    parser.add_argument("--shards", type=int, nargs="+", default=[1, 2])


def quick(options: argparse.Namespace) -> None:
    """Less of it, for a look."""
    options.viewers, options.seconds = min(options.viewers, 300), min(options.seconds, 2.0)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """One answer."""
    ramps = {shards: asyncio.run(_ramp(options, shards)) for shards in options.shards}
    first, *others = (_carried(options, shards, steps) for shards, steps in ramps.items())
    return {
        "video_bps": options.video_bps,
        **first,
        **{f"shards_{other['shards']}": other for other in others},
        "conditions": conditions(),
    }


async def _ramp(options: argparse.Namespace, shards: int) -> list[_Step]:
    steps: list[_Step] = []
    began = asyncio.get_running_loop().time()
    async with lesson(shards=shards) as taught:
        await taught.teach(Trace(options.video_bps))
        while (wanted := _next(steps, options.viewers, shards)) is not None:
            seated = steps[-1][0] if steps else 0
            _LOG.info("%d shards: on to %d schools", shards, wanted)
            await taught.join(wanted - seated)
            await asyncio.sleep(SETTLE)
            steps.append((wanted, await taught.span(options.seconds)))
            late = asyncio.get_running_loop().time() - began > PATIENCE
            if late or _end(steps[-1][1], shards):
                break
    return steps


def _next(steps: list[_Step], most: int, shards: int) -> int | None:
    """A few, then the quarters of what the node will probably carry, then on in small steps."""
    if not steps:
        return min(SMALL[0], most)
    viewers, span = steps[-1]
    if viewers >= most:
        return None
    expected = min(most, round(viewers * shards / max(span.server_cpu, 1e-3)))
    # Expectations rise on the way: many steps where nothing happens would take their time.
    least = viewers * (1.25 if span.server_cpu < 0.7 * shards else 1.04)
    return min(next((step for step in _plan(expected, most) if step > least), most), most)


def _plan(expected: int, most: int) -> Iterator[int]:
    yield from SMALL
    for part in PARTS:
        yield round(part * expected)
    part = 1 - STEP
    while part * expected < most:
        yield round(part * expected)
        part += STEP


def _end(span: Span, shards: int) -> str | None:
    if _is_lossy(span):
        return "loss, or falling behind"
    if span.generator_cpu > FULL:
        return "the generator's core is full"
    cores = min(shards, os.cpu_count() or 1)
    if span.server_cpu + (span.generator_cpu if shards > 1 else 0) > FULL * cores:
        return "the node's core is full" if shards == 1 else "the machine's cores are full"
    return None


def _is_lossy(span: Span) -> bool:
    return span.loss >= MAX_LOSS or span.behind >= MAX_BEHIND


def _carried(options: argparse.Namespace, shards: int, steps: list[_Step]) -> dict[str, Any]:
    carried = [step for step in steps if not _is_lossy(step[1])] or steps[:1]
    most, span = carried[-1]
    asked_for_all = "as many as were asked for" if most >= options.viewers else "out of time"
    shared = "The generator shares the node's cores: what the node could do alone is more."
    return {
        "shards": shards,
        "viewers": most if not _is_lossy(span) else 0,
        "ended_by": _end(steps[-1][1], shards) or asked_for_all,
        "cost_growth": round(span.cpu_us / steps[0][1].cpu_us, 2),
        "at": {f"{part:.0%}": _nearest(carried, part * most) for part in (*PARTS, 1.0)},
        "steps": [_row(step) for step in steps],
        **({"note": shared} if shards >= (os.cpu_count() or 1) else {}),
    }


def _nearest(steps: list[_Step], viewers: float) -> dict[str, Any]:
    """The cost at the step that comes nearest."""
    nearest, span = min(steps, key=lambda step: abs(step[0] - viewers))
    return {"viewers": nearest, "cpu_us_per_packet": round(span.cpu_us, 3)}


def _row(step: _Step) -> dict[str, Any]:
    viewers, span = step
    return {
        "viewers": viewers,
        "packets_per_second": round(span.received / span.seconds),
        "cpu_us_per_packet": round(span.cpu_us, 3),
        "loss": round(span.loss, 6),
        "behind": round(span.behind, 4),
        "server_cpu": round(span.server_cpu, 3),
        **span.generator(),
    }
