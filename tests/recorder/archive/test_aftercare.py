"""What is done with finished lessons, as its processes do it."""

import errno
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recorder.archive import aftercare, policy, upload
from recorder.archive.aftercare import make_extras, tend_storage
from recorder.archive.layout import read_entry, read_extras, verify
from recorder.archive.policy import Policy, Rule
from recorder.archive.storage import Storage
from recorder.catalogue import Catalogue
from tests.recorder import tbj
from tests.recorder.journals import lesson
from tests.recorder.s3 import BUCKET

NOW = 1_800_000_000.0


@pytest.fixture
def taught(folder: Path, record) -> Path:
    record(lesson("H264", 4))
    return folder


def test_extras_are_made_once_and_the_catalogue_knows(taught: Path, tmp_path: Path):
    assert make_extras(tmp_path, None)
    entry = Catalogue(tmp_path).find(taught.name)
    assert entry == read_entry(taught)
    assert entry.thumbnails == "extras/thumbnails.vtt"
    before = (taught / "extras.json").stat().st_mtime_ns
    assert make_extras(tmp_path, None)
    assert (taught / "extras.json").stat().st_mtime_ns == before


def test_a_full_disk_is_tried_again(taught: Path, tmp_path: Path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(aftercare, "make", full)
    assert not make_extras(tmp_path, None)
    assert read_extras(taught) is None
    monkeypatch.undo()
    assert make_extras(tmp_path, None)
    assert verify(taught) == []


def test_a_lesson_that_crashes_the_process_is_left_alone_at_last(
    taught: Path, tmp_path: Path, monkeypatch
):
    class Crash(BaseException):
        pass

    def crash(*_: object) -> None:
        raise Crash

    monkeypatch.setattr(aftercare, "make", crash)
    for _ in range(aftercare.TRIES):
        with pytest.raises(Crash):
            make_extras(tmp_path, None)
    assert make_extras(tmp_path, None)
    assert read_extras(taught).notes == ["The extras could not be made: the attempts crashed."]
    assert verify(taught) == []


def test_it_stops_when_the_worker_is_gone(taught: Path, tmp_path: Path):
    assert not make_extras(tmp_path, None, lambda: True)
    assert read_extras(taught) is None


@pytest.fixture
def stored_in(way, tmp_path: Path) -> Storage:
    url = f"s3://{BUCKET}/{tmp_path.name}"
    policy.write(tmp_path, Policy(storage=url, endpoint=way.url, keep_local_days=0))
    return Storage(url, way.url)


def test_lessons_are_stored_and_then_freed(taught: Path, tmp_path: Path, stored_in: Storage):
    assert not tend_storage(tmp_path, lambda: NOW), "its extras come first"
    assert not (taught / "upload.json").exists()
    make_extras(tmp_path, None)
    assert tend_storage(tmp_path, lambda: NOW)
    assert upload.read(taught).local == "removed"
    assert upload.check(taught, stored_in, read_back=True) == []
    assert tend_storage(tmp_path, lambda: NOW)


@pytest.mark.damaged("it is what must not be stored")
def test_a_damaged_lesson_is_not_stored_and_waits_for_its_repair(
    taught: Path, tmp_path: Path, stored_in: Storage
):
    make_extras(tmp_path, None)
    (taught / "media" / "camera" / "000001.m4s").write_bytes(b"damaged")
    assert tend_storage(tmp_path, lambda: NOW), "trying again soon would change nothing"
    assert not stored_in.has(taught.name, "manifest.json")


def test_a_lesson_deleted_on_its_way_leaves_nothing(
    taught: Path, tmp_path: Path, stored_in: Storage, way
):
    make_extras(tmp_path, None)

    def vanish(method: str, path: str, number: int) -> str:
        if method == "PUT" and taught.exists():
            taught.rename(tmp_path / "gone")
        return "pass"

    way.plan = vanish
    tend_storage(tmp_path, lambda: NOW)
    assert stored_in.listing(taught.name) == {}


def test_retention_works_without_a_storage(taught: Path, tmp_path: Path):
    policy.write(tmp_path, Policy(retention=(Rule(1),)))
    assert tend_storage(tmp_path, lambda: NOW)
    assert not taught.exists()


def test_the_process_does_what_there_is_to_do(taught: Path, tmp_path: Path):
    command = [sys.executable, "-m", "recorder.archive.aftercare", "extras"]
    command += ["--data-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert read_entry(taught).chapters == "extras/chapters.vtt"


def test_the_worker_has_it_done(folder: Path):
    """From the journal to thumbnails, by the real processes, and nobody asks for it."""
    tbj.write(lesson("H264", 4), folder / "journal")
    command = [sys.executable, "-m", "recorder.worker", "--data-dir", str(folder.parent.parent)]
    worker = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        patience = time.monotonic() + 60
        while "extras.json" not in _listed(folder) and time.monotonic() < patience:
            time.sleep(0.05)
    finally:
        worker.terminate()
        worker.wait(timeout=30)
    assert "extras.json" in _listed(folder)
    assert verify(folder) == []
    assert read_entry(folder).thumbnails == "extras/thumbnails.vtt"


def _listed(folder: Path) -> str:
    """The last thing that the extras' process writes."""
    sums = folder / "SHA256SUMS"
    return sums.read_text() if sums.exists() else ""
