"""How long does the node hold a packet, at half a core of load?

From the moment a teacher's packet is handed to the kernel to the moment the kernel has it for a
school, as the kernel stamps it: how late the generator reads does not count. Both on one clock, of
every school in 32.

The load is many lessons of ordinary classes, each at a point of its own in time. "Paced" spreads
a frame's packets over 10 ms, a larger one's over as much more, as browsers do; "bursty" sends them
at once. "One lesson" puts all
schools into a single one: its last school waits until the others have been sent to. A span of
which the hypervisor took more than 2 % of a core is measured again, four times at most.
"""

import argparse
import asyncio
import logging
from typing import Any

from benchmarks.lesson import SETTLE, Lesson, Trace, lesson
from benchmarks.machine import conditions
from benchmarks.span import QUANTILES, Span, percentile_of

SPREAD_US = 10_000
MAX_STOLEN = 0.02
"""Of a core, by the hypervisor."""
PROBE_LESSONS = 6
PROBE_SECONDS = 2.0
SWEEP = (0.25, 0.5, 0.75, 0.9)
MAX_LESSONS = 80

_LOG = logging.getLogger(__name__)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    parser.add_argument("--viewers", type=int, default=25, help="schools of each lesson")
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--video-bps", type=int, default=2_000_000)
    parser.add_argument("--load", type=float, default=0.5, help="part of the node's core, 0-1")
    parser.add_argument("--lessons", type=int, help="so many, whatever the load")
    parser.add_argument("--attempts", type=int, default=4, help="at a span that is not disturbed")
    parser.add_argument("--sweep", action="store_true", help="also at 25, 75 and 90 %% of a core")


def quick(options: argparse.Namespace) -> None:
    """Less of it, for a look."""
    options.seconds, options.sweep, options.attempts = min(options.seconds, 4.0), False, 1


def run(options: argparse.Namespace) -> dict[str, Any]:
    """One answer."""
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> dict[str, Any]:
    loads = SWEEP if options.sweep else (options.load,)
    rows: dict[float, dict[str, Any]] = {}
    async with lesson(timed=True) as taught:
        for load in loads:
            await _fill(taught, options, load)
            rows[load] = await _at_load(taught, options)
    headline = rows[min(rows, key=lambda load: abs(load - options.load))]
    schools = headline["lessons"] * options.viewers
    return {
        "viewers_per_lesson": options.viewers,
        "video_bps": options.video_bps,
        **headline,
        "one_lesson": await _one_lesson(options, schools),
        **({"sweep": list(rows.values())} if options.sweep else {}),
        "conditions": conditions(),
    }


async def _fill(taught: Lesson, options: argparse.Namespace, load: float) -> None:
    """Open lessons until the node's core is as busy as wanted; the first few tell how many."""
    if options.lessons:
        await _open(taught, options, options.lessons)
        return
    if not taught.teachers:
        await _open(taught, options, PROBE_LESSONS)
    paced = Trace(options.video_bps, SPREAD_US)
    for _ in range(3):  # a lesson costs less the more there are: once is not near enough
        taught.change(paced)
        await asyncio.sleep(SETTLE / 2)
        busy = (await _quiet(taught, options.attempts, PROBE_SECONDS)).server_cpu
        wanted = min(round(len(taught.teachers) * load / busy), MAX_LESSONS)
        if wanted <= len(taught.teachers):
            return
        await _open(taught, options, wanted)


async def _open(taught: Lesson, options: argparse.Namespace, lessons: int) -> None:
    for number in range(len(taught.teachers), lessons):
        name = f"bench{number}"
        await taught.teach(Trace(options.video_bps, SPREAD_US), name)
        await taught.join(options.viewers, name)
        _LOG.info("%d of %d lessons opened", number + 1, lessons)


async def _at_load(taught: Lesson, options: argparse.Namespace) -> dict[str, Any]:
    paced = await _span(taught, Trace(options.video_bps, SPREAD_US), options)
    bursty = await _span(taught, Trace(options.video_bps), options)
    return {"lessons": len(taught.teachers), **_figures(paced), "bursty": _figures(bursty)}


async def _one_lesson(options: argparse.Namespace, schools: int) -> dict[str, Any]:
    trace = Trace(options.video_bps, SPREAD_US)
    async with lesson(timed=True) as taught:
        await taught.teach(trace)
        await taught.join(schools)
        return {"viewers": schools, **_figures(await _span(taught, trace, options))}


async def _span(taught: Lesson, trace: Trace, options: argparse.Namespace) -> Span:
    taught.change(trace)
    await asyncio.sleep(SETTLE)
    return await _quiet(taught, options.attempts, options.seconds)


async def _quiet(taught: Lesson, attempts: int, seconds: float) -> Span:
    """What is measured while the machine is ours: a span of which the hypervisor took more than a
    little tells of it, and of nothing else, and is measured again."""
    spans: list[Span] = []
    for _ in range(attempts):
        spans.append(await taught.span(seconds))
        if spans[-1].stolen_cpu <= MAX_STOLEN:
            break
        _LOG.info("the hypervisor took %.0f %% of a core", spans[-1].stolen_cpu * 100)
    return min(spans, key=lambda span: span.stolen_cpu)


def _figures(span: Span) -> dict[str, Any]:
    return {
        **span.latency,
        "samples": len(span.latencies_us),
        "loss": span.loss,
        "server_cpu": round(span.server_cpu, 3),
        **span.generator(),
        **_inside(span),
    }


def _inside(span: Span) -> dict[str, Any]:
    """The node's own account: from the kernel's receipt of a packet to the send that took it."""
    times = span.histogram("forwarding_us")
    if not times:
        return {}
    return {"inside_node": {name: percentile_of(times, part) for name, part in QUANTILES.items()}}
