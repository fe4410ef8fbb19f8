"""What the recorder's tests share: a lesson's folder, and one recorded into it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from recorder.pipeline.lesson import LessonRecorder
from tests.recorder import judging
from tests.recorder.journals import Journal

LESSON = "20260921-141320-math-00aa"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Whatever archive a test leaves behind is judged."""
    yield
    judging.after(item)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How much was judged, and what it cost."""
    terminalreporter.write_line(judging.told())


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


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The URL of an S3 server with an empty bucket."""
    from tests.recorder.s3 import moto  # seconds to import: only for those who use it

    with moto() as url:
        yield url


@pytest.fixture
def way(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A way to it (`s3.Way`), with credentials in the environment."""
    from tests.recorder.s3 import CREDENTIALS, Way

    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with Way(s3_server) as way:
        yield way
