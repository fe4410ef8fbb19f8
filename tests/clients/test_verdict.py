import json
from dataclasses import replace

import pytest

from clients.headless.replay import Seen
from clients.headless.verdict import (
    Archive,
    Journal,
    Result,
    School,
    Taught,
    judge_archive,
    judge_journal,
    judge_school,
)

TAUGHT = Taught("20250101-080000-selftest-0000", seconds=20.0, frames=600, ended_at=0.0)
SCHOOL = School(video_frames=540, audio_packets=900, lost=0, first_frame_ms=800)
ARCHIVE = Archive(playable_after_ms=900, duration_s=20.0, video_frames=599, av_skew_ms=-3.0)
SEEN = Seen(frames=599, numbers=list(range(599)))


def test_a_good_lesson_has_no_problem():
    assert judge_school(SCHOOL, 18.0, TAUGHT) == []
    assert judge_archive(ARCHIVE, "complete", SEEN, TAUGHT) == []
    assert judge_journal(Journal(4_000_000, 0)) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"first_frame_ms": None}, "saw no picture"),
        ({"first_frame_ms": 3001}, "waited 3001 ms"),
        ({"video_frames": 512}, "decoded 512 pictures; 513 were due"),
        ({"audio_packets": 854}, "heard 854 packets; 855 were due"),
        ({"lost": 1}, "lost 1 packets"),
    ],
)
def test_what_a_school_lacks_is_told(change: dict, problem: str):
    problems = judge_school(replace(SCHOOL, **change), 18.0, TAUGHT)
    assert len(problems) == 1
    assert problem in problems[0]


def test_a_school_that_saw_too_little_of_the_lesson():
    assert judge_school(SCHOOL, 13.9, TAUGHT) == ["A school saw 13.9 s of 20.0 s."]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"playable_after_ms": 5001}, "playable only after 5001 ms"),
        ({"duration_s": 18.9}, "has 18.9 s of 20.0 s"),
        ({"duration_s": 21.1}, "has 21.1 s of 20.0 s"),
        ({"video_frames": 594}, "has 594 of 600 pictures"),
        ({"av_skew_ms": None}, "were not found"),
        ({"av_skew_ms": -41.0}, "are -41 ms apart"),
    ],
)
def test_what_the_archive_lacks_is_told(change: dict, problem: str):
    problems = judge_archive(replace(ARCHIVE, **change), "complete", SEEN, TAUGHT)
    assert len(problems) == 1
    assert problem in problems[0]


def test_an_archive_that_is_not_complete():
    assert judge_archive(ARCHIVE, "degraded", SEEN, TAUGHT) == [
        "The archive is degraded, not complete."
    ]


@pytest.mark.parametrize(
    ("numbers", "place"),
    [
        ([0, 1, 3], 2),
        ([5, 6, 6], 2),
        ([5, None, 7], 1),
        ([None], 0),
        ([598, 599, 1], 2),
    ],
)
def test_a_picture_out_of_order_is_told(numbers: list, place: int):
    problems = judge_archive(ARCHIVE, "complete", Seen(numbers=numbers), TAUGHT)
    assert problems == [f"Picture {place} of the archive is not the one that was sent."]


def test_the_first_picture_may_stand_longer():
    seen = Seen(numbers=[0, 0, 1, 2])
    assert judge_archive(ARCHIVE, "complete", seen, TAUGHT) == []


def test_the_file_may_loop():
    seen = Seen(numbers=[598, 599, 0, 1])
    assert judge_archive(ARCHIVE, "complete", seen, TAUGHT) == []


@pytest.mark.parametrize("journal", [Journal(0, 0), Journal(10, 2)])
def test_a_bad_journal(journal: Journal):
    assert len(judge_journal(journal)) == 1


def test_the_json_line_is_as_promised():
    result = Result([SCHOOL], ARCHIVE, Journal(4_000_000, 0))
    assert json.loads(result.as_json()) == {
        "ok": True,
        "schools": [{"video_frames": 540, "audio_packets": 900, "lost": 0, "first_frame_ms": 800}],
        "archive": {
            "playable_after_ms": 900,
            "duration_s": 20.0,
            "video_frames": 599,
            "av_skew_ms": -3.0,
        },
        "journal": {"bytes": 4_000_000, "errors": 0},
    }


def test_the_json_line_says_why_not():
    result = Result([SCHOOL], ARCHIVE, Journal(0, 0), ["The journal is empty."])
    told = json.loads(result.as_json())
    assert (told["ok"], told["problems"]) == (False, ["The journal is empty."])
