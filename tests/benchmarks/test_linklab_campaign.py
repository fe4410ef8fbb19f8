"""A campaign goes on where it was, and its page tells goal, figures and verdict."""

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks import report
from benchmarks.linklab import campaign
from benchmarks.linklab.campaign import Answers, Trial, summarize, wanted
from benchmarks.linklab.goals import AUDIO, CASES, FIRST, SHARE
from benchmarks.report_weaklink import section

GOOD: dict[str, Any] = {
    "audio_concealed": 0.001,
    "longest_audio_gap_ms": 40.0,
    "slide_legible_s": 1.2,
    "camera_frozen": 0.002,
    "first_frame_s": 1.9,
    "capacity_used": 0.9,
    "queue_p95_ms": 120.0,
    "retransmit_ratio": 1.1,
    "layer_switches_per_min": 0.0,
    "late_us_max": 2_000,
    "stolen_cpu": 0.01,
    "busy_cores": 0.8,
    "rejected": 0,
    "conditions": {"cpu": "A Processor", "cores": 2},
}


def test_each_seed_has_something_of_everything():
    trials = list(wanted(2, ("tongbu", "p2p"), None))
    first = [trial for trial in trials if trial.seed == 1]
    assert trials[: len(first)] == first
    assert {trial.case for trial in first} == {case.name for case in CASES}
    assert Trial("H", "p2p", 1) not in trials
    assert Trial("F_strong", "tongbu", 4) not in list(wanted(5, ("tongbu",), None))


def test_names_of_cases_are_unique_and_each_has_a_goal():
    assert len({case.name for case in CASES}) == len(CASES)
    assert all(any(bound is not None for bound in case.goals.values()) for case in CASES)


def test_spreads_count_towards_the_worse():
    answers = [{"audio_concealed": n / 1_000, "capacity_used": n / 100} for n in range(1, 11)]
    assert AUDIO.spread(answers) == pytest.approx((0.6, 1.0))
    assert SHARE.spread(answers) == pytest.approx((5, 1))
    assert FIRST.spread([{"first_frame_s": None}, {"first_frame_s": 2}]) == (math.inf, math.inf)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(campaign, "ANSWERS", tmp_path / "plots" / "weaklink.jsonl")
    monkeypatch.setattr(campaign, "DRAWN", tmp_path / "drawn")
    monkeypatch.setattr(report, "HERE", tmp_path)
    monkeypatch.setattr(report, "ANSWERS", tmp_path / "plots" / "answers.json")
    (tmp_path / "plots").mkdir()
    return tmp_path


def campaigned(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[Trial]:
    ran: list[Trial] = []

    def run(trial: Trial) -> Mapping[str, Any] | None:
        ran.append(trial)
        return None if trial == Trial("E", "p2p", 2) else GOOD

    monkeypatch.setattr(campaign, "_run", run)
    options = ("--date", "2026-01-01", "--systems", "tongbu", "p2p")
    monkeypatch.setattr(sys, "argv", ["campaign", *options, *arguments])
    assert campaign.main() == 0
    return ran


def test_it_goes_on_where_it_was(kept: Path, monkeypatch: pytest.MonkeyPatch):
    first = campaigned(monkeypatch, "--seeds", "1", "--cases", "D", "E")
    assert len(first) == 4
    second = campaigned(monkeypatch, "--seeds", "2", "--cases", "D", "E")
    assert {trial.seed for trial in second} == {2}
    assert campaigned(monkeypatch, "--seeds", "2", "--cases", "D", "E") == [Trial("E", "p2p", 2)]
    again = campaigned(monkeypatch, "--seeds", "1", "--cases", "E", "--again", "tongbu")
    assert again == [Trial("E", "tongbu", 1)]
    assert Answers(campaign.ANSWERS).known[Trial("E", "tongbu", 1)] == GOOD


def test_the_page_has_it_beside_what_was_there(kept: Path, monkeypatch: pytest.MonkeyPatch):
    fanout = report.Run("fanout", "python -m benchmarks fanout", "2026-01-01", {"loss": 0.0})
    report.keep(fanout)
    campaigned(monkeypatch, "--seeds", "2", "--cases", "E")
    page = (kept / "RESULTS.md").read_text()
    campaigned(monkeypatch, "--seeds", "2", "--cases", "D", "--collect")
    assert (kept / "RESULTS.md").read_text() == page
    assert "## Cost of a packet" in page
    assert "## Weak links" in page
    assert "`make bench-weaklink`, 2026-01-01" in page
    assert "| E: geostationary satellite | audio concealed | <= 0.3 % | 0.1 | 0.1 | met |" in page


def test_what_was_missed_or_never_happened_says_so():
    bad = {**GOOD, "audio_concealed": 0.01, "first_frame_s": None}
    summary = summarize({Trial("E", "tongbu", 1): GOOD, Trial("E", "tongbu", 2): bad})
    lines = "\n".join(section(summary, "plots")).splitlines()
    audio = next(line for line in lines if "audio concealed" in line)
    first = next(line for line in lines if "first frame" in line)
    assert audio.startswith("| E: geostationary satellite | audio concealed | <= 0.3 % | 1 | 1 |")
    assert "**missed**" in audio
    assert "| never | **missed** |" in first
    assert "2 of 9 goals are missed." in lines
    runs = "Runs of each case: tongbu 2, p2p 0, livekit 0, on 2 cores of A Processor "
    assert any(line.startswith(runs) for line in lines)


def test_a_campaign_on_two_machines_names_both():
    elsewhere = {**GOOD, "conditions": {"cpu": "Another", "cores": 2}}
    summary = summarize({Trial("E", "tongbu", 1): GOOD, Trial("E", "tongbu", 2): elsewhere})
    assert summary["conditions"] == {"cpu": "A Processor or Another", "cores": "2"}
