"""The page's part about weak links. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.linklab.goals import CASES, Case, Metric

HOW = """\
A teacher and a viewer, each a Chromium, in two network namespaces joined by an emulated link; the
node is on the teacher's side. All is measured in the viewer's page (`benchmarks/linklab/metrics.py`
tells how), the queue and the losses in the emulator. The teacher sends Opus at 40 kbit/s that never
pauses, a camera of 960x540 in three layers of VP8, and slides of small Chinese text in AV1, which
has tools for text on a screen: a new page every 8 s.
`p2p` is the same teacher and the same link without a server: two stock Chromiums;
`livekit` is LiveKit with its congestion control in the place of our node. Their signalling does not
go over the link, ours does. p50 is the median of the runs, p95 their 95th percentile towards the
worse; a goal holds for p95."""
OTHERS = ("p2p", "livekit")
FIGURES = "weaklink.jsonl"
"""Of each run, beside the drawings."""


def section(answer: Mapping[str, Any], plots: str) -> Iterator[str]:
    """Its paragraphs."""
    yield HOW
    yield _conditions(answer)
    cases = [case for case in CASES if case.name in answer["cases"]]
    others = [name for name in OTHERS if any(name in row for row in answer["cases"].values())]
    rows = [row for case in cases for row in _rows(case, answer["cases"][case.name], others)]
    parts = (f"{name} {part}" for name in others for part in ("p50", "p95"))
    head = ("link", "what", "goal", "p50", "p95", "", *parts)
    yield "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))
    missed = sum(row[5] == "**missed**" for row in rows)
    yield f"{missed} of {sum(bool(row[5]) for row in rows)} goals are missed."
    for name in answer["plots"]:
        yield f"![Rates and queue: {name.split('-')[1].removesuffix('.svg')}]({plots}/{name})"


def _conditions(answer: Mapping[str, Any]) -> str:
    cases = list(answer["cases"].values())
    runs = ", ".join(f"{name} {_runs(name, cases)}" for name in ("tongbu", *OTHERS))
    busy = answer.get("busy_cores") or 0
    machine = answer.get("conditions") or {}
    return (
        f"Runs of each case: {runs}, on {machine.get('cores')} cores of {machine.get('cpu')} "
        f"(`plots/{FIGURES}` has each). They kept {busy:.1f} cores busy in the "
        f"mean; one by itself takes 0.8, and `AT_ONCE` of them are held side by side. The emulator "
        f"was late by {(answer['late_us_max'] or 0) / 1e3:.1f} ms at most, {answer['rejected']} "
        f"runs were rejected for more than 40 ms and made again; the hypervisor took "
        f"{answer['stolen_cpu'] or 0:.3f} of a core."
    )


def _runs(name: str, cases: Sequence[Mapping[str, Any]]) -> str:
    numbers = sorted({case[name]["runs"] for case in cases if name in case})
    return " to ".join(str(number) for number in dict.fromkeys(numbers[:1] + numbers[-1:])) or "0"


def _rows(
    case: Case, systems: Mapping[str, Mapping[str, Any]], others: Sequence[str]
) -> Iterator[list[str]]:
    ours = systems.get("tongbu", {})
    title = case.title
    for metric, bound in case.goals.items():
        if any(metric.key in system for system in systems.values()):
            figures = [*_figures(metric, ours), _verdict(metric, bound, ours)]
            for name in others:
                figures += _figures(metric, systems.get(name, {}))
            yield [title, metric.what, _goal(metric, bound), *figures]
            title = ""


def _goal(metric: Metric, bound: float | None) -> str:
    return "" if bound is None else f"{metric.relation} {bound:g} {metric.unit}".strip()


def _figures(metric: Metric, system: Mapping[str, Any]) -> list[str]:
    if metric.key not in system:
        return ["", ""]
    return ["never" if figure is None else f"{figure:.3g}" for figure in system[metric.key]]


def _verdict(metric: Metric, bound: float | None, ours: Mapping[str, Any]) -> str:
    if bound is None or metric.key not in ours:
        return ""
    worst = ours[metric.key][1]
    return "met" if worst is not None and metric.holds(worst, bound) else "**missed**"
