"""From answers to RESULTS.md and its plots. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import report_rfc8867
from benchmarks.report_goals import GOALS, Answers, Goal, lookup
from benchmarks.report_plot import Chart, Series, svg
from benchmarks.report_weaklink import section as weaklink_section

PLOTS = "plots"
"""Folder of the plots, beside the page."""

_HOW = """\
All on one machine: the node on core 0, the load generator on core 1, the loopback device between
them (which charges the receiving end's softirq to the sender), UDP_GRO off in the generator, which
reads its sockets each half millisecond instead of being woken by every packet. CPU time is user and
system time of the whole server process. The node is as it is shipped, but for the
recorder, which is off. Schools take SRTP with AEAD_AES_128_GCM; they send receiver reports each
second and transport-wide feedback every 100 ms where it was negotiated, and ask for one video
packet in 1,000 again. One school in 32 opens what it gets, the others count it. A teacher sends
H264 at 30 frames a second and Opus: a frame at once, or, where paced is said, spread over 10 ms, a
larger one over as much more.
`generator_cpu` near 1 would mean that the generator was the limit; `others_cpu` and `stolen_cpu`
are what other processes and the hypervisor took of the two cores: with more than a little, distrust
the row."""


@dataclass(frozen=True)
class Run:
    """One benchmark as it was run for the page."""

    name: str
    command: str
    date: str
    answer: Mapping[str, Any]
    """With `error` alone if there was none."""


@dataclass(frozen=True)
class Page:
    """What is to be written: the text, and the plots by their file names."""

    text: str
    plots: Mapping[str, str]


def page(runs: Sequence[Run]) -> Page:
    """Everything, goals first."""
    answers = {run.name: run.answer for run in runs}
    commands = {run.name: run.command for run in runs}
    charts = {name: chart for name, chart in _charts(answers) if chart.has_points}
    plots = {name: svg(chart) for name, chart in charts.items()}
    parts = [
        "# Results",
        f"Made by `make bench`. {_machine(answers)}",
        _HOW,
        "## Goals",
        goals_table(answers, commands),
    ]
    for run in runs:
        parts += _section(run, plots)
    return Page("\n\n".join(parts) + "\n", plots)


def goals_table(answers: Answers, commands: Mapping[str, str]) -> str:
    """Each goal beside its figure; a missed one says so."""
    ran = [goal for goal in GOALS if goal.run in commands]
    rows = (
        (
            goal.what,
            f"{goal.relation} {_figure(goal.bound)} {goal.unit}".strip(),
            _measured(goal, answers),
            "met" if goal.is_met(answers) else "**missed**",
            f"`{commands[goal.run]}`",
        )
        for goal in ran
    )
    return _table(("what", "goal", "figure", "", "command"), rows)


def _measured(goal: Goal, answers: Answers) -> str:
    figure = goal.figure(answers)
    return "not measured" if figure is None else f"{_figure(figure)} {goal.unit}".strip()


def _machine(answers: Answers) -> str:
    for answer in answers.values():
        conditions = answer.get("conditions")
        if isinstance(conditions, Mapping):
            cores, cpu, kernel = (conditions.get(key) for key in ("cores", "cpu", "kernel"))
            return f"{cores} cores of {cpu}, Linux {kernel}."
    return ""


_TITLES = {
    "fanout": "Cost of a packet",
    "fanout_audio": "Cost of a packet of sound",
    "capacity": "Schools on a core",
    "latency": "Latency",
    "joins": "Joins",
    "memory": "Memory",
    "signaling": "Signalling",
    "flood": "Under a flood",
    "peers": "Beside other servers",
    "rfc8867": "Congestion control",
    "recording": "Recording",
    "recorder_crash": "Recorders and nodes that are killed",
    "broadcast": "Live broadcast",
    "replay": "Replay",
    "catalogue": "The catalogue",
    "weaklink": "Weak links",
}
_PLOT_OF = {"capacity": "cost.svg", "latency": "latency.svg"}


def _section(run: Run, plots: Mapping[str, str]) -> Iterator[str]:
    yield f"## {_TITLES.get(run.name, run.name)}"
    yield f"`{run.command}`, {run.date}"
    if "error" in run.answer:
        yield f"It gave no answer: {run.answer['error']}"
        return
    if (plot := _PLOT_OF.get(run.name)) in plots:
        yield f"![{_TITLES[run.name]}]({PLOTS}/{plot})"
    tables = {
        "capacity": _capacity,
        "latency": _latency,
        "peers": _peers,
        "rfc8867": report_rfc8867.section,
        "signaling": _signaling,
        "weaklink": _weaklink,
    }
    yield from tables.get(run.name, _plain)(run.answer)


def _plain(answer: Mapping[str, Any]) -> Iterator[str]:
    """Every figure there is."""
    yield _table(("figure", "value"), _flat(answer))
    if note := answer.get("note"):
        yield str(note)


def _capacity(answer: Mapping[str, Any]) -> Iterator[str]:
    columns = ("viewers", "cpu_us_per_packet", "loss", "server_cpu", "generator_cpu", "others_cpu")
    for shards, part in _ramps(answer):
        yield (
            f"{shards}: **{_figure(part['viewers'])} schools** at "
            f"{_figure(answer['video_bps'] / 1e3)} kbit/s; it ended by: {part['ended_by']}. "
            f"{part.get('note', '')}".strip()
        )
        at = part["at"].items()
        rows = ((name, row["viewers"], row["cpu_us_per_packet"]) for name, row in at)
        yield _table(("of these schools", "measured at", "us a packet"), rows)
        yield _table(columns, ([row.get(key, "") for key in columns] for row in part["steps"]))


def _ramps(answer: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield f"{answer['shards']} shard" + "s" * (answer["shards"] != 1), answer
    for key, part in answer.items():
        if key.startswith("shards_"):
            yield f"{part['shards']} shards", part


def _latency(answer: Mapping[str, Any]) -> Iterator[str]:
    columns = ("p50_us", "p99_us", "p999_us", "loss", "server_cpu", "generator_cpu", "others_cpu")
    rows: list[tuple[str, int, Mapping[str, Any]]] = []
    for row in answer.get("sweep", [answer]):
        schools = row["lessons"] * answer["viewers_per_lesson"]
        rows += [(f"{row['lessons']} lessons, paced", schools, row)]
        rows += [(f"{row['lessons']} lessons, bursty", schools, row["bursty"])]
    one = answer["one_lesson"]
    rows += [("one lesson of all, paced", one["viewers"], one)]
    cells = ([name, schools, *(row.get(key, "") for key in columns)] for name, schools, row in rows)
    yield _table(("load", "schools", *columns), cells)
    inside = [(name, row["inside_node"]) for name, _, row in rows if "inside_node" in row]
    if inside:
        yield "By the node's own histogram, from its reading a packet to its sending it:"
        yield _table(("load", *inside[0][1]), ([name, *row.values()] for name, row in inside))


def _peers(answer: Mapping[str, Any]) -> Iterator[str]:
    ahead, versions = answer["ahead"], answer["versions"]
    columns = ("viewers", "us_per_packet", "loss", "server_cpu", "generator_cpu", "others_cpu")
    rows = (
        (
            *(row["name"], versions.get(row["name"], "")),
            *(row.get(key, "") for key in columns),
            ", ".join(map(str, row.get("saturated_at", []))),
            ahead.get(row["name"], ""),
        )
        for row in answer["rows"]
    )
    yield (
        f"Medians of {answer['rounds']} rounds, in each of which every server had its turn. Who "
        "was full with all schools is compared with us at the number that it could carry."
    )
    yield _table(("server", "version", *columns, "full at", "we are ahead by"), rows)
    yield from (f"{name} is not among them: {why}" for name, why in answer["unavailable"].items())
    yield "Their settings, where these are not the defaults:"
    yield _table(
        ("server", "settings"),
        (
            (name, ", ".join(f"{key}: {value}" for key, value in settings.items()))
            for name, settings in answer["settings"].items()
        ),
    )


def _signaling(answer: Mapping[str, Any]) -> Iterator[str]:
    yield (
        "Participants by LiveKit's protocol, without media, in one lesson. Bytes are what one was "
        "told from its own join to when all were there: the mean of the schools, and the first's, "
        "who saw all others come. In a crowd schools are not told of those that only listen."
    )
    columns = {
        "joins_per_second": "joins a second",
        "ms_per_join": "CPU ms a join",
        "idle_us_per_second": "CPU us a second, idle",
        "rss_kb": "memory, kB",
        "bytes_mean": "bytes, mean",
        "bytes_first": "bytes, first",
        "bytes_total_per_n2": "all bytes / N^2",
        "messages_mean": "messages, mean",
    }
    rows = (
        [int(size), *(row.get(key, "") for key in columns)]
        for size, row in answer["by_participants"].items()
    )
    yield _table(("participants", *columns.values()), rows)


def _weaklink(answer: Mapping[str, Any]) -> Iterator[str]:
    yield from weaklink_section(answer, PLOTS)


def _charts(answers: Answers) -> Iterator[tuple[str, Chart]]:
    yield from report_rfc8867.charts(answers.get("rfc8867", {}))
    if "steps" in (capacity := answers.get("capacity", {})):
        costs = [
            Series(name, [(row["viewers"], row["cpu_us_per_packet"]) for row in part["steps"]])
            for name, part in _ramps(capacity)
        ]
        yield (
            "cost.svg",
            Chart("CPU time of a forwarded packet", "schools in the lesson", "us", costs),
        )
    if "sweep" in (latency := answers.get("latency", {})):
        yield "latency.svg", _latency_chart(latency["sweep"])


def _latency_chart(sweep: Sequence[Mapping[str, Any]]) -> Chart:
    def line(name: str, prefix: str, key: str) -> Series:
        rows = [(lookup(row, prefix + "server_cpu"), lookup(row, prefix + key)) for row in sweep]
        return Series(name, sorted((round(load * 100, 1), us) for load, us in rows if us))

    lines = [
        line("paced, p50", "", "p50_us"),
        line("paced, p99", "", "p99_us"),
        line("bursty, p50", "bursty.", "p50_us"),
        line("bursty, p99", "bursty.", "p99_us"),
    ]
    goals = {"goal for p50 at 50 %": 150.0, "goal for p99 at 50 %": 1_000.0}
    return Chart(
        "From the teacher's send to a school's socket",
        "load of the node's core, %",
        "us, logarithmic",
        lines,
        goals,
        log_y=True,
    )


def _flat(answer: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in answer.items():
        if name in ("conditions", "benchmark", "note"):
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif not isinstance(value, list):
            yield f"`{prefix}{name}`", value


def _table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *([_figure(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _figure(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "not measured" if value is None else str(value)
    if isinstance(value, int) or value == int(value):
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"
