"""Damage of every kind: it is found, and mended from what is left."""

import shutil
from pathlib import Path

import pytest

from recorder.archive import upload
from recorder.archive.extras.make import make
from recorder.archive.layout import read_extras, read_manifest, verify
from recorder.archive.repair import Report, rebuild_catalogue, repair
from recorder.archive.storage import Storage
from recorder.archive.verify import faults
from recorder.catalogue import Catalogue
from recorder.errors import ArchiveError
from tests.recorder.journals import Journal, lesson
from tests.recorder.s3 import BUCKET

FILES = [
    "manifest.json",
    "SHA256SUMS",
    "chat.jsonl",
    "extras.json",
    "media/audio.m3u8",
    "media/camera/000001.m4s",
    "media/camera/index.m3u8",
    "media/camera/init-0001.mp4",
    "media/extras/sprite-0001.jpg",
    "media/extras/thumbnails.vtt",
    "media/poster.jpg",
]


@pytest.fixture
def journal() -> Journal:
    journal = Journal().start()
    journal.event(1.0, "chat", identity="hill", role="school", name="山坡", message="1", text="好")
    return lesson("H264", 4, journal=journal)


@pytest.fixture
def taught(folder: Path, journal: Journal, record) -> Path:
    record(journal)
    (folder / "journal" / "000000.tbj").write_bytes(b"stands for the journal" * 50)
    make(folder, journal.opener())
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "upload.json"
    }


def mended(folder: Path, journal: Journal, storage: Storage | None = None) -> Report:
    return repair(folder, journal.opener(), Catalogue(folder.parent.parent), storage)


def flip(path: Path, at: int = -5) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", ["begin", "middle", "end"])
def test_a_flipped_bit_is_found_and_mended(taught: Path, journal: Journal, name: str, place: str):
    before = content(taught)
    size = (taught / name).stat().st_size
    flip(taught / name, {"begin": 0, "middle": size // 2, "end": size - 3}[place])
    assert faults(taught)
    report = mended(taught, journal)
    assert report.left == []
    assert report.mended
    assert verify(taught) == []
    assert content(taught) == before


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_found_and_made_again(taught: Path, journal: Journal, name: str):
    before = content(taught)
    (taught / name).unlink()
    assert mended(taught, journal).left == []
    assert content(taught) == before


def test_a_vanished_media_folder_is_made_again(taught: Path, journal: Journal):
    before = content(taught)
    shutil.rmtree(taught / "media")
    assert mended(taught, journal).left == []
    assert content(taught) == before
    assert Catalogue(taught.parent.parent).find(taught.name).state == "complete"


def test_a_whole_lesson_is_left_as_it_is(taught: Path, journal: Journal):
    before = content(taught)
    report = mended(taught, journal)
    assert (report.mended, report.left) == ([], [])
    assert content(taught) == before


def test_a_damaged_journal_is_told_and_the_media_stays(taught: Path, journal: Journal):
    flip(taught / "journal" / "000000.tbj")
    report = mended(taught, journal)
    assert [fault.name for fault in report.left] == ["journal/000000.tbj"]


def test_what_another_version_made_is_replaced_as_a_whole(taught: Path, journal: Journal):
    other = lesson("H264", 4, size=(160, 90))
    (taught / "media" / "camera" / "000001.m4s").unlink()
    assert mended(taught, other).left == []
    assert read_manifest(taught).entry.views[0].width == 160
    assert verify(taught) == []
    assert read_extras(taught).thumbnails


def test_without_a_journal_the_storage_helps(taught: Path, journal: Journal, way, tmp_path: Path):
    storage = Storage(f"s3://{BUCKET}/{tmp_path.name}", way.url)
    upload.store(taught, storage, 1.0)
    before = content(taught)
    shutil.rmtree(taught / "media" / "camera")
    shutil.rmtree(taught / "journal")
    assert mended(taught, journal, storage).left == []
    assert content(taught) == before
    shutil.rmtree(taught)
    assert mended(taught, journal, storage).left == []
    assert content(taught) == before


def test_what_is_nowhere_is_told(tmp_path: Path, journal: Journal):
    with pytest.raises(ArchiveError, match="neither a journal nor a stored copy"):
        mended(tmp_path / "lessons" / "20260921-141320-math-00ab", journal)


def test_a_live_lesson_is_left_alone(folder: Path, journal: Journal):
    import fcntl

    with (folder / "journal" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ArchiveError, match="still being recorded"):
            mended(folder, journal)


def test_the_catalogue_is_made_again(taught: Path):
    data_dir = taught.parent.parent
    (data_dir / "catalogue.sqlite").unlink(missing_ok=True)
    assert rebuild_catalogue(Catalogue(data_dir), data_dir) == 1
    assert Catalogue(data_dir).find(taught.name).thumbnails
