"""Lessons as files that any player takes, and as folders that verify without us."""

import io
import tarfile
from pathlib import Path

import av
import pytest

from recorder.archive import export
from recorder.archive.extras.make import make
from recorder.archive.layout import read_manifest, verify
from recorder.errors import ArchiveError, MediaError
from tests.recorder import hls, validators
from tests.recorder.journals import Journal, Sender, lesson, loop
from tests.recorder.media import video


def exported(folder: Path, target: Path, view: str | None = None) -> list[float]:
    told: list[float] = []
    export.as_film(folder, target, view, told.append)
    return told


def watch(target: Path, seconds: float, flashes: int) -> None:
    validators.probe(target, seconds, 2)
    with av.open(str(target)) as container:
        pictures = list(container.decode(video=0))
    with av.open(str(target)) as container:
        sound = list(container.decode(audio=0))
    skews = hls.skews(pictures, sound)
    assert len(skews) >= flashes
    assert all(abs(skew) < 0.06 for skew in skews), skews


@pytest.mark.parametrize(
    ("codec", "name"),
    [("H264", "x.mp4"), ("VP9", "x.mp4"), ("AV1", "x.mp4"), ("VP9", "x.webm"), ("VP8", "x.webm")],
)
def test_a_lesson_becomes_one_film(folder: Path, record, tmp_path: Path, codec: str, name: str):
    record(lesson(codec, 6))
    told = exported(folder, tmp_path / name)
    watch(tmp_path / name, 6.0, 5)
    assert codec == "VP8" or told[-1] == pytest.approx(6.0, abs=0.2)
    assert sorted(tmp_path.glob(".*")) == []


def test_an_mp4_starts_at_once(folder: Path, record, tmp_path: Path):
    record(lesson("H264", 4))
    exported(folder, tmp_path / "x.mp4")
    head = (tmp_path / "x.mp4").read_bytes()[:200]
    assert b"moov" in head, "its index is before its media"
    with av.open(io.BytesIO((tmp_path / "x.mp4").read_bytes())) as container:
        assert container.metadata["title"] == "Mathematics"


def test_a_film_goes_on_when_the_picture_changes_its_size(folder: Path, record, tmp_path: Path):
    """As after a reconnection: SPS and PPS are other ones from there on."""
    journal = lesson("H264", 4, ended=False)
    lesson("H264", 4, journal=journal, at=5.0, tracks=(3, 4), size=(640, 360))
    record(journal)
    assert len(hls.read(folder / "media" / "camera" / "index.m3u8").inits) == 2
    exported(folder, tmp_path / "x.mp4")
    with av.open(str(tmp_path / "x.mp4")) as container:
        sizes = [(frame.width, frame.height) for frame in container.decode(video=0)]
    assert sizes[0] == (320, 180)
    assert sizes[-1] == (640, 360)
    assert sizes.count((640, 360)) == 120


def test_the_view_that_is_asked_for_is_shown(folder: Path, record, tmp_path: Path):
    journal = Journal().start().publish(0.1, 3, "slides", "H264")
    coded = loop(video("H264", size=(160, 90)), 4)
    journal.add(Sender(3, 90_000, capture_delay=0.05).frames(coded, 0.2))
    record(lesson("H264", 4, journal=journal))
    exported(folder, tmp_path / "x.mp4", "slides")
    with av.open(str(tmp_path / "x.mp4")) as container:
        assert container.streams.video[0].width == 160
    exported(folder, tmp_path / "y.mp4")
    with av.open(str(tmp_path / "y.mp4")) as container:
        assert container.streams.video[0].width == 320


@pytest.mark.parametrize(
    ("codec", "name", "view", "sentence"),
    [
        ("H264", "x.webm", None, r"is H264, which does not go into WEBM: .* ends with \.mp4"),
        ("VP8", "x.mp4", None, r"is VP8, which does not go into MP4: .* ends with \.webm"),
        ("H264", "x.mp4", "floor", "no such view; it has: camera"),
    ],
)
def test_what_does_not_go_is_told(folder, record, tmp_path: Path, codec, name, view, sentence):
    record(lesson(codec, 2))
    with pytest.raises(ArchiveError, match=sentence):
        exported(folder, tmp_path / name, view)
    assert not (tmp_path / name).exists()


@pytest.mark.damaged("an export must notice it")
def test_a_damaged_lesson_leaves_no_half_film(folder: Path, record, tmp_path: Path):
    record(lesson("H264", 4))
    for path in (folder / "media" / "camera").glob("init-*"):
        path.write_bytes(b"\0" * 500)
    with pytest.raises((MediaError, ArchiveError)):
        exported(folder, tmp_path / "x.mp4")
    assert sorted(tmp_path.glob("*x.mp4*")) == []


def test_a_folder_and_a_tar_have_all_of_it(folder: Path, record, tmp_path: Path):
    journal = lesson("H264", 4)
    record(journal)
    make(folder, journal.opener())
    names: list[str] = []
    out = tmp_path / "out" / folder.name
    export.as_folder(folder, out, names.append)
    assert verify(out) == []
    assert "manifest.json" in names
    with pytest.raises(ArchiveError, match="is there already"):
        export.as_folder(folder, out, names.append)
    export.as_tar(folder, tmp_path / "x.tar", names.append)
    with tarfile.open(tmp_path / "x.tar") as tar:
        tar.extractall(tmp_path / "again", filter="data")
    assert verify(tmp_path / "again" / folder.name) == []
    assert read_manifest(tmp_path / "again" / folder.name).entry.title == "Mathematics"


@pytest.mark.parametrize("codec", ["H264", "VP9", "AV1", "VP8"])
def test_other_readers_take_our_archives(folder: Path, record, codec: str):
    record(lesson(codec, 6))
    validators.check(folder)


def test_other_readers_take_lessons_with_breaks_and_changes(folder: Path, record):
    """A teacher who comes back with another picture, slides that begin late, a hole in between."""
    journal = Journal().start().publish(3.0, 5, "slides", "H264")
    coded = loop(video("H264", size=(640, 360)), 4)
    journal.add(Sender(5, 90_000, capture_delay=0.05).frames(coded, 3.1))
    lesson("H264", 4, journal=journal, ended=False)
    lesson("H264", 4, journal=journal, at=14.0, tracks=(3, 4), size=(640, 360))
    record(journal)
    validators.check(folder)
