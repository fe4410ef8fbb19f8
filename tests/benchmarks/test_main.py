"""What a person or a program gets to see of a benchmark: one JSON line, or tables."""

import argparse
import json
import logging
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import __main__ as benchmarks

ANSWER: dict[str, Any] = {
    "loss": 0.0,
    "bursty": {"p50_us": 340},
    "steps": [{"viewers": 100, "us": 3.25}, {"viewers": 300, "us": 3.5}],
}


def question(options: argparse.Namespace) -> dict[str, Any]:
    logging.getLogger("benchmarks.question").info("measuring")
    return {**ANSWER, "seconds": options.seconds}


@pytest.fixture(autouse=True)
def _one_question(monkeypatch: pytest.MonkeyPatch) -> None:
    module = SimpleNamespace(
        __doc__="What is it?\n\nMore of it.",
        arguments=lambda parser: parser.add_argument("--seconds", type=int, default=15),
        quick=lambda options: setattr(options, "seconds", 2),
        run=question,
    )
    monkeypatch.setitem(sys.modules, "benchmarks.question", module)  # type: ignore[arg-type]
    monkeypatch.setattr(benchmarks, "NAMES", ("question",))


def said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> str:
    monkeypatch.setattr(sys, "argv", ["benchmarks", *arguments])
    assert benchmarks.main() == 0
    return capsys.readouterr().out


def test_json_is_one_line_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = said(monkeypatch, capsys, "question", "--json").splitlines()
    assert [json.loads(line) for line in lines] == [
        {"benchmark": "question", **ANSWER, "seconds": 15}
    ]


def test_quick_is_less_of_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert json.loads(said(monkeypatch, capsys, "question", "--json", "--quick"))["seconds"] == 2


def test_tables_show_nested_figures_and_rows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = said(monkeypatch, capsys, "question")
    for figure in ("bursty.p50_us", "340", "steps", "viewers", "3.25", "300"):
        assert figure in shown
    assert "{" not in shown


def test_list_names_each_with_its_question(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(monkeypatch, capsys, "--list").split() == ["question", "What", "is", "it?"]
