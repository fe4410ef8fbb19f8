"""What people say of a lesson: bounded, cleaned, kept on disk, and never lost by half."""

import json
from pathlib import Path
from typing import Any

import pytest

from recorder import details, talk
from recorder.errors import DetailsError


@pytest.fixture
def lesson(tmp_path: Path) -> Path:
    folder = tmp_path / "20260921-141320-math-00aa"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("title", "  Fractions ", "Fractions"),
        ("title", "two\nlines\tand\0more", "two lines and more"),
        ("title", "e\u0301cole", "école"),
        ("title", "\ud800half", "half"),
        ("notes", "two\nlines", "two\nlines"),
        ("language", "zh-CN", "zh-CN"),
        ("language", "", ""),
        ("tags", ["a", " a ", "", "b"], ("a", "b")),
        ("hold", True, True),
        ("keep_until", 2_000_000_000, 2e9),
        ("keep_until", None, None),
    ],
)
def test_what_is_kept(name: str, value: Any, kept: Any):
    assert details.checked({name: value}) == {name: kept}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"title": 7}, "title must be a text."),
        ({"title": "x" * 201}, "title may have 200 characters, not 201."),
        ({"notes": "x" * 10_001}, "notes may have 10000 characters"),
        ({"language": "中文"}, "language must be a tag"),
        ({"tags": "a"}, "tags must be a list of texts."),
        ({"tags": [1]}, "tags must be a list of texts."),
        ({"tags": [str(n) for n in range(21)]}, "tags may be 20"),
        ({"hold": 1}, "hold must be true or false."),
        ({"keep_until": True}, "keep_until must be a time"),
        ({"keep_until": float("nan")}, "keep_until must be a time"),
        ({"keep_until": -1}, "keep_until must be a time"),
        ({"keep_until": 10**400}, "keep_until must be a time"),
        ({"state": "complete"}, "'state' cannot be changed"),
        ({"id": "x"}, "'id' cannot be changed"),
    ],
)
def test_what_is_refused_in_one_sentence(changes: dict[str, Any], sentence: str):
    with pytest.raises(DetailsError) as caught:
        details.checked(changes)
    assert sentence in str(caught.value)


def test_a_lesson_says_what_makes_sense_and_no_more():
    event = {
        "type": "lesson_started",
        "title": "x" * 300,
        "school": 7,
        "subject": "Mathematics",
        "language": "not a tag",
        "tags": ["a"] * 30 + ["b" * 99],
        "notes": None,
        "hold": True,
        "keep_until": 5,
        "lesson": "math",
    }
    assert details.given(event) == {"title": "x" * 200, "subject": "Mathematics", "tags": ("a",)}
    assert details.given({"tags": [7]}) == {}


def test_edits_add_up_and_can_be_taken_back(lesson: Path):
    assert details.edited(lesson) == {}
    details.edit(lesson, {"title": "one", "school": "Hilltop"})
    details.edit(lesson, {"title": "two", "tags": ["a"]})
    assert details.edited(lesson) == {"title": "two", "school": "Hilltop", "tags": ("a",)}
    details.edit(lesson, {"title": None, "subject": None})
    assert details.edited(lesson) == {"school": "Hilltop", "tags": ("a",)}
    assert [path.name for path in lesson.iterdir()] == [details.FILE]


def test_a_lesson_that_is_not_there_cannot_be_edited(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        details.edit(tmp_path / "gone", {"title": "x"})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b'{"edited": 7}',
        b'{"edited": {"title": 7}}',
        b'{"edited": {"color": "red"}}',
        b"\xff" * 100,
        b"[" * 100_000,
        json.dumps({"edited": {"notes": "x" * (2 << 20)}}).encode(),
    ],
)
def test_a_file_that_cannot_be_read_may_have_said_hold(lesson: Path, content: bytes):
    (lesson / details.FILE).write_bytes(content)
    assert details.edited(lesson) == {"hold": True}
    assert details.edit(lesson, {"title": "again"}) == {"hold": True, "title": "again"}


def test_neither_does_what_is_no_file_stop_anything(lesson: Path):
    (lesson / details.FILE).mkdir()
    assert details.edited(lesson) == {"hold": True}
    (lesson / talk.FILE).mkdir()
    assert talk.read(lesson) == []
