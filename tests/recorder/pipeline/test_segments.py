"""Segments that grow on disk: cut by time, found again by the next worker."""

import errno
import os
from pathlib import Path

import pytest

from recorder.archive.layout import LessonFolder
from recorder.news import Closed, News, Opened, Part
from recorder.pipeline.mux import init_segment
from recorder.pipeline.segments import Cut, Segmenter
from sfu._media import Samples
from tests.recorder import hls, media


@pytest.fixture
def told() -> list[News]:
    return []


def segmenter(folder: Path, told: list[News]) -> Segmenter:
    folder.mkdir(exist_ok=True)
    samples = Samples("opus", 1_000_000)
    segments = Segmenter("audio", LessonFolder(folder, told.append), 0.0, samples, Cut(96_000))
    segments.open(init_segment("opus", b""))
    return segments


def speak(segments: Segmenter, first: int, until: int, length: int = 960) -> None:
    """Packets of 20 ms from the first to the one before `until`."""
    for number in range(first, until):
        data = media.audio()[number % 200].data
        segments.samples.add(number * length, data, length, True)
        segments.samples.flush((number + 1) * length, True)
        segments.write()


def test_a_part_is_on_disk_and_told_as_soon_as_it_is_long_enough(folder: Path, told):
    segments = segmenter(folder, told)
    speak(segments, 0, 9)
    assert [type(news) for news in told] == [Opened]
    speak(segments, 9, 10)
    (part,) = told[1:]
    assert isinstance(part, Part)
    assert (part.segment, part.number, part.offset, part.duration) == (0, 0, 0, 0.2)
    data = (folder / "media/audio/000001.m4s").read_bytes()
    assert len(data) == part.size
    assert hls.fragments(data) == [(0, 9_600)]


def test_a_segment_is_its_parts_in_a_row(folder: Path, told):
    segments = segmenter(folder, told)
    speak(segments, 0, 105)
    parts = [news for news in told if isinstance(news, Part)]
    (closed,) = [news for news in told if isinstance(news, Closed)]
    assert [(part.segment, part.number) for part in parts[9:]] == [(0, 9)]
    assert (closed.segment, closed.uri, closed.duration) == (0, "000001.m4s", 2.0)
    assert closed.size == sum(part.size for part in parts) == segments.playlist.size
    assert [part.offset for part in parts] == [sum(p.size for p in parts[:n]) for n in range(10)]


def test_what_is_left_at_the_end_is_a_part_too(folder: Path, told):
    segments = segmenter(folder, told)
    speak(segments, 0, 13)
    segments.close()
    assert [part.duration for part in told if isinstance(part, Part)] == [0.2, 0.06]
    assert segments.playlist.duration == pytest.approx(0.26)
    segments.close()
    assert segments.playlist.count == 1


@pytest.mark.parametrize("killed_after", [1, 10, 55, 100, 101, 140])
def test_the_next_worker_finds_the_bytes_and_goes_on(folder: Path, told, killed_after: int):
    whole = segmenter(folder / "whole", [])
    speak(whole, 0, 150)
    whole.close()
    dead = segmenter(folder, [])
    speak(dead, 0, killed_after)
    times = {path: path.stat().st_mtime_ns for path in (folder / "media").rglob("*")}
    again = segmenter(folder, told)
    speak(again, 0, killed_after)
    assert all(path.stat().st_mtime_ns == time for path, time in times.items()), "rewritten"
    speak(again, killed_after, 150)
    again.close()
    assert files(folder / "media") == files(folder / "whole/media")


def test_what_another_version_left_is_overwritten_and_cut_off(folder: Path, told):
    segments = segmenter(folder, told)
    path = folder / "media/audio/000001.m4s"
    path.write_bytes(b"something else" * 10_000)
    speak(segments, 0, 100)
    assert hls.fragments(path.read_bytes())[-1] == (9 * 9_600, 9_600)


def test_a_disk_that_takes_a_part_of_a_part_is_told(folder: Path, told, monkeypatch):
    write = os.pwrite

    def filling(file: int, data: bytes, offset: int) -> int:
        if offset > 100:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data[:101], offset)

    monkeypatch.setattr(os, "pwrite", filling)
    segments = segmenter(folder, told)
    with pytest.raises(OSError, match="No space left"):
        speak(segments, 0, 20)
    assert not [news for news in told if isinstance(news, Part)], "it is not there"
    segments.abandon()
    segments.abandon()
    monkeypatch.undo()
    again = segmenter(folder, told)
    speak(again, 0, 20)
    assert hls.fragments((folder / "media/audio/000001.m4s").read_bytes())[1] == (9_600, 9_600)


def test_packets_of_any_length_make_parts_within_the_target(folder: Path, told):
    for length in (120, 480, 2_880, 5_760):
        named = folder / str(length)
        told.clear()
        segments = segmenter(named, told)
        speak(segments, 0, 288_000 // length, length)
        segments.close()
        parts = [news.duration for news in told if isinstance(news, Part)]
        assert max(parts) <= 0.22
        assert sum(parts) == pytest.approx(6)


def files(folder: Path) -> dict[str, bytes]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
