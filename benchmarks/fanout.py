"""What does it cost to forward one packet to one viewer, and how near is that to the limit?

One teacher (H264 at 30 frames a second, and Opus) and many schools, on one node of one shard.
The limit is measured in the same run: the same bytes to the same sockets, sealed and sent with
GSO, and nothing else.
"""

import argparse
import asyncio
import json
import logging
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from benchmarks.lesson import SETTLE, Trace, lesson, trace_options
from benchmarks.machine import SERVER_CORE, conditions, on_core
from benchmarks.span import Span

LIMIT_SECONDS = 10
"""One period of the trace: as many keyframes as there are."""
AUDIO_NOTE = (
    "GSO cannot help here: a school gets one packet of sound every 20 ms, so each packet is a "
    "message of its own to the kernel, for the node and for the limit alike."
)

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limit:
    """What sending the same packets costs, and how large they were."""

    us_per_packet: float
    bytes_per_packet: float


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    trace_options(parser, viewers=300, seconds=15.0)
    parser.add_argument("--spread-us", type=int, default=0, help="pace a frame over this time")
    parser.add_argument("--limit-seconds", type=int, default=LIMIT_SECONDS)
    parser.add_argument("--audio-only", action="store_true", help="no video: GSO cannot help")


def quick(options: argparse.Namespace) -> None:
    """Less of it, for a look."""
    options.viewers, options.seconds = min(options.viewers, 100), min(options.seconds, 5.0)
    options.limit_seconds = min(options.limit_seconds, 5)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """One answer."""
    trace = Trace(0 if options.audio_only else options.video_bps, options.spread_us)
    span, limit = asyncio.run(_run(options, trace))
    return _answer(options.viewers, trace, span, limit)


async def _run(options: argparse.Namespace, trace: Trace) -> tuple[Span, Limit]:
    async with lesson() as taught:
        await taught.teach(trace)
        await taught.join(options.viewers)
        await asyncio.sleep(SETTLE)
        span = await taught.span(options.seconds)
        ports = span.after.clients["ports"][1:]
        _LOG.info("measuring the limit for %d s", options.limit_seconds)
        wire = span.extension_bytes
        return span, await asyncio.to_thread(_limit, trace, wire, ports, options.limit_seconds)


def _limit(trace: Trace, extension_bytes: int, ports: list[int], seconds: int) -> Limit:
    """In a process of its own, on the server's core, to the sockets of the same schools."""
    with on_core(SERVER_CORE):
        said = subprocess.run(
            [
                *(sys.executable, "-m", "benchmarks.limit"),
                *("--video-bps", str(trace.video_bps), "--spread-us", str(trace.spread_us)),
                *("--extension-bytes", str(extension_bytes)),
                *("--seconds", str(seconds), *map(str, ports)),
            ],
            check=True,
            capture_output=True,
        )
    answer = json.loads(said.stdout)
    return Limit(float(answer["us_per_packet"]), float(answer["bytes_per_packet"]))


def _answer(viewers: int, trace: Trace, span: Span, limit: Limit) -> dict[str, Any]:
    calls = span.counted("send_calls") + span.counted("receive_calls") + span.counted("waits")
    return {
        "viewers": viewers,
        "video_bps": trace.video_bps,
        "seconds": round(span.seconds, 1),
        "packets": span.received,
        "cpu_us_per_packet": round(span.cpu_us, 3),
        "user_us_per_packet": round(span.user_us, 3),
        "system_us_per_packet": round(span.system_us, 3),
        "limit_us_per_packet": round(limit.us_per_packet, 3),
        "ratio_to_limit": round(span.cpu_us / limit.us_per_packet, 2),
        "loss": span.loss,
        "unopened": span.unopened,
        "gso_segments_mean": round(
            span.counted("datagrams_out") / max(1, span.counted("messages_out")), 2
        ),
        "syscalls_per_packet": round(calls / max(1, span.received), 4),
        "allocations_per_packet": _allocations(span),
        "bytes_per_packet": round(span.bytes_per_packet, 1),
        "limit_bytes_per_packet": round(limit.bytes_per_packet, 1),
        "extension_bytes": span.extension_bytes,
        "server_cpu": round(span.server_cpu, 3),
        **span.generator(),
        **({} if trace.video_bps else {"note": AUDIO_NOTE}),
        "conditions": conditions(),
    }


def _allocations(span: Span) -> float | None:
    """On the shards' threads, as their allocator counts them; None when it does not."""
    if not span.counts("allocations"):
        return None
    return round(span.counted("allocations") / max(1, span.received), 6)
