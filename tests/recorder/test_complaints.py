"""What people complain of in other recorders, each a test by its name.

One of the list is elsewhere, the storage's: `archive/test_upload.py` has the upload that fails and
deletes the only copy. Workers killed by a real signal are in `test_native.py`.
"""

import errno
import io
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from recorder.archive import aftercare
from recorder.archive.layout import Extras, entry_from_id, read_manifest, verify
from recorder.catalogue import Catalogue, Query
from recorder.pipeline.lesson import LessonRecorder
from recorder.pipeline.segments import SegmentFile
from recorder.worker import Worker
from tests.recorder import hls, media
from tests.recorder.catalogue.conftest import archived
from tests.recorder.conftest import LESSON
from tests.recorder.journals import FakeReader, Journal, Sender, at_us, lesson, loop

Record = Callable[..., dict[str, Any]]

SMALL = (160, 90)


def tracks(folder: Path, view: str = "camera") -> tuple[hls.Playlist, hls.Playlist]:
    """A view's video and the audio, each without hole or overlap."""
    _, video, audio = hls.master(folder / "media" / f"{view}.m3u8")
    assert audio is not None
    found = hls.read(video), hls.read(audio)
    hls.check(found[0], 90_000)
    hls.check(found[1], 48_000)
    return found


def pictures(playlist: hls.Playlist) -> list[av.VideoFrame]:
    """All of them, by as many decoders as there are init segments."""
    clips = [
        hls.decode(init.read_bytes() + b"".join(s.path.read_bytes() for s in segments))
        for init, segments in itertools.groupby(playlist.segments, key=lambda s: s.init)
    ]
    return list(itertools.chain(*clips))


def of_video(journal: Journal) -> list[Any]:
    return [r for r in journal.records if getattr(r, "track", 0) == 2 and hasattr(r, "data")]


def without(journal: Journal, start: float, end: float, *numbers: int) -> Journal:
    """The journal less what arrived of these tracks between two times."""
    journal.records = [
        record
        for record in journal.records
        if not (
            getattr(record, "track", 0) in numbers and at_us(start) < record.arrival_us < at_us(end)
        )
    ]
    return journal


def largest_skew(folder: Path) -> float:
    video, audio = tracks(folder)
    skews = hls.skews(pictures(video), hls.decode(audio.joined()))
    assert skews
    return max(map(abs, skews))


def test_recording_never_started(tmp_path: Path):
    """No button, no start signal that could be lost: where there is a journal there is a
    recording, also of lessons of which the worker hears late or which hardly lasted."""
    journals = {f"20260921-1413{n:02d}-class{n}-00aa": lesson("H264", 0.6) for n in range(20)}
    worker = Worker(tmp_path, lambda path: FakeReader(journals[Path(path).parent.name], path))
    for name in journals:
        (tmp_path / "lessons" / name / "journal").mkdir(parents=True)
        worker.round()
    while worker.round() or not worker.settled:
        pass
    for name in journals:
        manifest = read_manifest(tmp_path / "lessons" / name)
        assert manifest.entry.state == "complete"
        assert manifest.entry.duration_s == pytest.approx(0.6, abs=0.1)


@pytest.mark.parametrize("drop", [0.1, 0.5, 3.0])
def test_stopped_by_a_100_ms_drop(drop: float, folder: Path, record: Record):
    """The network drops for a moment: one recording, as long as the lesson, that goes on."""
    journal = without(lesson("H264", 12, size=SMALL), 5, 5 + drop, 1, 2)
    frames = of_video(journal)
    first = next(frame for frame in frames if frame.arrival_us > at_us(5))
    journal.records = [
        replace(record, after_loss=True) if record is first else record
        for record in journal.records
    ]
    manifest = record(journal)
    assert manifest["entry"]["state"] == "complete"
    assert manifest["entry"]["duration_s"] == pytest.approx(12, abs=0.1)
    video, _ = tracks(folder)
    assert pictures(video)[-1].time == pytest.approx(12, abs=0.1)
    assert largest_skew(folder) < 0.020


def test_whole_file_lost_on_a_crash(folder: Path):
    """What is on disk when the worker dies can be played up to the last closed segment."""
    journal = lesson("H264", 12, size=SMALL)
    recorder = LessonRecorder(folder, journal.opener(limit=900))
    while recorder.step(50):
        pass  # and then it is killed: nothing is closed
    video, audio = tracks(folder)
    assert video.duration >= 8
    assert audio.duration >= 8
    assert not video.ended
    assert pictures(video)


@pytest.mark.parametrize("drift", [-3e-4, 3e-4])
def test_av_drift_over_hours(drift: float, folder: Path, record: Record):
    """A sound card that is 300 ppm off, at the end of 104 minutes: 2 s, were it believed."""
    minutes = 104
    journal = Journal().start().publish(0, 1, "microphone", "opus")
    journal.publish(0, 2, "camera", "H264")
    audio = Sender(1, 48_000, base=7, drift=drift, report_every=5)
    video = Sender(2, 90_000, capture_delay=0.08, report_every=5)
    gop = [coded for coded in media.video("H264", 4, size=SMALL, gop=30) if coded.seconds < 1]
    spare = [coded for coded in media.audio() if coded.seconds < 1]
    for second in range(0, minutes * 60, 20):  # a second of media in twenty: the clocks matter
        journal.records += audio.frames(spare, second) + video.frames(gop, second)
        journal.records += audio.reports(second, second + 5) + video.reports(second, second + 5)
    journal.records.sort(key=lambda made: made.arrival_us)
    journal.end(minutes * 60)
    manifest = record(journal)
    assert minutes * 60 - 20 < manifest["entry"]["duration_s"] <= minutes * 60
    video_playlist = hls.read(folder / "media" / "camera" / "index.m3u8")
    sound = hls.read(folder / "media" / "audio" / "index.m3u8")
    last = pictures(replace(video_playlist, segments=video_playlist.segments[-20:]))
    heard = hls.decode(replace(sound, segments=sound.segments[-60:]).joined())
    skews = hls.skews(last, heard)
    assert len(skews) >= 2
    assert max(map(abs, skews)) < 0.020


def test_mute_removed_from_the_timeline(folder: Path, record: Record):
    """Eight seconds of mute are eight seconds of silence, not nothing."""
    journal = lesson("H264", 16, size=SMALL)
    journal.event(4, "track_muted", track=1, muted=True)
    journal.event(12, "track_muted", track=1, muted=False)
    manifest = record(without(journal, 4, 12, 1))
    _, audio = tracks(folder)
    assert audio.duration == pytest.approx(16, abs=0.1)
    beeps = hls.beeps(hls.decode(audio.joined()))
    assert not [beep for beep in beeps if 4 < beep < 11.5]
    assert largest_skew(folder) < 0.020
    (gap,) = manifest["gaps"]
    assert (gap["source"], gap["reason"]) == ("audio", "muted")


@pytest.mark.parametrize("jump", [90_000 * 8_460, -90_000 * 60, 2**31])
def test_timestamp_jump_reported_as_duration(jump: int, folder: Path, record: Record):
    """A minute reported as 2 h 22 min. The camera's clock jumps; the lesson's does not."""
    journal = lesson("H264", 20, size=SMALL)
    journal.records = [
        replace(record, timestamp=(record.timestamp + jump) & 0xFFFFFFFF)
        if getattr(record, "track", 0) == 2 and record.arrival_us > at_us(10)
        else record
        for record in journal.records
    ]
    manifest = record(journal)
    assert manifest["entry"]["duration_s"] == pytest.approx(20, abs=0.1)
    assert sum(path.stat().st_size for path in (folder / "media").rglob("*")) < 10_000_000
    assert largest_skew(folder) < 0.020


def test_sps_change_fragments_the_file(folder: Path, record: Record):
    """Three sizes in one lesson: one playlist, one clock, an init segment for each."""
    journal = Journal().start().publish(0, 1, "microphone", "opus")
    journal.publish(0, 2, "camera", "H264")
    sender = Sender(2, 90_000, capture_delay=0.08)
    for number, size in enumerate((SMALL, (320, 180), (240, 136))):
        at = 0.2 + number * 4
        journal.add(sender.frames(media.video("H264", size=size), at))
        journal.add(sender.reports(at, at + 4))
    sound = Sender(1, 48_000, base=7)
    journal.add(sound.frames(loop(media.audio(), 12), 0.2)).add(sound.reports(0.2, 12)).end(12.5)
    manifest = record(journal)
    video, _ = tracks(folder)
    assert len(manifest["entry"]["views"]) == 1
    assert len(video.inits) == 3
    assert len({frame.width for frame in pictures(video)}) == 3
    assert largest_skew(folder) < 0.020


def test_simulcast_switch_corrupts(folder: Path, record: Record):
    """Layers of two sizes in turn: each begins with a keyframe, and every picture is whole."""
    journal = Journal().start().publish(0, 1, "microphone", "opus")
    journal.publish(0, 2, "camera", "H264")
    sender = Sender(2, 90_000, capture_delay=0.08)
    for number in range(6):
        at = 0.2 + number * 2
        size = (SMALL, (320, 180))[number % 2]
        clip = [coded for coded in media.video("H264", size=size) if coded.seconds < 2]
        layer = replace(sender, base=sender.base + (0, 700, -500)[number % 3])
        journal.add(layer.frames(clip, at)).add(layer.reports(at, at + 2))
    sound = Sender(1, 48_000, base=7)
    journal.add(sound.frames(loop(media.audio(), 12), 0.2)).add(sound.reports(0.2, 12)).end(12.5)
    record(journal)
    video, _ = tracks(folder)
    frames = pictures(video)
    assert len(frames) == 360
    assert not any(frame.is_corrupt for frame in frames)
    assert len(hls.flashes(frames)) == 12
    assert largest_skew(folder) < 0.020


def test_frozen_until_the_next_keyframe(folder: Path, record: Record):
    """After a loss the picture stands still, not broken; as soon as a keyframe is there it moves.
    That one comes soon is the engine's part: it asks for one."""
    journal = lesson("H264", 8, size=SMALL)
    frames = of_video(journal)
    lost, follower = frames[70], frames[71]
    journal.records = [
        replace(record, after_loss=True) if record is follower else record
        for record in journal.records
        if record is not lost
    ]
    manifest = record(journal)
    video, _ = tracks(folder)
    shown = [frame.time for frame in pictures(video)]
    steps = [(b - a, a) for a, b in itertools.pairwise(shown)]
    longest, since = max(steps)
    assert since == pytest.approx(69 / 30, abs=0.02)
    assert since + longest == pytest.approx(120 / 30, abs=0.02)
    assert [gap["reason"] for gap in manifest["gaps"]] == ["loss"]


def test_starts_on_a_non_keyframe(folder: Path, record: Record):
    """A recording that begins in the middle of a GOP would show grey mud."""
    journal = lesson("H264", 8, size=SMALL)
    for frame in of_video(journal)[:25]:
        journal.records.remove(frame)
    record(journal)
    video, audio = tracks(folder)
    first = hls.decode(video.inits[0].read_bytes() + video.segments[0].path.read_bytes())[0]
    assert first.key_frame
    assert first.pts == 0
    assert video.duration == pytest.approx(audio.duration, abs=0.001)


@pytest.mark.parametrize("codec", ["H264", "VP9", "AV1"])
def test_black_recording(codec: str, folder: Path, record: Record):
    """There is a picture in every segment, and the poster is not black either."""
    record(lesson(codec, 6, size=SMALL))
    video, _ = tracks(folder)
    for segment in video.segments:
        frames = hls.decode(segment.init.read_bytes() + segment.path.read_bytes())
        assert all(np.mean(frame.to_ndarray(format="gray")) > 60 for frame in frames)
    with av.open(io.BytesIO((folder / "media" / "poster.jpg").read_bytes())) as poster:
        assert np.mean(next(poster.decode(video=0)).to_ndarray(format="gray")) > 60


def test_ten_days_behind(tmp_path: Path):
    """A lesson waits for no other: what is left over from a crash, with a day's work in it, does
    not stand before the one that has just ended."""
    left_over, math = lesson("H264", 240, size=SMALL, ended=False), lesson("H264", 8, size=SMALL)
    names = [f"20260911-1413{n:02d}-class{n}-00aa" for n in range(3)]
    journals = {**dict.fromkeys(names, left_over), LESSON: math}
    for name in journals:
        (tmp_path / "lessons" / name / "journal").mkdir(parents=True)
    worker = Worker(tmp_path, lambda path: FakeReader(journals[Path(path).parent.name], path))
    folders = {name: tmp_path / "lessons" / name for name in journals}
    while not (folders[LESSON] / "manifest.json").exists():
        assert worker.round(), "nobody works on it"
    assert not any((folders[name] / "manifest.json").exists() for name in names)
    assert read_manifest(folders[LESSON]).entry.duration_s == pytest.approx(8, abs=0.1)
    video, _ = tracks(folders[LESSON])
    assert video.ended
    assert pictures(video)[-1].time == pytest.approx(8, abs=0.1)
    other = hls.read(folders[names[0]] / "media" / "camera" / "index.m3u8")
    assert other.duration > 20, "nor do those wait for it"
    worker.catalogue.close()


def test_ten_days_behind_in_post_processing(
    folder: Path, record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """At its bell a lesson can be played and is listed, though all that is made of lessons later
    is still to be made of ten days' lessons; and of those the newest is the first."""
    lessons = [tmp_path / "lessons" / f"202609{day}-141300-math-00aa" for day in range(11, 21)]
    for other in lessons:
        archived(tmp_path, replace(entry_from_id(other.name), state="complete"))
    record(lesson("H264", 8, size=SMALL))
    catalogue = Catalogue(tmp_path)
    catalogue.reconcile(tmp_path)
    assert catalogue.search(Query()).hits[0].entry.id == LESSON
    assert verify(folder) == []
    video, _ = tracks(folder)
    assert video.ended
    assert pictures(video)[-1].time == pytest.approx(8, abs=0.1)
    catalogue.close()

    order: list[Path] = []
    monkeypatch.setattr(aftercare, "make", lambda made, reader: order.append(made) or Extras())
    assert aftercare.make_extras(tmp_path, None)
    assert order == [folder, *reversed(lessons)]


def test_disk_full(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Closed segments stay as they are, and when there is room again nothing is missing."""
    journal = lesson("H264", 12, size=SMALL)
    clock = itertools.count(0, 60).__next__
    worker = Worker(tmp_path, journal.opener(), clock=lambda: float(clock()))
    append, room = SegmentFile.append, 40

    def filling(self: SegmentFile, data: bytes) -> None:
        nonlocal room
        room -= 1
        if room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(SegmentFile, "append", filling)
        for _ in range(5):
            worker.round()
        assert not (folder / "manifest.json").exists()
    kept = {path: path.read_bytes() for path in (folder / "media").rglob("*.m4s")}
    while worker.round() or not worker.settled:
        pass
    assert folder.name == LESSON
    assert read_manifest(folder).entry.state == "complete"
    assert verify(folder) == []
    assert all(path.read_bytes().startswith(data) for path, data in kept.items())
    video, audio = tracks(folder)
    assert video.duration == pytest.approx(audio.duration, abs=0.001)
    assert video.duration == pytest.approx(12, abs=0.1)
