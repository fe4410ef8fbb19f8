"""Which lessons go when, and that nothing else does."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recorder.archive import retention, upload
from recorder.archive.layout import Entry, LessonFolder, Manifest, entry_from_id
from recorder.archive.policy import Policy, Rule
from recorder.archive.retention import Decision, Executor, Kept, decide, survey
from recorder.archive.storage import Storage
from recorder.catalogue import Catalogue
from recorder.errors import ArchiveError, StorageError
from tests.recorder.s3 import BUCKET

DAY = 86_400.0
END = 1_790_000_000.0 + 3_600
LESSON = "20260921-141320-math-00aa"
POLICY = Policy(
    retention=(
        Rule(None, subject="exam"),
        Rule(30, state="degraded"),
        Rule(10, school="hill", subject="art"),
        Rule(365, school="hill"),
    )
)


def kept(said: dict[str, Any] | None = None, state: str = "complete", **more: Any) -> Kept:
    entry = replace(entry_from_id(LESSON), state=state, duration_s=3_600.0, **(said or {}))
    return Kept(entry, **more)


@pytest.mark.parametrize(
    ("said", "state", "days", "action"),
    [
        ({}, "complete", 10_000, "keep"),
        ({}, "degraded", 29.9, "keep"),
        ({}, "degraded", 30, "delete"),
        ({"school": "hill"}, "complete", 364.9, "keep"),
        ({"school": "hill"}, "complete", 365, "delete"),
        ({"school": "hill", "subject": "art"}, "complete", 10, "delete"),
        ({"school": "hill", "subject": "exam"}, "degraded", 10_000, "keep"),
        ({"school": "hill", "hold": True}, "complete", 10_000, "keep"),
        ({"school": "hill", "keep_until": END + 400 * DAY}, "complete", 399, "keep"),
        ({"school": "hill", "keep_until": END + 400 * DAY}, "complete", 400, "delete"),
        ({"school": "hill", "keep_until": END + 10 * DAY}, "complete", 20, "keep"),
        ({"keep_until": END + 1}, "complete", 20, "keep"),
    ],
)
def test_the_first_rule_that_fits_counts(
    said: dict[str, Any], state: str, days: float, action: str
):
    assert decide(kept(said, state), POLICY, END + days * DAY).action == action


def test_a_local_copy_goes_only_when_it_is_stored():
    policy = Policy(storage="s3://b", keep_local_days=7)
    stored = END + DAY
    assert decide(kept(), policy, END + 99 * DAY).action == "keep"
    assert decide(kept(stored_at=stored), policy, stored + 6.9 * DAY).action == "keep"
    assert decide(kept(stored_at=stored), policy, stored + 7 * DAY).action == "free"
    assert decide(kept(stored_at=stored, here=False), policy, stored + 9 * DAY).action == "keep"
    two = replace(policy, copies=2)
    assert decide(kept(stored_at=stored), two, stored + 99 * DAY).action == "keep"
    held = kept({"hold": True}, stored_at=stored)
    assert decide(held, policy, stored + 99 * DAY).action == "keep"


@pytest.fixture
def lesson(folder: Path) -> Path:
    archive = LessonFolder(folder)
    archive.publish("camera/000001.m4s", b"segment")
    entry: Entry = replace(entry_from_id(folder.name), state="complete")
    archive.write_manifest(Manifest(entry))
    Catalogue(folder.parent.parent).save(entry)
    return folder


def test_deleting_leaves_a_note_and_nothing_else(lesson: Path, tmp_path: Path):
    policy = Policy(retention=(Rule(1),))
    decisions = list(survey(tmp_path, policy, END + 99 * DAY))
    assert decisions == [Decision(LESSON, "delete", "older than 1 days")]
    assert lesson.exists(), "a survey is a dry run"
    assert Executor(tmp_path, None, Catalogue(tmp_path)).carry_out(decisions, 5.0) == 1
    assert not lesson.exists()
    assert Catalogue(tmp_path).find(LESSON) is None
    (line,) = (tmp_path / "audit.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "at": 5.0,
        "lesson": LESSON,
        "what": "deleted",
        "why": "older than 1 days",
        "stored_files": 0,
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"edited": {"hold": "yes"}}',
        '{"edited": {"keep_until": "soon"}}',
        "\xff\xfe",
        "{",
    ],
)
def test_a_lesson_whose_details_cannot_be_read_is_kept(lesson: Path, tmp_path: Path, text: str):
    (lesson / "details.json").write_text(text, encoding="latin-1")
    (decision,) = survey(tmp_path, Policy(retention=(Rule(1),)), END + 99 * DAY)
    assert (decision.action, decision.why) == ("keep", "it is held")


def test_a_lesson_that_is_not_finished_or_not_readable_is_no_matter_of_ours(lesson: Path, tmp_path):
    (lesson / "manifest.json").write_text("{")
    assert list(survey(tmp_path, Policy(retention=(Rule(1),)), END + 99 * DAY)) == []
    (lesson / "manifest.json").unlink()
    assert list(survey(tmp_path, Policy(retention=(Rule(1),)), END + 99 * DAY)) == []


def test_a_stored_lesson_is_deleted_there_too(lesson: Path, tmp_path: Path, way):
    storage = Storage(f"s3://{BUCKET}/{tmp_path.name}", way.url, retries=0)
    upload.store(lesson, storage, 1.0)
    way.plan = lambda method, path, number: "lost"
    executor = Executor(tmp_path, storage, Catalogue(tmp_path))
    with pytest.raises(StorageError):
        executor.delete(LESSON, "a test", 5.0)
    assert lesson.exists()
    way.plan = lambda method, path, number: "pass"
    executor.delete(LESSON, "a test", 5.0)
    assert storage.listing(LESSON) == {}
    assert not lesson.exists()


def test_a_deletion_that_broke_off_is_finished(lesson: Path, tmp_path: Path):
    lesson.rename(lesson.with_name(f".deleting-{LESSON}"))
    Executor(tmp_path, None, Catalogue(tmp_path))
    assert list((tmp_path / "lessons").iterdir()) == []


def test_only_lessons_are_deleted(tmp_path: Path):
    with pytest.raises(ArchiveError, match="not a lesson id"):
        Executor(tmp_path, None, Catalogue(tmp_path)).delete("../elsewhere", "", 0.0)


def test_freeing_is_noted(lesson: Path, tmp_path: Path, way):
    storage = Storage(f"s3://{BUCKET}/{tmp_path.name}", way.url, retries=0)
    upload.store(lesson, storage, END)
    policy = Policy(storage=storage.url, keep_local_days=1)
    (decision,) = survey(tmp_path, policy, END + 2 * DAY)
    retention.Executor(tmp_path, storage, Catalogue(tmp_path)).carry_out([decision], 6.0)
    assert not (lesson / "media" / "camera" / "000001.m4s").exists()
    assert json.loads((tmp_path / "audit.jsonl").read_text())["what"] == "freed"
    assert [d.action for d in survey(tmp_path, policy, END + 2 * DAY)] == ["keep"]


def test_a_hold_counts_even_after_the_decision(lesson: Path, tmp_path: Path):
    catalogue = Catalogue(tmp_path)
    decisions = list(survey(tmp_path, Policy(retention=(Rule(1),)), END + 99 * DAY))
    assert [decision.action for decision in decisions] == ["delete"]
    catalogue.edit(LESSON, {"hold": True})
    assert Executor(tmp_path, None, catalogue).carry_out(decisions, 5.0) == 0
    assert lesson.exists()
