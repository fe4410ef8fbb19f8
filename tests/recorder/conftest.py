"""What the recorder's tests share: a lesson's folder, and one recorded into it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recorder.lesson import LessonRecorder
from tests.recorder.journals import Journal

LESSON = "20260921-141320-math-00aa"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty lesson folder in a data folder."""
    folder = tmp_path / "lessons" / LESSON
    (folder / "journal").mkdir(parents=True)
    return folder


@pytest.fixture
def record(folder: Path) -> Callable[..., dict[str, Any]]:
    """Record a journal to its end; returns the manifest."""

    def run(journal: Journal, turn: int = 500) -> dict[str, Any]:
        recorder = LessonRecorder(folder, journal.opener())
        while not recorder.over:
            recorder.step(turn)
        recorder.finish()
        return json.loads((folder / "manifest.json").read_text())

    return run
