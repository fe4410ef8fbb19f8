"""The cases of RFC 8867 on the page: a table of all, and two plots a case. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.report_plot import Chart, Series

PLOTS = "plots"
"""Folder of the plots, beside the page."""
_COLUMNS = ("utilisation", "queue_p95_ms", "fairness")


def section(answer: Mapping[str, Any]) -> Iterator[str]:
    """What stands under the heading."""
    yield (
        "On the virtual bottleneck of the Rust tests (`sfu/media/tests/bottleneck`), by a virtual "
        "clock: it is the same on any machine. `utilisation` counts media alone, not TCP, and may "
        "exceed 1 in case 5.3, whose second flow goes the other way; `fairness` is Jain's index of "
        "the flows in the second half; the queue is that before the bottleneck, whoever filled it, "
        "as its longest in each second."
    )
    head = f"| case | {' | '.join(_COLUMNS)} |"
    rows = (
        f"| {case['name']} | {' | '.join(f'{case[key]:.4g}' for key in _COLUMNS)} |"
        for case in answer["cases"]
    )
    yield "\n".join((head, "|---" * (len(_COLUMNS) + 1) + "|", *rows))
    for case in answer["cases"]:
        name = _file(case)
        yield (
            f"![{case['name']}: rate]({PLOTS}/{name}-rate.svg)\n"
            f"![{case['name']}: queue]({PLOTS}/{name}-queue.svg)"
        )


def charts(answer: Mapping[str, Any]) -> Iterator[tuple[str, Chart]]:
    """The plots by their file names."""
    for case in answer.get("cases", ()):
        series = case["series"]
        flows = range(len(series[0]["rates"]))
        lines = [_line("capacity", [(p["at"], p["capacity"]) for p in series])]
        lines += [
            _line(f"flow {flow + 1}", [(p["at"], p["rates"][flow]) for p in series])
            for flow in flows
        ]
        if any(point["tcp"] for point in series):
            lines.append(_line("TCP", [(p["at"], p["tcp"]) for p in series]))
        name = _file(case)
        yield f"{name}-rate.svg", Chart(case["name"], "s", "kbit/s", lines)
        queue = [_line("queue", [(p["at"], p["queue"]) for p in series])]
        yield f"{name}-queue.svg", Chart(f"{case['name']}: queue", "s", "ms", queue)


def _line(name: str, points: list[tuple[float, float]]) -> Series:
    return Series(name, points, dense=True)


def _file(case: Mapping[str, Any]) -> str:
    return "rfc8867-" + re.sub(r"[^a-z0-9]+", "-", case["name"].lower()).strip("-")
