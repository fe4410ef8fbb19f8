"""Whole lessons, from a journal to an archive that is decoded again."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest

from recorder.archive.layout import verify
from recorder.pipeline.lesson import LessonRecorder
from tests.recorder import hls, media
from tests.recorder.journals import Journal, Sender, at_us, lesson, loop

Record = Callable[..., dict[str, Any]]

CODEC_STRINGS = {"H264": "avc1.42c0", "VP9": "vp09.00.", "AV1": "av01.0."}


def playlists(folder: Path, view: str = "camera") -> tuple[hls.Playlist, hls.Playlist]:
    """A view's video and audio, each checked."""
    _, video, audio = hls.master(folder / "media" / f"{view}.m3u8")
    assert audio is not None
    found = hls.read(video), hls.read(audio)
    hls.check(found[0], 90_000)
    hls.check(found[1], 48_000)
    return found


@pytest.mark.parametrize("codec", ["H264", "VP9", "AV1"])
def test_a_lesson_becomes_hls_that_decodes_segment_by_segment(codec, folder: Path, record: Record):
    manifest = record(lesson(codec, 9))
    video, audio = playlists(folder)
    entry = manifest["entry"]
    assert entry["state"] == "complete"
    assert entry["duration_s"] == pytest.approx(9, abs=0.1)
    assert video.ended
    assert audio.ended
    assert video.duration == pytest.approx(audio.duration, abs=0.001)
    assert all(1.9 <= segment.duration <= 2.1 for segment in video.segments[:-1])
    codecs, _, _ = hls.master(folder / "media" / "camera.m3u8")
    assert codecs.startswith(CODEC_STRINGS[codec])
    assert codecs.endswith(",opus")
    frames = hls.decode(video.joined())
    assert len(frames) == 270
    assert manifest["gaps"] == []
    assert verify(folder) == []


def test_sound_and_picture_are_in_sync(folder: Path, record: Record):
    slow_camera = Sender(2, 90_000, capture_delay=0.35)
    record(lesson("H264", 12, video=slow_camera))
    video, audio = playlists(folder)
    skews = hls.skews(hls.decode(video.joined()), hls.decode(audio.joined()))
    assert len(skews) >= 10
    assert max(map(abs, skews)) < 0.020


def test_a_seek_to_the_middle_lands_on_a_keyframe_near_it(folder: Path, record: Record):
    record(lesson("H264", 20))
    video, _ = playlists(folder)
    path = folder / "joined.mp4"
    path.write_bytes(video.joined())
    with av.open(str(path)) as source:
        source.seek(10_000_000)
        frame = next(source.decode(video=0))
    assert frame.key_frame
    assert 8 <= frame.time <= 10


def test_silence_is_recorded_as_silence(folder: Path, record: Record):
    """Mute and DTX must not shorten the sound: what follows would come too early."""
    journal = lesson("H264", 16)
    journal.records = [
        record
        for record in journal.records
        if not (getattr(record, "track", 0) == 1 and at_us(4) < record.arrival_us < at_us(12))
    ]
    manifest = record(journal)
    video, audio = playlists(folder)
    skews = hls.skews(hls.decode(video.joined()), hls.decode(audio.joined()))
    assert len(skews) >= 6
    assert max(map(abs, skews)) < 0.020
    (gap,) = manifest["gaps"]
    assert (gap["source"], gap["reason"]) == ("audio", "silence")
    assert gap["duration_s"] == pytest.approx(8, abs=0.1)


def test_a_camera_that_is_off_is_held_and_the_sound_goes_on(folder: Path, record: Record):
    journal = lesson("H264", 40)
    journal.records = [
        record
        for record in journal.records
        if not (getattr(record, "track", 0) == 2 and at_us(5) < record.arrival_us < at_us(31))
    ]
    manifest = record(journal)
    video, audio = playlists(folder)
    assert video.duration == pytest.approx(40, abs=0.1)
    assert max(segment.duration for segment in video.segments) <= video.target
    skews = hls.skews(hls.decode(video.joined()), hls.decode(audio.joined()))
    assert max(map(abs, skews)) < 0.020
    assert [gap["source"] for gap in manifest["gaps"]] == ["camera"]


def test_after_a_loss_the_picture_waits_for_a_keyframe(folder: Path, record: Record):
    journal = lesson("H264", 8)
    frames = [r for r in journal.records if getattr(r, "track", 0) == 2 and hasattr(r, "data")]
    journal.records.remove(frames[70])
    journal.records = [
        replace(r, after_loss=True) if r is frames[71] else r for r in journal.records
    ]
    manifest = record(journal)
    video, _ = playlists(folder)
    assert len(hls.decode(video.joined())) == 240 - 50
    assert manifest["counts"]["frames_dropped"] == 49
    assert [gap["reason"] for gap in manifest["gaps"]] == ["loss"]


def test_it_starts_with_a_keyframe_and_at_zero(folder: Path, record: Record):
    journal = lesson("H264", 8)
    frames = [r for r in journal.records if getattr(r, "track", 0) == 2 and hasattr(r, "data")]
    for frame in frames[:20]:
        journal.records.remove(frame)
    record(journal)
    video, audio = playlists(folder)
    assert video.duration == pytest.approx(audio.duration, abs=0.001)
    first = hls.decode(video.inits[0].read_bytes() + video.segments[0].path.read_bytes())[0]
    assert first.pts == 0
    assert first.key_frame


def test_new_parameters_make_a_new_init(folder: Path, record: Record):
    """A new SPS in the stream would leave MSE and VideoToolbox with the old one."""
    journal = lesson("H264", 6, ended=False)
    sender = Sender(2, 90_000, capture_delay=0.08)
    wider = loop(media.video("H264", size=(640, 360)), 6)
    journal.add(sender.frames(wider, 6.2)).add(sender.reports(6.2, 12.2))
    journal.add(Sender(1, 48_000, base=7).frames(loop(media.audio(), 6), 6.2)).end(12.5)
    manifest = record(journal)
    video, _ = playlists(folder)
    assert len(video.inits) == 2
    sizes = [
        hls.decode(segment.init.read_bytes() + segment.path.read_bytes())[0].width
        for segment in video.segments
    ]
    assert sizes == sorted(sizes)
    assert set(sizes) == {320, 640}
    assert manifest["entry"]["views"][0]["width"] == 640
    assert manifest["entry"]["duration_s"] == pytest.approx(12, abs=0.1)


@pytest.fixture
def reconnected() -> Callable[[str], Journal]:
    """A teacher who is away from 6.2 s to 14.2 s, and comes back with new clocks."""

    def make(codec: str) -> Journal:
        journal = lesson(codec, 6, ended=False)
        for track in (1, 2):
            journal.event(8, "track_unpublished", track=track)
        return lesson(
            codec,
            6,
            at=14.2,
            tracks=(3, 4),
            journal=journal,
            audio=Sender(3, 48_000, base=77, ntp_offset=9),
            video=Sender(4, 90_000, base=5, ntp_offset=9, capture_delay=0.2),
        )

    return make


def test_a_teacher_who_reconnects_leaves_one_archive(folder: Path, record: Record, reconnected):
    manifest = record(reconnected("H264"))
    video, audio = playlists(folder)
    assert [view["source"] for view in manifest["entry"]["views"]] == ["camera"]
    assert manifest["entry"]["duration_s"] == pytest.approx(20, abs=0.1)
    assert len(video.inits) == 2
    assert {gap["reason"] for gap in manifest["gaps"]} == {"away"}
    clips = [
        hls.decode(init.read_bytes() + b"".join(s.path.read_bytes() for s in segments))
        for init, segments in itertools.groupby(video.segments, key=lambda s: s.init)
    ]
    pictures = list(itertools.chain(*clips))
    skews = hls.skews(pictures, hls.decode(audio.joined()))
    assert len(skews) >= 10
    assert max(map(abs, skews)) < 0.020


def test_slides_that_come_late_have_a_view_of_the_whole_lesson(folder: Path, record: Record):
    journal = lesson("H264", 26, ended=False)
    slides = Sender(3, 90_000, base=1)
    journal.publish(0.1, 3, "slides", "H264")
    journal.add(slides.frames(loop(media.video("H264", size=(640, 360)), 8), 17.2))
    journal.add(slides.reports(17.2, 25.2)).end(27)
    manifest = record(journal)
    assert [view["source"] for view in manifest["entry"]["views"]] == ["camera", "slides"]
    video, audio = playlists(folder, "slides")
    assert video.duration == pytest.approx(audio.duration, abs=0.001)
    skews = hls.skews(hls.decode(video.joined()), hls.decode(audio.joined()))
    assert max(map(abs, skews)) < 0.020


def test_a_lesson_without_sound_has_video_only(folder: Path, record: Record):
    journal = Journal().start().publish(0, 2, "camera", "H264")
    sender = Sender(2, 90_000)
    journal.add(sender.frames(loop(media.video(), 6), 0.2)).end(7)
    manifest = record(journal)
    assert manifest["entry"]["audio"] is None
    assert manifest["entry"]["duration_s"] == pytest.approx(6, abs=0.1)
    codecs, video, audio = hls.master(folder / "media" / "camera.m3u8")
    assert audio is None
    assert "opus" not in codecs
    hls.check(hls.read(video), 90_000)


def test_a_lesson_of_sound_alone_can_be_heard(folder: Path, record: Record):
    journal = Journal().start().publish(0, 1, "microphone", "opus")
    journal.add(Sender(1, 48_000).frames(loop(media.audio(), 6), 0.2)).end(7)
    manifest = record(journal)
    assert manifest["entry"]["views"] == []
    codecs, audio, _ = hls.master(folder / "media" / "audio.m3u8")
    assert codecs == "opus"
    hls.check(hls.read(audio), 48_000)


def test_a_lesson_in_which_nothing_was_sent_is_complete(record: Record):
    manifest = record(Journal().start().end(30))
    assert manifest["entry"]["state"] == "complete"
    assert manifest["entry"]["duration_s"] == 0


def test_a_live_lesson_can_be_played_before_it_ends(folder: Path):
    journal = lesson("H264", 12)
    recorder = LessonRecorder(folder, journal.opener(limit=700))
    recorder.step(10_000)
    _, video, audio = hls.master(folder / "media" / "camera.m3u8")
    for path, rate in ((video, 90_000), (audio, 48_000)):
        playlist = hls.read(path)
        assert not playlist.ended
        hls.check(playlist, rate)
    assert recorder.entry.state == "live"
    assert recorder.entry.views[0].hls == "camera.m3u8"
    assert recorder.entry.poster == "poster.jpg"


def test_live_sound_goes_on_while_a_muted_teacher_only_shows(folder: Path):
    """The horizon fills the audio playlist although no packet comes."""
    journal = lesson("H264", 30, ended=False)
    journal.records = [
        r for r in journal.records if not (getattr(r, "track", 0) == 1 and r.arrival_us > at_us(6))
    ]
    recorder = LessonRecorder(folder, journal.opener())
    while recorder.step(50):
        pass
    audio = hls.read(folder / "media" / "audio" / "index.m3u8")
    hls.check(audio, 48_000)
    assert audio.duration >= 18


def test_replaying_gives_the_same_bytes_however_often_it_was_killed(
    folder: Path, tmp_path: Path, record: Record, reconnected
):
    journal = reconnected("H264")
    killed = 0
    for dies_after in (90, 333, 640, 641, 900, 1100):
        before, bytes_before = _segments(folder), _contents(folder)
        listed = _listed(folder)
        recorder = LessonRecorder(folder, journal.opener(limit=dies_after))
        while recorder.step(37):
            assert _listed(folder) >= listed, "a playlist shrank"
        after = _segments(folder)
        assert all(after[name] == facts for name, facts in before.items()), (
            "a segment was rewritten"
        )
        bytes_after = _contents(folder)
        assert all(
            bytes_after[name].startswith(data)
            for name, data in bytes_before.items()
            if name.endswith(".m4s")
        ), "what was written of an open segment changed"
        killed += 1
    record(journal, turn=61)
    interrupted = _contents(folder)

    undisturbed = tmp_path / "lessons" / folder.name.replace("00aa", "00bb")
    (undisturbed / "journal").mkdir(parents=True)
    recorder = LessonRecorder(undisturbed, journal.opener())
    while not recorder.over:
        recorder.step(2_000)
    recorder.finish()
    assert killed == 6
    assert _contents(undisturbed) == interrupted


def test_an_unknown_codec_or_event_does_not_stop_the_rest(folder: Path, record: Record):
    journal = lesson("H264", 4, ended=False)
    journal.event(0.1, "track_published", track=9, kind="video", source="../x", codec="H264",
                  clock_rate=90_000)  # fmt: skip
    journal.event(0.1, "track_published", track=8, kind="video", source="slides", codec="H266",
                  clock_rate=90_000)  # fmt: skip
    journal.event(0.1, "something_new").event(0.2, "track_published", track="x")
    journal.add(Sender(8, 90_000).frames(loop(media.video(), 2), 0.3)).end(5)
    manifest = record(journal)
    assert manifest["entry"]["state"] == "complete"
    assert [view["source"] for view in manifest["entry"]["views"]] == ["camera"]
    assert manifest["counts"]["records_skipped"] == 3 + 60


def test_a_school_that_speaks_does_not_spoil_the_teachers_recording(folder: Path, record: Record):
    """The camera stays the teacher's; the school has a view of its own, and is heard as well."""
    journal = lesson("H264", 6, ended=False)
    who = {"identity": "hilltop", "role": "school", "member": 2}
    journal.publish(1, 3, "microphone", "opus", **who).publish(1, 4, "camera", "H264", **who)
    sound, picture = Sender(3, 48_000, base=99, ntp_offset=900), Sender(4, 90_000, ntp_offset=900)
    journal.add(sound.frames(loop(media.audio(), 3), 1.2)).add(sound.reports(1.2, 4))
    journal.add(picture.frames(loop(media.video(), 3), 1.2)).add(picture.reports(1.2, 4))
    journal.event(4.5, "track_unpublished", track=3).event(4.5, "track_unpublished", track=4)
    manifest = record(journal.end(7))
    video, audio = playlists(folder)
    assert manifest["entry"]["state"] == "complete"
    assert video.duration == pytest.approx(6, abs=0.1)
    assert len(hls.decode(video.joined())) == 180
    assert [view["source"] for view in manifest["entry"]["views"]] == ["camera", "floor"]
    assert [track["shown"] for track in manifest["tracks"]] == [True, True, True, True]
    assert manifest["counts"]["records_skipped"] == 0
    skews = hls.skews(hls.decode(video.joined()), hls.decode(audio.joined()))
    assert max(map(abs, skews)) < 0.020


def test_damaged_records_make_a_degraded_archive(record: Record):
    journal = lesson("H264", 4)
    journal.errors = 2
    entry = record(journal)["entry"]
    assert entry["state"] == "degraded"
    assert "2 records" in entry["reason"]


def test_a_keyframe_of_garbage_is_dropped(folder: Path, record: Record):
    journal = lesson("H264", 8)
    journal.records = [
        replace(r, data=b"\0\0\0\1\x65garbage")
        if getattr(r, "keyframe", False) and r.track == 2 and at_us(3) < r.arrival_us < at_us(5)
        else r
        for r in journal.records
    ]
    manifest = record(journal)
    video, _ = playlists(folder)
    assert manifest["entry"]["state"] == "complete"
    assert manifest["counts"]["frames_dropped"] > 0
    assert video.duration == pytest.approx(8, abs=0.1)


def _segments(folder: Path) -> dict[str, tuple[int, int]]:
    """Each listed segment's inode and time of writing: a rewritten one has others."""
    found = [
        playlist.parent / line
        for playlist in (folder / "media").rglob("index.m3u8")
        for line in playlist.read_text().splitlines()
        if line and not line.startswith("#")
    ]
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in found
    }


def _listed(folder: Path) -> int:
    return sum(path.read_text().count("#EXTINF") for path in (folder / "media").rglob("index.m3u8"))


def _contents(folder: Path) -> dict[str, bytes]:
    media_folder = folder / "media"
    return {
        path.relative_to(media_folder).as_posix(): path.read_bytes()
        for path in sorted(media_folder.rglob("*"))
        if path.is_file()
    }
