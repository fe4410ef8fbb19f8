"""Films from elsewhere become lessons like any other; hostile ones become one sentence."""

import os
import random
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from recorder.archive.layout import Entry, read_entry, read_manifest, verify
from recorder.catalogue import Catalogue
from recorder.errors import ArchiveError, MediaError
from recorder.importing import sandbox
from recorder.importing.plan import make_plan
from recorder.importing.sandbox import Wanted, import_file
from tests.recorder import hls, validators
from tests.recorder.importing.films import film

X264 = {"preset": "ultrafast", "bf": "2"}
DATE = 1_700_000_000.0


def lesson_of(data_dir: Path, entry: Entry) -> Path:
    return data_dir / "lessons" / entry.id


def imported(tmp_path: Path, path: Path, **wanted: object) -> tuple[Path, list[str]]:
    notes: list[str] = []
    entry = import_file(
        tmp_path, path, replace(Wanted(), **wanted), Catalogue(tmp_path), notes.append
    )
    lesson = lesson_of(tmp_path, entry)
    assert verify(lesson) == []
    assert Catalogue(tmp_path).find(entry.id) == read_entry(lesson)
    assert not list(tmp_path.glob(".import-*"))
    return lesson, notes


def watch(lesson: Path, flashes: int) -> None:
    """As a browser would: everything decodes, nothing is missing, sound and picture agree."""
    video = hls.read(lesson / "media" / "camera" / "index.m3u8")
    audio = hls.read(lesson / "media" / "audio" / "index.m3u8")
    hls.check(video, 90_000)
    hls.check(audio, 48_000)
    assert video.ended
    assert audio.ended
    assert audio.duration == pytest.approx(video.duration, abs=0.1)
    skews = hls.skews(hls.decode(video.joined()), hls.decode(audio.joined()))
    assert len(skews) >= flashes
    assert all(abs(skew) < 0.06 for skew in skews), skews


@pytest.mark.parametrize(
    ("name", "video", "audio", "options"),
    [
        ("with b-frames.mp4", "libx264", "aac", X264),
        ("phone.mov", "libx264", "aac", X264),
        ("camera.mkv", "libx264", "libopus", {"preset": "ultrafast"}),
        ("box.flv", "libx264", "aac", {"preset": "ultrafast"}),
        ("stream.ts", "libx264", "aac", X264),
        ("web.webm", "libvpx-vp9", "libopus", {"deadline": "realtime", "cpu-used": "8"}),
    ],
)
def test_what_browsers_play_is_copied(tmp_path: Path, name, video, audio, options):
    path = film(tmp_path / name, video, audio, options=options)
    lesson, notes = imported(tmp_path, path)
    assert not any("video" in note for note in notes)
    watch(lesson, 3)
    validators.check(lesson)
    entry = read_entry(lesson)
    assert (entry.state, entry.poster) == ("complete", "poster.jpg")
    assert entry.thumbnails
    assert entry.views[0].codec == ("VP9" if "vp9" in video else "H264")
    assert entry.duration_s == pytest.approx(4.0, abs=0.15)


@pytest.mark.parametrize(
    ("name", "video", "audio", "more", "why"),
    [
        ("old.avi", "mpeg4", "mp2", {}, "browsers do not play it from HLS"),
        ("vp8.webm", "libvpx", "libopus", {}, "browsers do not play it from HLS"),
        ("ten.mp4", "libx264", "aac", {"pixels": "yuv444p"}, "its pixels"),
        ("far.mp4", "libx264", "aac", {"gop": 1_000, "seconds": 14.0}, "keyframes are up to 14 s"),
    ],
)
def test_the_rest_is_transcoded_and_told(tmp_path: Path, name, video, audio, more, why: str):
    if video == "libx264":
        more = {**more, "options": {"preset": "ultrafast"}}
    lesson, notes = imported(tmp_path, film(tmp_path / name, video, audio, **more))
    assert why in notes[0]
    watch(lesson, 3)
    validators.check(lesson)
    assert read_entry(lesson).views[0].codec == "H264"


def test_title_and_date_come_from_the_file_or_the_user(tmp_path: Path):
    told = {"title": "分数 的加法", "creation_time": "2024-05-06T07:08:09Z"}
    path = film(tmp_path / "数学 lesson (1).mp4", seconds=2, metadata=told)
    lesson, _ = imported(tmp_path, path)
    entry = read_entry(lesson)
    assert (entry.title, entry.started_at) == ("分数 的加法", 1_714_979_289.0)
    assert entry.id.startswith("20240506-070809-数学-lesson-1-")
    lesson, _ = imported(tmp_path, path, lesson="math", title="Mine", started_at=DATE)
    entry = read_entry(lesson)
    assert (entry.lesson, entry.title, entry.started_at) == ("math", "Mine", DATE)
    assert entry.id.startswith("20231114-221320-math-")


def test_a_file_that_says_nothing_is_dated_by_the_disk(tmp_path: Path):
    path = film(tmp_path / "x.mkv", audio=None, seconds=2)
    os.utime(path, (DATE, DATE))
    lesson, _ = imported(tmp_path, path)
    entry = read_entry(lesson)
    assert (entry.started_at, entry.title, entry.audio) == (DATE, "x", None)
    validators.check(lesson)


def test_sound_that_begins_late_stays_late(tmp_path: Path):
    lesson, _ = imported(tmp_path, film(tmp_path / "x.mp4", audio_from=2.2, options=X264))
    watch(lesson, 1)


def test_progress_is_told(tmp_path: Path):
    told: list[tuple[float, float]] = []
    path = film(tmp_path / "x.mp4")
    import_file(
        tmp_path, path, Wanted(), Catalogue(tmp_path), on_progress=lambda *a: told.append(a)
    )
    assert told
    assert all(0 <= at <= of + 1 for at, of in told)


# --- bad input


def refused(tmp_path: Path, path: Path) -> str:
    before = set((tmp_path / "lessons").glob("*")) if (tmp_path / "lessons").exists() else set()
    with pytest.raises((MediaError, ArchiveError)) as caught:
        import_file(tmp_path, path, Wanted(), Catalogue(tmp_path))
    assert not list(tmp_path.glob(".import-*")), "nothing half done is left"
    if (tmp_path / "lessons").exists():
        assert set((tmp_path / "lessons").glob("*")) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "no video file"),
        (b"hello, I am a film", "no video file"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n", "no video file"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "no video file"),
        (random.Random(3).randbytes(200_000), ""),
    ],
)
def test_what_is_no_film_is_refused(tmp_path: Path, content: bytes, sentence: str):
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    assert sentence in refused(tmp_path, path)


def test_what_is_not_there_or_no_file_is_refused(tmp_path: Path):
    assert "is no file" in refused(tmp_path, tmp_path / "none.mp4")
    assert "is no file" in refused(tmp_path, tmp_path)


def test_sound_alone_is_no_lesson(tmp_path: Path):
    import av

    path = tmp_path / "sound.ogg"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libopus", rate=48_000)
        stream.layout = "mono"
    assert refused(tmp_path, path)


@pytest.mark.damaged("pictures are copied as they are, with the bits that were flipped in them")
def test_damaged_films_end_in_a_lesson_or_a_sentence(tmp_path: Path):
    """Random damage: never a traceback, never a half-made lesson, never a hanging process."""
    whole = film(tmp_path / "whole.mp4", seconds=3, options=X264).read_bytes()
    random_ = random.Random(11)
    for number in range(8):
        data = bytearray(whole)
        for _ in range(random_.choice([1, 20, 400])):
            data[random_.randrange(len(data))] = random_.randrange(256)
        if number % 3 == 0:
            del data[random_.randrange(len(data) // 2, len(data)) :]
        path = tmp_path / f"damaged-{number}.mp4"
        path.write_bytes(data)
        with suppress(MediaError):
            entry = import_file(tmp_path, path, Wanted(), Catalogue(tmp_path))
            assert verify(lesson_of(tmp_path, entry)) == []
        assert not list(tmp_path.glob(".import-*"))


def test_a_reader_that_hangs_is_given_up(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(sandbox, "SILENT", 0.5)
    monkeypatch.setattr(sandbox.sys, "executable", "/bin/sleep")
    real = sandbox.subprocess.Popen
    monkeypatch.setattr(
        sandbox.subprocess, "Popen", lambda command, **k: real(["sleep", "60"], **k)
    )
    assert "no progress" in refused(tmp_path, film(tmp_path / "x.mp4", seconds=1))


def test_a_reader_that_dies_is_told(tmp_path: Path, monkeypatch):
    real = sandbox.subprocess.Popen
    monkeypatch.setattr(
        sandbox.subprocess, "Popen", lambda command, **k: real(["sh", "-c", "kill -SEGV $$"], **k)
    )
    assert "broke its reader" in refused(tmp_path, film(tmp_path / "x.mp4", seconds=1))


def test_a_disk_without_room_is_told_first(tmp_path: Path, monkeypatch):
    usage = sandbox.shutil.disk_usage(tmp_path)._replace(free=1_000)
    monkeypatch.setattr(sandbox.shutil, "disk_usage", lambda path: usage)
    assert "no room" in refused(tmp_path, film(tmp_path / "x.mp4", seconds=1))


def test_a_plan_decodes_nothing_and_finds_the_length(tmp_path: Path):
    plan = make_plan(film(tmp_path / "x.mp4", options=X264, seconds=4))
    assert plan.copy_video
    assert plan.duration == pytest.approx(4.0, abs=0.15)
    assert plan.notes == ("The sound is transcoded to Opus.",)


def test_the_manifest_says_where_it_comes_from(tmp_path: Path):
    lesson, _ = imported(tmp_path, film(tmp_path / "x.mp4", seconds=2))
    (track,) = read_manifest(lesson).tracks
    assert (track["kind"], track["file"]) == ("import", "x.mp4")
