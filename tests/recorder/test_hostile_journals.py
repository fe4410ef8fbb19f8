"""Journals that nobody would write: whatever is in them, a lesson comes out, of bounded length.

The reader has checked the records' checksums, so what is odd here was written so: by a broken
publisher, a broken engine, or somebody who wants the recorder to fail.
"""

import itertools
import json
import random
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recorder.archive.layout import verify
from recorder.pipeline.arrivals import AHEAD_US
from recorder.pipeline.lesson import LessonRecorder
from sfu._media import Timeline
from tests.recorder import hls, media
from tests.recorder.conftest import LESSON
from tests.recorder.journals import (
    EPOCH_US,
    Frame,
    Journal,
    JournalEnd,
    LessonEvent,
    Sender,
    SenderReport,
    at_us,
    lesson,
    loop,
)

SMALL = (160, 90)

STAMPS = st.integers(0, 2**32 - 1)
NTP = st.integers(0, 2**64 - 1)
NEAR = st.integers(0, 30_000_000).map(lambda after: EPOCH_US + after)
ARRIVALS = NEAR | NEAR | NEAR | st.integers(0, 2**64 - 1)
TRACKS = st.integers(1, 6)

PICTURES = tuple(
    coded.data for codec in ("H264", "VP9") for coded in media.video(codec, 1, size=SMALL)[:3]
)
SOUNDS = tuple(coded.data for coded in media.audio(1)[:50])

FRAMES = st.builds(
    Frame,
    TRACKS,
    STAMPS,
    ARRIVALS,
    st.booleans(),
    st.booleans(),
    st.binary(max_size=40) | st.sampled_from(PICTURES + SOUNDS),
)
REPORTS = st.builds(SenderReport, TRACKS, NTP, STAMPS, ARRIVALS)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)
TRACK_EVENTS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["track_published", "track_unpublished", "track_muted"]),
        "track": TRACKS | JSON,
        "kind": st.sampled_from(["audio", "video"]) | JSON,
        "source": st.sampled_from(["microphone", "camera", "slides", "audio", "../x"]) | JSON,
        "codec": st.sampled_from(["opus", "H264", "VP9", "VP8", "H266"]) | JSON,
        "clock_rate": st.sampled_from([48_000, 90_000, 0, -1]) | JSON,
        "role": st.sampled_from(["teacher", "school", "assistant"]) | JSON,
        "member": st.integers(0, 3) | JSON,
        "muted": st.booleans() | JSON,
    }
)
OTHER_EVENTS = st.fixed_dictionaries(
    {"type": st.sampled_from(["lesson_started", "chat", "lesson_described", "x"]) | JSON},
    optional={"lesson": JSON, "title": JSON, "text": JSON},
)
EVENTS = st.builds(
    lambda arrival, value: LessonEvent(arrival, json.dumps(value)),
    ARRIVALS,
    TRACK_EVENTS | OTHER_EVENTS | JSON,
)
GOOD_TRACKS = [
    (1, "microphone", "opus", "teacher"),
    (2, "camera", "H264", "teacher"),
    (3, "microphone", "opus", "school"),
    (4, "camera", "VP9", "school"),
]


def run(records: list[Any]) -> tuple[dict[str, Any], Path]:
    """Record a journal of these; the manifest and the folder."""
    folder = Path(tempfile.mkdtemp()) / "lessons" / LESSON
    (folder / "journal").mkdir(parents=True)
    recorder = LessonRecorder(folder, Journal(records).opener())
    while recorder.step(7):
        pass
    recorder.finish()
    assert verify(folder) == []
    return json.loads((folder / "manifest.json").read_text()), folder


def published() -> list[Any]:
    journal = Journal()
    for number, source, codec, role in GOOD_TRACKS:
        journal.publish(0, number, source, codec, role=role, member=role)
    return journal.records


@given(st.lists(FRAMES | FRAMES | REPORTS | EVENTS, max_size=60))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_the_records_say_a_lesson_comes_out(records: list[Any]):
    manifest, folder = run([*published(), *records])
    longest = len(records) * AHEAD_US / 1e6 + 60
    assert 0 <= manifest["entry"]["duration_s"] < longest
    for path in folder.rglob("index.m3u8"):
        hls.read(path)


@given(
    frames=st.lists(st.tuples(STAMPS | st.integers(0, 3), st.integers(0, 3_000_000)), max_size=80),
    reports=st.lists(st.tuples(NTP, STAMPS), max_size=20),
    tracks=st.integers(1, 3),
)
@settings(max_examples=100, deadline=None)
def test_time_never_runs_back_nor_away_from_the_arrivals(frames, reports, tracks):
    timeline, arrival = Timeline(), EPOCH_US
    for number in range(1, tracks + 1):
        timeline.add_track(number, 48_000 if number % 2 else 90_000, 1)
    records: list[Any] = []
    for n, (stamp, step) in enumerate(frames):
        arrival += step
        records.append(Frame(n % tracks + 1, stamp, arrival, True, False, b""))
        if n < len(reports):
            records.append(SenderReport(n % tracks + 1, *reports[n], arrival))
    for record in records:
        if isinstance(record, Frame):
            timeline.handle_frame(record)
        else:
            timeline.handle_report(record)
    timeline.finish()
    last: dict[int, int] = {}
    placed = timeline.poll()
    assert len(placed) == len(frames)
    for timed in placed:
        assert timed.time_us > last.get(timed.track, -(10**12))
        last[timed.track] = timed.time_us
        came = timed.frame.arrival_us - (timeline.zero_us or 0)
        assert abs(timed.time_us - came) < Timeline.MAX_LAG_US + 4_000_000


@pytest.mark.parametrize("ahead", [True, False])
def test_a_jump_of_ten_hours_is_not_ten_hours_of_silence(ahead: bool):
    """Of both clocks at once, so that nothing but the arrivals contradicts them."""
    journal = lesson("H264", 8, size=SMALL, ended=False)
    ticks = {1: 36_000 * 48_000, 2: 36_000 * 90_000}
    records = [
        replace(record, timestamp=(record.timestamp + ticks[record.track] * (1 if ahead else -1))
                & 0xFFFFFFFF)
        if hasattr(record, "timestamp") and record.arrival_us > at_us(4)
        else record
        for record in journal.records
    ]  # fmt: skip
    manifest, _ = run([*records, JournalEnd(at_us(9))])
    assert manifest["entry"]["duration_s"] == pytest.approx(8, abs=0.2)


def test_an_hour_that_the_arrivals_confirm_is_an_hour():
    journal = lesson("H264", 3, size=SMALL, ended=False)
    sound = Sender(1, 48_000, base=7)
    journal.add(sound.frames(loop(media.audio(), 3), 3_600)).add(sound.reports(3_600, 3_603))
    manifest, folder = run([*journal.records, JournalEnd(at_us(3_603.5))])
    assert manifest["entry"]["duration_s"] == pytest.approx(3_603, abs=1)
    assert sum(path.stat().st_size for path in folder.rglob("*.m4s")) < 6_000_000


def test_one_record_from_next_year_is_left_out():
    journal = lesson("H264", 6, size=SMALL)
    odd = LessonEvent(at_us(365 * 86_400), '{"type":"hand_raised"}')
    manifest, _ = run([*journal.records[:400], odd, *journal.records[400:]])
    assert manifest["entry"]["duration_s"] == pytest.approx(6, abs=0.1)
    assert manifest["counts"]["records_skipped"] == 1


def test_reordered_and_doubled_frames_cost_no_more_than_themselves():
    journal = lesson("H264", 10, size=SMALL)
    chance = random.Random(3)
    records = []
    for record in journal.records:
        records.append(record)
        if hasattr(record, "data") and chance.random() < 0.1:
            records.append(record)
    for at in range(50, len(records) - 50, 40):
        one, other = records[at], records[at + 1]
        if hasattr(one, "data") and hasattr(other, "data") and one.track == other.track == 1:
            records[at], records[at + 1] = other, one
    manifest, folder = run(records)
    assert manifest["entry"]["duration_s"] == pytest.approx(10, abs=0.2)
    video = hls.read(folder / "media" / "camera" / "index.m3u8")
    audio = hls.read(folder / "media" / "audio" / "index.m3u8")
    hls.check(audio, 48_000)
    skews = hls.skews(hls.decode(video.joined()), hls.decode(audio.joined()))
    assert len(skews) >= 8
    assert max(map(abs, skews)) < 0.05


def test_another_codec_in_mid_stream_does_not_harm_the_first():
    """The track says H264; from its middle on its frames are something else."""
    journal = lesson("H264", 10, size=SMALL)
    other = itertools.cycle(media.video("VP9", 4, size=SMALL))
    records = [
        replace(record, data=next(other).data)
        if getattr(record, "track", 0) == 2
        and hasattr(record, "data")
        and at_us(4) < record.arrival_us < at_us(8)
        else record
        for record in journal.records
    ]
    manifest, folder = run(records)
    assert manifest["entry"]["state"] == "complete"
    assert manifest["entry"]["duration_s"] == pytest.approx(10, abs=0.2)
    video = hls.read(folder / "media" / "camera" / "index.m3u8")
    first, last = video.segments[0], video.segments[-1]
    for segment in (first, last):
        assert hls.decode(segment.init.read_bytes() + segment.path.read_bytes())


@pytest.mark.parametrize(
    "event",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"type":"track_unpublished","track":{}}',
        '{"type":"track_muted","track":1e400,"muted":true}',
        '{"type":"track_published","track":1e400,"kind":"audio","source":"x","codec":"opus","clock_rate":1}',
        '{"type":"track_published","track":99999999,"kind":"audio","source":"x","codec":"opus","clock_rate":48000}',
        '{"type":"track_published","track":7,"kind":"video","source":"x","codec":"H264","clock_rate":0}',
        '{"type":"lesson_started"}',
        "[" * 100_000,
        '{"type":"track_published","track":' + "9" * 5_000 + "}",
    ],
)
def test_events_that_make_no_sense_are_counted(event: str):
    journal = lesson("H264", 2, size=SMALL)
    journal.add([LessonEvent(at_us(1), event)])
    manifest, _ = run(journal.records)
    assert manifest["entry"]["state"] == "complete"
    assert manifest["counts"]["records_skipped"] == 1


def test_a_clock_that_never_says_when_does_not_fill_the_memory():
    """All frames arrive at one moment, and no report comes: they are not held for ever."""
    timeline = Timeline()
    timeline.add_track(1, 48_000, 1)
    for n in range(10_000):
        timeline.handle_frame(Frame(1, n * 960 & 0xFFFFFFFF, EPOCH_US, True, False, b""))
    assert len(timeline.poll()) > 7_000


def test_tracks_without_end_are_forgotten_by_the_clock():
    timeline = Timeline()
    for number in range(1, 5_000):
        timeline.add_track(number, 48_000, number)
        timeline.handle_frame(Frame(number, 0, EPOCH_US + number, True, False, b""))
        timeline.remove_track(number)
    assert len(timeline.poll()) == 4_999
    assert timeline.publishers == 0
