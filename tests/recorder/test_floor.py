"""A lesson with more than its teacher in it: the floor, other teachers, who is muted."""

import itertools
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recorder.lesson import LessonRecorder
from tests.recorder import hls, media, sounds
from tests.recorder.journals import Journal, Sender, lesson, loop
from tests.recorder.media import Coded

Record = Callable[..., dict[str, Any]]

SCHOOL = {"identity": "hilltop", "role": "school", "member": 9}
TEACHER = {"identity": "wang", "role": "teacher", "member": 1}


def tone(hertz: int, seconds: float, level: float = 0.3) -> list[Coded]:
    packets = sounds.tone(hertz, seconds, level=level)
    return [Coded(Fraction(n, 50), data, True) for n, data in enumerate(packets)]


def taught(seconds: float, hertz: int = 440) -> Journal:
    """A teacher with a camera and a tone."""
    journal = Journal().start().publish(0, 1, "microphone", "opus", **TEACHER)
    journal.publish(0, 2, "camera", "H264", **TEACHER)
    audio, video = Sender(1, 48_000, base=7), Sender(2, 90_000, capture_delay=0.05)
    journal.add(audio.frames(tone(hertz, seconds), 0.2)).add(audio.reports(0.2, seconds))
    journal.add(video.frames(loop(media.video("H264", size=(160, 90)), seconds), 0.2))
    return journal.add(video.reports(0.2, seconds))


def take_the_floor(
    journal: Journal,
    at: float,
    seconds: float,
    number: int,
    *,
    codec: str = "H264",
    size: tuple[int, int] = (160, 90),
    hertz: int = 1_000,
    **school: Any,
) -> Journal:
    """A school speaks and shows itself, with clocks of its own, by tracks `number` and the next."""
    who = SCHOOL | school
    journal.event(at - 0.2, "floor_granted", identity=who["identity"], role="school")
    journal.publish(at - 0.1, number, "microphone", "opus", **who)
    journal.publish(at - 0.1, number + 1, "camera", codec, **who)
    far = {"ntp_offset": 77.0 + number, "delay": 0.15}
    audio = Sender(number, 48_000, base=number * 1_000_000, **far)
    video = Sender(number + 1, 90_000, base=5, capture_delay=0.08, **far)
    journal.add(audio.frames(tone(hertz, seconds, 0.1), at)).add(audio.reports(at, at + seconds))
    journal.add(video.frames(loop(media.video(codec, size=size), seconds), at))
    journal.add(video.reports(at, at + seconds))
    for track in (number, number + 1):
        journal.event(at + seconds + 0.4, "track_unpublished", track=track)
    return journal


def heard(folder: Path) -> np.ndarray:
    """The lesson's sound, from its beginning."""
    playlist = hls.read(folder / "media" / "audio" / "index.m3u8")
    hls.check(playlist, 48_000)
    frames = hls.decode(playlist.joined())
    return np.concatenate([frame.to_ndarray().reshape(2, -1)[0] for frame in frames])


def checked(folder: Path, view: str) -> hls.Playlist:
    _, video, _ = hls.master(folder / "media" / f"{view}.m3u8")
    playlist = hls.read(video)
    hls.check(playlist, 90_000)
    return playlist


def test_a_school_that_has_the_floor_is_heard_and_seen(folder: Path, record: Record):
    manifest = record(take_the_floor(taught(14), 4, 4, 11).end(15))
    sound = heard(folder)
    teacher, school = sounds.loudness(sound, 440), sounds.loudness(sound, 1_000)
    assert min(teacher[5:690]) > 0.2
    assert max(school[:185]) < 0.02
    assert min(school[198:385]) > 0.07
    assert max(school[400:690]) < 0.02
    assert [view["source"] for view in manifest["entry"]["views"]] == ["camera", "floor"]
    floor = checked(folder, "floor")
    assert floor.duration == pytest.approx(checked(folder, "camera").duration, abs=0.05)
    away = [(g["reason"], round(g["start_s"])) for g in manifest["gaps"] if g["source"] == "floor"]
    assert away == [("away", 0), ("away", 8)]
    assert 3_500 < manifest["counts"]["sound_mixed_ms"] < 6_500


def test_the_floor_comes_and_goes_with_other_sizes_and_codecs(folder: Path, record: Record):
    journal = take_the_floor(taught(26), 3, 3, 11)
    take_the_floor(journal, 9, 3, 21, size=(320, 180), identity="riverside", member=10)
    take_the_floor(journal, 15, 3, 31, codec="VP9", identity="lakeside", member=11)
    take_the_floor(journal, 21, 3, 41, identity="hilltop", member=12)
    manifest = record(journal.end(27))
    sources = [view["source"] for view in manifest["entry"]["views"]]
    assert sources == ["camera", "floor", "floor-vp9"]
    floor = checked(folder, "floor")
    assert len(floor.inits) == 3
    assert floor.duration == pytest.approx(checked(folder, "floor-vp9").duration, abs=0.05)
    reasons = [gap["reason"] for gap in manifest["gaps"] if gap["source"] == "floor"]
    assert reasons == ["away", "away", "codec", "away"]
    school = sounds.loudness(heard(folder), 1_000)
    for start in (3, 9, 15, 21):
        at = round((start - 0.2) * 50)
        assert min(school[at + 8 : at + 140]) > 0.07
        assert max(school[at + 160 : at + 230]) < 0.02


def test_teachers_in_turn_are_one_camera(folder: Path, record: Record):
    journal = taught(6)
    journal.event(6.4, "track_unpublished", track=1).event(6.4, "track_unpublished", track=2)
    lesson(
        "H264",
        6,
        at=7.2,
        tracks=(3, 4),
        journal=journal,
        size=(160, 90),
        audio=Sender(3, 48_000, base=77, ntp_offset=9),
        video=Sender(4, 90_000, base=5, ntp_offset=9),
    )
    manifest = record(journal)
    assert [view["source"] for view in manifest["entry"]["views"]] == ["camera"]
    assert checked(folder, "camera").duration == pytest.approx(13, abs=0.2)
    assert [gap["reason"] for gap in manifest["gaps"]] == ["away", "away"]


def test_an_assistant_is_shown_until_the_teacher_comes_and_after_he_left(
    folder: Path, record: Record
):
    who = {"identity": "li", "role": "assistant", "member": 3}
    journal = Journal().start().publish(0, 5, "camera", "H264", **who)
    clip = loop(media.video("H264", size=(320, 180), gop=30), 12)
    journal.add(Sender(5, 90_000).frames(clip, 0.2)).publish(4, 2, "camera", "H264", **TEACHER)
    small = loop(media.video("H264", size=(160, 90)), 3)
    journal.add(Sender(2, 90_000, base=9, ntp_offset=3).frames(small, 4.1))
    record(journal.event(7.2, "track_unpublished", track=2).end(13))
    playlist = checked(folder, "camera")
    widths = [
        hls.decode(segment.init.read_bytes() + segment.path.read_bytes())[0].width
        for segment in playlist.segments
    ]
    assert [width for width, _ in itertools.groupby(widths)] == [320, 160, 320]
    assert playlist.duration == pytest.approx(12, abs=0.2)


def test_who_is_muted_is_not_in_the_archive_whatever_is_sent(folder: Path, record: Record):
    """Silenced by the teacher, a client may go on sending: nobody in the lesson hears it."""
    journal = take_the_floor(taught(12), 3, 6, 11)
    journal.event(5, "track_muted", track=11, muted=True)
    journal.event(7, "track_muted", track=11, muted=False)
    journal.event(5, "track_muted", track=12, muted=True)
    manifest = record(journal.end(13))
    school = sounds.loudness(heard(folder), 1_000)
    assert min(school[150:230]) > 0.07
    assert max(school[255:325]) < 0.02
    assert min(school[350:430]) > 0.07
    assert min(sounds.loudness(heard(folder), 440)[5:590]) > 0.2
    (gap,) = [g for g in manifest["gaps"] if g["source"] == "floor" and g["reason"] == "muted"]
    assert gap["start_s"] == pytest.approx(4.7, abs=0.3)


def test_sound_of_the_slides_is_heard_with_the_teacher(folder: Path, record: Record):
    journal = taught(8).publish(1.9, 3, "slides_audio", "opus", **TEACHER)
    sender = Sender(3, 48_000, base=3)
    journal.add(sender.frames(tone(700, 3, 0.1), 2)).add(sender.reports(2, 5)).end(9)
    record(journal)
    film = sounds.loudness(heard(folder), 700)
    assert min(film[95:235]) > 0.07


def test_mixed_sound_is_the_same_however_often_the_worker_was_killed(
    folder: Path, tmp_path: Path, record: Record
):
    journal = take_the_floor(taught(12), 3, 2, 11)
    take_the_floor(journal, 7, 2, 21, identity="riverside", member=10).end(13)
    for dies_after in (300, 411, 420, 800):
        closed = {name: data for name, data in files(folder).items() if name in listed(folder)}
        recorder = LessonRecorder(folder, journal.opener(limit=dies_after))
        while recorder.step(23):
            pass
        recorder.close()
        assert all(files(folder)[name] == data for name, data in closed.items())
    record(journal, turn=61)

    undisturbed = tmp_path / "lessons" / folder.name.replace("00aa", "00bb")
    (undisturbed / "journal").mkdir(parents=True)
    recorder = LessonRecorder(undisturbed, journal.opener())
    while not recorder.over:
        recorder.step(5_000)
    recorder.finish()
    assert files(undisturbed) == files(folder)


def files(folder: Path) -> dict[str, bytes]:
    """The segments on disk."""
    paths = (folder / "media").rglob("*.m4s")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def listed(folder: Path) -> set[str]:
    """Those that a playlist names: they never change again."""
    return {
        segment.path.relative_to(folder).as_posix()
        for path in (folder / "media").rglob("index.m3u8")
        for segment in hls.read(path).segments
    }
