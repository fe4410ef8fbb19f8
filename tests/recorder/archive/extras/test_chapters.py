"""Chapters and WebVTT, as text."""

import json

import pytest

from recorder.archive.extras.chapters import MOST, Happening, as_json, chapters, webvtt
from recorder.archive.extras.webvtt import Cue, render


def floor(at: float, who: str, **more: str) -> Happening:
    return Happening(at, {"type": "floor_granted", "identity": who, "role": "school", **more})


def test_slides_and_the_floor_become_chapters_without_holes():
    joined = Happening(1.0, {"type": "member_joined", "identity": "hill", "name": "山坡小学"})
    found = chapters(100.0, "分数", [10.0, 40.5], [joined, floor(60.25, "hill"), floor(80, "lake")])
    assert [(c.identifier, c.start, c.end, c.title) for c in found] == [
        ("start", 0.0, 10.0, "分数"),
        ("slide-2", 10.0, 40.5, "Slide 2"),
        ("slide-3", 40.5, 60.25, "Slide 3"),
        ("floor", 60.25, 80, "山坡小学"),
        ("floor", 80, 100.0, "lake"),
    ]


def test_the_floor_given_back_and_again_at_once_is_one_chapter():
    found = chapters(100.0, "", [], [floor(10, "hill"), floor(12, "hill"), floor(13, "lake")])
    assert [c.title for c in found] == ["Start", "hill", "lake"]


def test_a_long_absence_is_a_break_and_a_short_one_is_not():
    gaps = [
        {"source": "audio", "start_s": 20.0, "duration_s": 300.0, "reason": "away"},
        {"source": "audio", "start_s": 400.0, "duration_s": 5.0, "reason": "away"},
        {"source": "camera", "start_s": 500.0, "duration_s": 300.0, "reason": "away"},
    ]
    found = chapters(1000.0, "x", [], [], gaps)
    assert [(c.kind, c.start) for c in found] == [("start", 0.0), ("break", 20.0)]


def test_what_is_outside_the_lesson_is_left_out():
    found = chapters(50.0, "x", [-1.0, 0.0, 50.0, 51.0], [floor(50.0, "hill")])
    assert [c.kind for c in found] == ["start"]


def test_there_is_a_limit():
    assert len(chapters(1e6, "x", [n * 10.0 for n in range(1, 5000)], [])) == MOST


def test_the_files_say_the_same():
    found = chapters(3700.5, "a --> b\n\n<i>&", [3600.0625], [])
    text = webvtt(found)
    assert text == (
        "WEBVTT\n\n"
        "start\n00:00:00.000 --> 01:00:00.062\na -&gt; b &lt;i&gt;&amp;\n\n"
        "slide-2\n01:00:00.062 --> 01:01:40.500\nSlide 2\n"
    )
    value = json.loads(as_json(found))
    assert value["version"] == 1
    assert value["chapters"][1]["number"] == 2


@pytest.mark.parametrize("text", ["a\n\nb", "a\r\n\r\nWEBVTT", "x --> y"])
def test_a_cue_cannot_break_out_of_its_lines(text: str):
    (_, block) = render([Cue(0, 1, text, "id")]).split("\n\n")
    assert block.count("-->") == 1
    assert len(block.strip().splitlines()) == 3
