"""Does congestion control follow the link, share it, and leave its queue short (RFC 8867)?

The cases of RFC 8867 section 5 and the links that schools have, on the virtual bottleneck of the
Rust tests: rates and queue by time. Nothing is measured of this machine; the answer is the same on
any.
"""

import argparse
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

CRATE = Path(__file__).parent.parent / "sfu" / "media" / "Cargo.toml"
_KEPT = 10
"""Samples of 100 ms that become one of the series."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    parser.add_argument("--case", action="append", default=[], help="only cases with this in them")


def quick(options: argparse.Namespace) -> None:
    """Less of it, for a look."""
    options.case = options.case or ["5.1", "E satellite"]


def run(options: argparse.Namespace) -> dict[str, Any]:
    """One answer."""
    cases = [_case(told) for told in _told(options.case)]
    return {"cases": cases}


def _told(wanted: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    command = ["cargo", "run", "--quiet", "--release", "--manifest-path", str(CRATE)]
    said = subprocess.run(
        [*command, "--example", "rfc8867", "--", *wanted],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    yield from (json.loads(line) for line in said.stdout.splitlines())


def _case(told: Mapping[str, Any]) -> dict[str, Any]:
    samples = told["samples"]
    series = [_mean(samples[at : at + _KEPT]) for at in range(0, len(samples), _KEPT)]
    return {
        "name": told["name"],
        "utilisation": round(told["utilisation"], 3),
        "queue_p95_ms": round(told["queue_p95_ms"], 1),
        "fairness": round(told["fairness"], 3),
        "inherent_loss": [round(loss, 4) for loss in told["inherent"]],
        "probe_bytes": told["padded"],
        "series": series,
    }


def _mean(samples: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """One point of the series: kilobits a second, milliseconds, seconds."""

    def mean(values: Sequence[float]) -> float:
        return sum(values) / len(values)

    flows = range(len(samples[0][3]))
    return {
        "at": round(samples[-1][0], 1),
        "capacity": round(mean([sample[1] for sample in samples]) / 1e3),
        "queue": round(max(sample[2] for sample in samples), 1),
        "rates": [round(mean([sample[3][flow] for sample in samples]) / 1e3) for flow in flows],
        "tcp": round(mean([sample[5] for sample in samples]) / 1e3),
    }
