"""The plan of the kills, and what is read from what they leave; no process is killed here."""

from pathlib import Path

import pytest

from benchmarks.recorder_crash import (
    PER_LESSON,
    Lesson,
    Plan,
    answer,
    camera_frames,
    examine,
    plans,
)
from recorder.pipeline.lesson import LessonRecorder
from sfu._media import JournalReader
from tests.recorder import tbj
from tests.recorder.journals import Frame, at_us, lesson

NAME = "20260921-141320-crash-00aa"


@pytest.mark.parametrize("kills", [1, 4, 5, 8, 50])
def test_a_plan_has_as_many_kills_as_were_asked_for(kills: int) -> None:
    lessons = plans(kills, seed=3)
    assert sum(plan.kills for plan in lessons) == kills
    assert all(plan.kills <= PER_LESSON for plan in lessons)
    assert [plan.node is None for plan in lessons] == [n % 2 == 1 for n in range(len(lessons))]
    assert lessons == plans(kills, seed=3) != plans(kills, seed=4)


def recorded(folder: Path, *, ended: bool = True, cut: int = 0, skipped: int = 0) -> None:
    """Four seconds of a teacher; the last `cut` records of it are not written."""
    journal = lesson("H264", 4, ended=ended)
    records = journal.records[: len(journal.records) - cut]
    writer = tbj.Writer(folder / "journal")
    if skipped:
        first = next(n for n, r in enumerate(records) if n > 200 and isinstance(r, Frame))
        writer.write(records[:first])
        writer.skip(1, skipped)
        records = records[first:]
    writer.write(records)
    writer.kill()
    recorder = LessonRecorder(folder, JournalReader)
    while not recorder.over:
        recorder.step(500)
    recorder.finish()
    recorder.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / NAME


def test_a_lesson_that_ended_well_lost_nothing(folder: Path) -> None:
    recorded(folder)
    found = Lesson(Plan((1.0, 1.0), None), folder)
    examine(found)
    assert (found.wrong, found.state) == ([], "complete")
    assert found.lost_journal_s == 0.0
    assert found.lost_playable_s < 0.04
    assert len(camera_frames(folder / "journal")) == 120


def test_what_a_killed_node_did_not_write_is_counted(folder: Path) -> None:
    recorded(folder, ended=False, cut=80)  # about a second: frames, sound and reports
    found = Lesson(Plan((1.0,), 1.0), folder, ended_us=at_us(4.3))
    examine(found)
    assert (found.wrong, found.state) == ([], "recovered")
    assert found.lost_journal_s == pytest.approx(1.0, abs=0.3)
    assert found.lost_playable_s == pytest.approx(found.lost_journal_s, abs=0.15)


def test_a_hole_in_the_journal_is_counted(folder: Path) -> None:
    recorded(folder, skipped=10)
    found = Lesson(Plan((1.0,), None), folder)
    examine(found)
    assert found.lost_journal_s > 0.0


def test_a_spoilt_archive_is_told(folder: Path) -> None:
    recorded(folder)
    segment = next(path for path in (folder / "media").rglob("*") if path.suffix == ".m4s")
    segment.write_bytes(segment.read_bytes()[:-1])
    found = Lesson(Plan((1.0,), None), folder)
    examine(found)
    assert any("the content has changed" in what for what in found.wrong)


def test_the_answer_keeps_worker_and_node_apart(tmp_path: Path) -> None:
    by_node = Lesson(Plan((1.0,) * 3, 1.0), tmp_path / "a", lost_journal_s=0.3, finished_s=2.0)
    by_bell = Lesson(Plan((1.0,) * 3, None), tmp_path / "b", lost_playable_s=0.1, finished_s=1.0)
    by_bell.wrong.append("no end")
    told = answer([by_node, by_bell])
    assert (told["kills"], told["node_kills"], told["worker_kills"]) == (8, 1, 7)
    assert told["lost_journal_s"] == {"worker_max": 0.0, "node_max": 0.3}
    assert told["lost_playable_s"] == {"worker_max": 0.1, "node_max": 0.0}
    assert (told["archives"], told["archives_verified"]) == (2, 1)
    assert told["wrong"] == ["b: no end"]
