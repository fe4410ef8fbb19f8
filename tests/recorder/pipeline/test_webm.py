"""VP8 lessons become one WebM that can be sought in."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest

from recorder.pipeline.lesson import LessonRecorder
from tests.recorder import hls, media
from tests.recorder.journals import Sender, lesson, loop

Record = Callable[..., dict[str, Any]]


def frames(path: Path, kind: str) -> list:
    with av.open(str(path)) as source:
        return list(source.decode(**{kind: 0}))


def test_a_vp8_lesson_is_one_webm_in_sync_with_cues_before_the_media(folder: Path, record: Record):
    manifest = record(lesson("VP8", 12))
    (view,) = manifest["entry"]["views"]
    assert view["hls"] is None
    assert (view["webm"], view["width"], view["height"]) == ("camera.webm", 320, 180)
    path = folder / "media" / "camera.webm"
    assert len(frames(path, "video")) == 360
    skews = hls.skews(frames(path, "video"), frames(path, "audio"))
    assert len(skews) >= 10
    assert max(map(abs, skews)) < 0.020
    data = path.read_bytes()
    assert data.index(b"\x1c\x53\xbb\x6b") < data.index(b"\x1f\x43\xb6\x75"), "Cues, then Clusters"
    assert "camera.webm" in manifest["files"]


def test_a_seek_lands_on_the_keyframe_before(folder: Path, record: Record):
    record(lesson("VP8", 20))
    with av.open(str(folder / "media" / "camera.webm")) as source:
        assert source.duration == pytest.approx(20_000_000, abs=100_000)
        source.seek(15_000_000)
        frame = next(source.decode(video=0))
    assert frame.key_frame
    assert 12.9 <= frame.time <= 15.1


def test_while_live_nothing_of_it_is_shown(folder: Path):
    recorder = LessonRecorder(folder, lesson("VP8", 8).opener(limit=500))
    recorder.step(1_000)
    (view,) = recorder.entry.views
    assert (view.hls, view.webm) == (None, None)
    assert not (folder / "media" / "camera.webm").exists()
    recorder.close()


def test_slides_that_come_late_have_the_sound_from_the_beginning(folder: Path, record: Record):
    journal = lesson("H264", 20, ended=False).publish(0.1, 3, "slides", "VP8")
    slides = Sender(3, 90_000, base=1)
    journal.add(slides.frames(loop(media.video("VP8"), 8), 11.2)).add(slides.reports(11.2, 19))
    manifest = record(journal.end(21))
    assert [view["webm"] for view in manifest["entry"]["views"]] == [None, "slides.webm"]
    path = folder / "media" / "slides.webm"
    beeps = hls.beeps(frames(path, "audio"))
    assert beeps[0] == pytest.approx(0.5, abs=0.02)
    assert max(map(abs, hls.skews(frames(path, "video"), frames(path, "audio")))) < 0.020


def test_a_teacher_who_reconnects_is_in_the_same_file(folder: Path, record: Record):
    journal = lesson("VP8", 6, ended=False)
    for track in (1, 2):
        journal.event(8, "track_unpublished", track=track)
    again = {"audio": Sender(3, 48_000, base=9), "video": Sender(4, 90_000, base=9)}
    manifest = record(lesson("VP8", 6, at=14.2, tracks=(3, 4), journal=journal, **again))
    assert manifest["entry"]["duration_s"] == pytest.approx(20, abs=0.1)
    path = folder / "media" / "camera.webm"
    assert len(frames(path, "video")) == 360
    skews = hls.skews(frames(path, "video"), frames(path, "audio"))
    assert len(skews) >= 10
    assert max(map(abs, skews)) < 0.020


def test_a_teacher_who_comes_back_with_another_codec_gets_a_second_view(
    folder: Path, record: Record
):
    journal = lesson("H264", 6, ended=False)
    for track in (1, 2):
        journal.event(7, "track_unpublished", track=track)
    again = {"audio": Sender(3, 48_000, base=9), "video": Sender(4, 90_000, base=9)}
    manifest = record(lesson("VP8", 6, at=9.2, tracks=(3, 4), journal=journal, **again))
    views = {view["source"]: view for view in manifest["entry"]["views"]}
    assert views["camera"]["hls"] == "camera.m3u8"
    assert views["camera-vp8"]["webm"] == "camera-vp8.webm"
    assert hls.beeps(frames(folder / "media" / "camera-vp8.webm", "audio"))[0] < 0.6
