"""Run all benchmarks and write RESULTS.md with its plots: `python -m benchmarks.report --date D`.

With `--quick` each is but looked at, and nothing is written: the goals are printed. `--only` runs a
few anew and keeps the last answers of the others; `--render` keeps all of them.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from benchmarks.report_goals import GOALS
from benchmarks.report_page import PLOTS, Run, goals_table, page

HERE = Path(__file__).parent
ANSWERS = HERE / PLOTS / "answers.json"
RUNS = {
    "fanout": "fanout --viewers 300 --seconds 15",
    "fanout_audio": "fanout --audio-only",
    "capacity": "capacity",
    "latency": "latency --sweep --seconds 8",
    "joins": "joins",
    "memory": "memory",
    "signaling": "signaling",
    "flood": "flood",
    "peers": "peers",
    "rfc8867": "rfc8867",
    "recording": "recording --seconds 240 --live-seconds 30 --encode-seconds 2",
    "recorder_crash": "recorder-crash --kills 50",
    "broadcast": "broadcast",
    "replay": "replay",
    "catalogue": "catalogue",
}
ELSEWHERE = ("weaklink",)
"""Answers that others make, and keep here (`keep`): `make bench` would take a day."""
_TIMEOUT = 1_200
"""Seconds that one benchmark may take."""


def main() -> int:
    """Run what is asked for, and tell it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("--date", help="the day to name on the page, YYYY-MM-DD")
    parser.add_argument("--quick", action="store_true", help="print the goals, write nothing")
    parser.add_argument("--render", action="store_true", help="run nothing")
    parser.add_argument("--only", nargs="+", choices=RUNS, default=list(RUNS), metavar="NAME")
    options = parser.parse_args()
    if not (options.quick or options.render or options.date):
        parser.error("--date is needed: the page names it")
    names = [] if options.render else options.only
    runs = list(_run_all(names, options.date or "", quick=options.quick))
    if not options.quick:
        runs = _with_known(runs)
        _write(runs)
    commands = {run.name: run.command for run in runs}
    answers = {run.name: run.answer for run in runs}
    print(goals_table(answers, commands))
    missed = [goal for goal in GOALS if goal.run in commands and not goal.is_met(answers)]
    print(f"\n{len(missed)} goals missed.")
    return 1 if any("error" in answer for answer in answers.values()) else 0


def _run_all(names: list[str], date: str, *, quick: bool) -> Iterator[Run]:
    console = Console(stderr=True)
    for number, name in enumerate(names, 1):
        console.print(f"[{number}/{len(names)}] {name}", markup=False)
        yield _run(name, RUNS[name] + (" --quick" if quick else ""), date)


def _run(name: str, arguments: str, date: str) -> Run:
    command = f"python -m benchmarks {arguments} --json"
    said = subprocess.run(
        [sys.executable, *command.split()[1:]],
        stdout=subprocess.PIPE,
        text=True,
        timeout=_TIMEOUT,
        check=False,
    )
    if said.returncode != 0:
        return Run(name, command, date, {"error": f"it ended with exit code {said.returncode}."})
    return Run(name, command, date, json.loads(said.stdout.splitlines()[-1]))


def keep(run: Run) -> None:
    """Put an answer that was made elsewhere on the page, and leave the others as they are."""
    _write(_with_known([run]))


def _with_known(runs: list[Run]) -> list[Run]:
    """These, and the last answers of the others, in their order."""
    known = json.loads(ANSWERS.read_text()) if ANSWERS.exists() else []
    by_name = {run["name"]: Run(**run) for run in known} | {run.name: run for run in runs}
    return [by_name[name] for name in (*RUNS, *ELSEWHERE) if name in by_name]


def _write(runs: list[Run]) -> None:
    """The page, its plots, and the answers behind them."""
    made = page(runs)
    ANSWERS.parent.mkdir(exist_ok=True)
    ANSWERS.write_text(json.dumps([asdict(run) for run in runs], indent=1) + "\n")
    for name, drawing in made.plots.items():
        (HERE / PLOTS / name).write_text(drawing)
    (HERE / "RESULTS.md").write_text(made.text)


if __name__ == "__main__":
    sys.exit(main())
