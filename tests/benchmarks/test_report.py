"""The page made of answers: every goal stands there, and a missed one says so."""

import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from benchmarks.report import RUNS
from benchmarks.report_goals import GOALS, Goal
from benchmarks.report_page import Run, goals_table, page

CONDITIONS = {"cpu": "A Processor", "cores": 2, "kernel": "6.1"}
STEP = {"viewers": 100, "cpu_us_per_packet": 3.25, "loss": 0, "server_cpu": 0.1}
AT = {"100%": {"viewers": 100, "cpu_us_per_packet": 3.25}}
CARRIED = {"viewers": 2_400, "ended_by": "loss", "cost_growth": 1.3, "at": AT, "steps": [STEP]}
LATENCY = {"p50_us": 140, "p99_us": 1_200, "p999_us": 2_000, "loss": 0, "server_cpu": 0.5}
LOADED = {"lessons": 16, **LATENCY, "bursty": LATENCY, "inside_node": {"p50_us": 90.0}}

ANSWERS: dict[str, dict[str, Any]] = {
    "fanout": {
        "ratio_to_limit": 1.24,
        "loss": 0.0,
        "allocations_per_packet": None,
        "conditions": CONDITIONS,
    },
    "fanout_audio": {"ratio_to_limit": 1.9, "loss": 0.0, "note": "GSO cannot help here."},
    "capacity": {
        **CARRIED,
        "video_bps": 300_000,
        "shards": 1,
        "shards_2": {**CARRIED, "shards": 2, "note": "The generator shares the cores."},
    },
    "latency": {
        **LOADED,
        "viewers_per_lesson": 25,
        "sweep": [LOADED, {**LOADED, "server_cpu": 0.9}],
        "one_lesson": {"viewers": 400, **LATENCY},
    },
    "joins": {"joins_per_second_per_core": 410, "loss_meanwhile": 0},
    "memory": {"error": "it ended with exit code 1."},
    "signaling": {
        "by_participants": {
            "10": {"joins_per_second": 321.5, "bytes_mean": 3_000, "bytes_total_per_n2": 300.0},
            "500": {"joins_per_second": 300.25, "bytes_mean": 9_000, "bytes_total_per_n2": 18.0},
        }
    },
    "flood": {"loss": 0.001, "quiet": {"p50_us": 240}},
    "peers": {
        "us_per_packet": {"tongbu": 2.5, "mediasoup": 15.0},
        "ahead": {"mediasoup": 6.0},
        "rounds": 6,
        "rows": [
            {"name": "tongbu", "viewers": 150, "us_per_packet": 2.5, "loss": 0},
            {"name": "mediasoup", "viewers": 100, "us_per_packet": 15.0, "saturated_at": [150]},
        ],
        "versions": {"mediasoup": "3.27"},
        "settings": {"tongbu": {"rtc.shards": 1}, "mediasoup": {}},
        "unavailable": {"livekit": "it is not installed"},
    },
    "recording": {"cpu_s_per_hour": 8.1, "cpu_s_per_hour_behind": 3.9},
    "recorder_crash": {
        "lost_journal_s": {"worker_max": 0.0, "node_max": 0.1},
        "lost_playable_s": {"worker_max": 0.1, "node_max": 0.3},
    },
    "broadcast": {"latency_p50_ms": 1_400, "latency_p95_ms": 2_600, "viewers_per_core": 1_800},
    "replay": {"playable_s": 0.1, "start_ms_p50": 700, "seek_ms_p95": 260},
    "catalogue": {"sqlite": {"search_p95_ms": 29.0}, "postgresql": None},
}


def runs() -> list[Run]:
    commands = {name: f"python -m benchmarks {what} --json" for name, what in RUNS.items()}
    return [Run(name, commands[name], "2026-01-02", answer) for name, answer in ANSWERS.items()]


def goal_line(text: str, goal: Goal) -> str:
    # Two goals may be named alike; their runs' commands tell them apart.
    command = next(run.command for run in runs() if run.name == goal.run)
    lines = [line for line in text.splitlines() if line.startswith(f"| {goal.what} |")]
    return next(line for line in lines if f"`{command}`" in line)


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: f"{goal.run} {goal.key}")
def test_every_goal_stands_beside_its_figure_and_command(goal: Goal) -> None:
    line = goal_line(page(runs()).text, goal)
    missed = {
        "fanout allocations_per_packet",
        "fanout_audio ratio_to_limit",
        "capacity cost_growth",
        "latency p99_us",
        "memory rss_kb_per_viewer",
        "flood loss",
        "peers ahead.janus",
        "peers ahead.livekit",
        "peers ahead.mediamtx",
        "recording cpu_s_per_hour",
        "recorder_crash lost_playable_s.node_max",
        "broadcast latency_p95_ms",
        "broadcast viewers_per_core",
        "replay seek_ms_p95",
        "catalogue postgresql.search_p95_ms",
    }
    assert ("**missed**" in line) == (f"{goal.run} {goal.key}" in missed)


def test_what_was_not_measured_is_missed_and_says_so() -> None:
    memory = next(goal for goal in GOALS if goal.run == "memory")
    assert "not measured" in goal_line(page(runs()).text, memory)
    assert "It gave no answer: it ended with exit code 1." in page(runs()).text


def test_goals_of_what_did_not_run_are_left_out() -> None:
    table = goals_table({"flood": ANSWERS["flood"]}, {"flood": "python -m benchmarks flood"})
    assert len(table.splitlines()) == 3


def test_the_page_tells_machine_day_peers_and_reasons() -> None:
    text = page(runs()).text
    for told in (
        "2 cores of A Processor, Linux 6.1.",
        "`python -m benchmarks flood --json`, 2026-01-02",
        "| mediasoup | 3.27 | 100 | 15 |",
        "| 150 | 6 |",
        "livekit is not among them: it is not installed",
        "| tongbu | rtc.shards: 1 |",
        "2 shards: **2,400 schools** at 300 kbit/s; it ended by: loss.",
        "GSO cannot help here.",
    ):
        assert told in text


def test_tables_have_as_many_cells_in_each_row_as_in_their_head() -> None:
    for table in re.findall(r"(?:^\|.*\n?)+", page(runs()).text, re.MULTILINE):
        widths = {row.count("|") for row in table.splitlines()}
        assert len(widths) == 1, table


def test_plots_are_small_documents_that_the_page_shows() -> None:
    made = page(runs())
    assert set(made.plots) == {"cost.svg", "latency.svg"}
    for name, drawing in made.plots.items():
        assert ET.fromstring(drawing).tag.endswith("svg")
        assert len(drawing) < 40_000
        assert f"](plots/{name})" in made.text


def test_the_signalling_stands_by_number_of_participants() -> None:
    text = page(runs()).text
    assert "## Signalling" in text
    assert "| 500 | 300.2 |" in text
