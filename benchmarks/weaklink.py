"""How good is a lesson on a weak link, as its viewer sees and hears it?

A teacher and a viewer, each a Chromium, in two network namespaces; between them an emulated link
(`--profile`, the files in `benchmarks/linklab/profiles`) and the node on the good side. What is
measured is measured in the viewer's page: `benchmarks/linklab/metrics.py` tells each figure's
meaning. A run in which the emulator was late by `--late-ms` or more, or the page by
`--page-late-ms`, is repeated: that was the machine, and not the link.

An outage is asked for by `--outage SECONDS` (both ways dead from second 30), rain on a satellite's
link by `--rain`; without them there is neither. Needs root, Linux, and Debian's Chromium.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from benchmarks.linklab import metrics, namespaces
from benchmarks.linklab.lab import LabError
from benchmarks.linklab.lesson import Conditions, hold
from benchmarks.linklab.livekit import LiveKit
from benchmarks.linklab.plot import plot
from benchmarks.linklab.profile import AFTER_OUTAGE, NAMES, OUTAGE_AT, load
from benchmarks.linklab.systems import PeerToPeer, System, Teaching, Tongbu
from benchmarks.machine import conditions as machine
from benchmarks.servers import ServerError

SYSTEMS: Mapping[str, System] = {s.name: s for s in (Tongbu(), PeerToPeer(), LiveKit())}
_MAX_LATE_MS = 40.0
_MAX_PAGE_LATE_MS = 100.0
_CODECS = ("VP8", "H264", "VP9", "AV1")
_NICE = -10
_LOG = logging.getLogger(__name__)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    parser.add_argument("--profile", choices=NAMES, default="E")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--system", choices=tuple(SYSTEMS), default="tongbu")
    parser.add_argument("--codec", choices=_CODECS, default="VP8", help="of the camera")
    parser.add_argument("--slides-codec", choices=_CODECS, default="AV1")
    parser.add_argument("--outage", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--rain", action="store_true", help="heavier losses, E and F only")
    parser.add_argument("--loss", type=float, help="independent losses instead, 0-1")
    parser.add_argument("--viewers-good", type=int, default=0, help="further ones, not weak")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="rates and queue")
    parser.add_argument("--raw", type=Path, metavar="FILE", help="what was observed, as JSON")
    parser.add_argument("--attempts", type=int, default=3, help="at a run that is not late")
    parser.add_argument("--late-ms", type=float, default=_MAX_LATE_MS, help="what counts as late")
    parser.add_argument(
        "--page-late-ms", type=float, default=_MAX_PAGE_LATE_MS, help="the same, of the page"
    )


def quick(options: argparse.Namespace) -> None:
    """Less of it, for a look."""
    options.seconds, options.attempts, options.outage = min(options.seconds, 25.0), 1, 0.0


def run(options: argparse.Namespace) -> dict[str, Any]:
    """One answer."""
    if (reason := namespaces.unavailable()) is not None:
        _refuse(f"This benchmark cannot run here: {reason}.")
    try:
        with _before_others():
            return asyncio.run(_run(options))
    except (ValueError, LabError, namespaces.NamespaceError, ServerError) as error:
        _refuse(str(error))
    except asyncio.CancelledError:
        _refuse("It was told to end, and has taken down the lab.")


@contextlib.contextmanager
def _before_others() -> Iterator[None]:
    """What the lab starts comes before whatever else this machine does: a player that is kept from
    its core conceals sound that has arrived."""
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, usual)


def _refuse(why: str) -> NoReturn:
    print(why, file=sys.stderr)
    raise SystemExit(2)


async def _run(options: argparse.Namespace) -> dict[str, Any]:
    _end_in_good_order()
    if options.outage:
        options.seconds = max(options.seconds, OUTAGE_AT + options.outage + AFTER_OUTAGE)
    profile = load(options.profile)
    script = profile.script(
        options.seconds, options.seed, outage=options.outage, rain=options.rain, loss=options.loss
    )
    teaching = Teaching(options.codec, options.slides_codec)
    wanted = Conditions(
        profile, script, options.seconds, options.seed, teaching, options.viewers_good
    )
    rejected = 0
    while True:
        seen = await hold(SYSTEMS[options.system], wanted)
        figures = metrics.figures(seen)
        if (late := _late(figures, options)) is None:
            break
        rejected += 1
        _LOG.info("rejected: %s", late)
        if rejected >= options.attempts:
            raise LabError(f"the machine was late in each of {rejected} runs: {late}")
    if options.plot:
        title = f"{options.system} on {options.profile}, {profile.title}, seed {options.seed}"
        options.plot.write_text(plot(seen, title))
    if options.raw:
        options.raw.write_text(json.dumps(asdict(seen)))
    return {
        "profile": options.profile,
        "system": options.system,
        "seconds": options.seconds,
        "seed": options.seed,
        "codec": options.codec,
        "slides_codec": options.slides_codec,
        **({"rain": True} if options.rain else {}),
        **({"loss": options.loss} if options.loss is not None else {}),
        **figures,
        **({"outage_s": options.outage, **metrics.recovery(seen)} if options.outage else {}),
        "rejected": rejected,
        "conditions": {key: machine()[key] for key in ("cpu", "cores", "kernel")},
    }


def _late(figures: Mapping[str, Any], options: argparse.Namespace) -> str | None:
    """Whether the machine, and not the link, made what was seen; in words."""
    if figures["late_us_max"] >= options.late_ms * 1_000:
        return f"the emulator was {figures['late_us_max'] / 1e3:.0f} ms late"
    if figures["page_late_ms"] >= options.page_late_ms:
        return f"the viewer's page was {figures['page_late_ms']:.0f} ms late"
    return None


def _end_in_good_order() -> None:
    """SIGTERM ends the lesson and removes the namespaces, as Ctrl-C does."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
