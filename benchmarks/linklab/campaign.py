"""All weak links, many seeds: `python -m benchmarks.linklab.campaign --date D [--seeds 10]`.

Each run's figures are kept beside the page, a line each, so that a campaign that was broken off
goes on where it was, on another machine too; `--again tongbu` forgets those of a system that has
changed. At the end (and with `--render`, which runs nothing) the page is written: median and 95th
percentile of each figure.

A run needs some 0.8 of a core. `--at-once 2` holds two at a time, each in namespaces of its own:
half the time, and first pictures some 0.1 s later than on a machine that does nothing else.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import report
from benchmarks.linklab.goals import CASES, Case
from benchmarks.report_page import PLOTS, Run
from benchmarks.report_weaklink import FIGURES

ANSWERS = report.HERE / PLOTS / FIGURES
DRAWN = Path(__file__).parent.parent / ".linklab"
SYSTEMS = ("tongbu", "p2p", "livekit")
PLOTTED = ("C", "D", "E", "F", "E_outage10")
"""Cases whose first seed is drawn."""
_ABOUT = ("late_us_max", "page_late_ms", "busy_cores", "stolen_cpu", "rejected", "conditions")
"""What is kept of an answer beside the figures of its case."""
_USUAL = 75
"""Seconds that a run takes."""
_PATIENCE = 600
"""Seconds for one run with its repetitions."""


@dataclass(frozen=True)
class Trial:
    """One run that is wanted, or was made."""

    case: str
    system: str
    seed: int


def main() -> int:
    """Run what is missing, then write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.linklab.campaign")
    parser.add_argument("--date", required=True, help="the day to name on the page, YYYY-MM-DD")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--cases", nargs="+", choices=[case.name for case in CASES], metavar="CASE")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--again", nargs="+", choices=SYSTEMS, default=[])
    parser.add_argument("--at-once", type=int, default=1, metavar="RUNS", help="side by side")
    parser.add_argument("--collect", action="store_true", help="run only, write no page")
    parser.add_argument("--render", action="store_true", help="run nothing")
    options = parser.parse_args()
    answers = Answers(ANSWERS)
    answers.forget(options.again)
    if not options.render:
        _run_missing(answers, options)
    if options.collect:
        return 0
    summary = summarize(answers.known)
    report.keep(Run("weaklink", "make bench-weaklink", options.date, summary))
    return 0


class Answers:
    """What was answered so far, a line each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.known: dict[Trial, Mapping[str, Any]] = {}
        for line in path.read_text().splitlines() if path.exists() else ():
            row = json.loads(line)
            self.known[Trial(row["case"], row["system"], row["seed"])] = row["answer"]

    def add(self, trial: Trial, answer: Mapping[str, Any]) -> None:
        """Keep it."""
        self.known[trial] = answer
        with self._path.open("a") as file:
            file.write(_line(trial, answer))

    def forget(self, systems: Sequence[str]) -> None:
        """Those of these systems."""
        self.known = {t: answer for t, answer in self.known.items() if t.system not in systems}
        if systems:
            self._path.write_text("".join(_line(*item) for item in self.known.items()))


def _line(trial: Trial, answer: Mapping[str, Any]) -> str:
    return json.dumps({**asdict(trial), "answer": answer}) + "\n"


def wanted(seeds: int, systems: Sequence[str], cases: Sequence[str] | None) -> Iterator[Trial]:
    """Seed after seed: what is broken off has something of everything."""
    for seed in range(1, seeds + 1):
        for case in CASES:
            if (cases and case.name not in cases) or seed > case.most_seeds:
                continue
            for system in systems:
                if system == "tongbu" or not case.alone:
                    yield Trial(case.name, system, seed)


def _run_missing(answers: Answers, options: argparse.Namespace) -> None:
    DRAWN.mkdir(exist_ok=True)
    console = Console(stderr=True)
    trials = list(wanted(options.seeds, options.systems, options.cases))
    missing = [trial for trial in trials if trial not in answers.known]
    minutes = len(missing) * _USUAL / options.at_once / 60
    console.print(f"{len(missing)} runs are missing: some {minutes:.0f} minutes")
    lanes = ThreadPoolExecutor(options.at_once)
    try:
        runs = {lanes.submit(_run, trial): trial for trial in missing}
        for number, done in enumerate(as_completed(runs), 1):
            trial, answer = runs[done], done.result()
            name = f"{trial.case} {trial.system} seed {trial.seed}"
            if answer is None:
                name += " gave no answer; it is tried again next time"
            else:
                answers.add(trial, answer)
            console.print(f"[{number}/{len(missing)}] {name}", markup=False)
    finally:
        lanes.shutdown(cancel_futures=True)


def _run(trial: Trial) -> Mapping[str, Any] | None:
    case = next(case for case in CASES if case.name == trial.case)
    arguments = [*case.arguments.split(), "--system", trial.system, "--seed", str(trial.seed)]
    if trial.seed == 1 and trial.system == "tongbu":
        arguments += ["--plot", str(DRAWN / _plot(case))]
    command = [sys.executable, "-m", "benchmarks", "weaklink", *arguments, "--json"]
    try:
        said = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, timeout=_PATIENCE, check=True
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return None
    answer = json.loads(said.stdout.splitlines()[-1])
    keys = {*(metric.key for metric in case.goals), *_ABOUT}
    return {key: figure for key, figure in answer.items() if key in keys}


def _plot(case: Case) -> str:
    return f"weaklink-{case.name}.svg"


def summarize(known: Mapping[Trial, Mapping[str, Any]]) -> dict[str, Any]:
    """By case, system and figure: median and 95th percentile. What never happened is null."""
    cases = {}
    for case in CASES:
        if systems := {s: row for s in SYSTEMS if (row := _summary(case, s, known))}:
            cases[case.name] = systems
    late = [answer["late_us_max"] for answer in known.values()]
    stolen = [answer["stolen_cpu"] for answer in known.values()]
    busy = [answer["busy_cores"] for answer in known.values()]
    return {
        "cases": cases,
        "late_us_max": max(late, default=None),
        "rejected": sum(answer["rejected"] for answer in known.values()),
        "stolen_cpu": round(statistics.fmean(stolen), 3) if stolen else None,
        "busy_cores": round(statistics.fmean(busy), 2) if busy else None,
        "plots": _copy_plots(),
        "conditions": _conditions([answer["conditions"] for answer in known.values()]),
    }


def _conditions(machines: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Of every machine that had a part in it."""
    keys = machines[0] if machines else ()
    return {key: " or ".join(dict.fromkeys(str(m[key]) for m in machines)) for key in keys}


def _summary(
    case: Case, system: str, known: Mapping[Trial, Mapping[str, Any]]
) -> dict[str, Any] | None:
    answers = [a for trial, a in known.items() if (trial.case, trial.system) == (case.name, system)]
    if not answers:
        return None
    spreads = {metric.key: metric.spread(answers) for metric in case.goals}
    figures = {
        key: [None if math.isinf(part) else round(part, 3) for part in spread]
        for key, spread in spreads.items()
        if spread is not None
    }
    return {"runs": len(answers), **figures}


def _copy_plots() -> list[str]:
    """To where the page finds them."""
    found = []
    for case in CASES:
        drawn = DRAWN / _plot(case)
        if case.name in PLOTTED and drawn.exists():
            (report.HERE / PLOTS / drawn.name).write_text(drawn.read_text())
            found.append(drawn.name)
    return found


if __name__ == "__main__":
    sys.exit(main())
