"""How much memory does a school take, all in all?

Resident memory of the node with the class seated and the lesson flowing, less that of the node
with its teacher alone, by school: ICE, DTLS, SRTP, tracks, and Python's share.
"""

import argparse
import asyncio
from typing import Any

from benchmarks.lesson import SETTLE, Trace, lesson, trace_options
from benchmarks.machine import conditions, resident_bytes


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    trace_options(parser, viewers=500, seconds=5.0)


def quick(options: argparse.Namespace) -> None:
    """Less of it, for a look."""
    options.viewers, options.seconds = min(options.viewers, 200), min(options.seconds, 2.0)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """One answer."""
    alone, seated = asyncio.run(_run(options))
    return {
        "viewers": options.viewers,
        "rss_kb_per_viewer": round((seated - alone) / options.viewers / 1e3, 1),
        "rss_mb_alone": round(alone / 1e6, 1),
        "rss_mb_seated": round(seated / 1e6, 1),
        "conditions": conditions(),
    }


async def _run(options: argparse.Namespace) -> tuple[int, int]:
    async with lesson() as taught:
        await taught.teach(Trace(options.video_bps))
        await asyncio.sleep(SETTLE + options.seconds)
        alone = resident_bytes(taught.node.process.pid)
        await taught.join(options.viewers)
        await asyncio.sleep(SETTLE + options.seconds)
        return alone, resident_bytes(taught.node.process.pid)
