"""The worker over many lessons: it resumes, waits, gives up on one, and goes on."""

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recorder.archive.layout import read_manifest, verify
from recorder.catalogue import Query
from recorder.worker import Worker
from tests.recorder import hls
from tests.recorder.journals import FakeReader, Journal, lesson


class Clock:
    """A monotonic clock that stands still unless told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class School:
    """A data folder with journals in memory, and workers that come and go."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.clock = Clock()
        self.states: list[str] = []
        self.journals: dict[str, Journal] = {}
        self.limits: dict[str, int] = {}
        self.broken: Callable[[FakeReader], list[Any]] | None = None

    def teach(self, name: str, journal: Journal) -> Path:
        folder = self.data_dir / "lessons" / f"20260921-141320-{name}-00aa"
        (folder / "journal").mkdir(parents=True)
        self.journals[str(folder / "journal")] = journal
        return folder

    def open(self, directory: str) -> FakeReader:
        return FakeReader(self.journals[directory], directory, self.limits.get(directory))

    def worker(self) -> Worker:
        return Worker(self.data_dir, self.open, self.clock, self.states.append)

    def run(self, worker: Worker, seconds: float = 3.0) -> None:
        """Rounds every 200 ms of the clock, until it has been idle for so long."""
        idle = 0.0
        while idle < seconds:
            idle = 0.0 if worker.round() else idle + 0.2
            self.clock.now += 0.2

    def wait(self, worker: Worker, seconds: float) -> None:
        """Rounds for so long by the clock, whatever they do."""
        until = self.clock.now + seconds
        while self.clock.now < until:
            worker.round()
            self.clock.now += 0.2

    def state(self, folder: Path) -> str:
        return read_manifest(folder).entry.state


@pytest.fixture
def school(tmp_path: Path) -> School:
    return School(tmp_path)


def test_lessons_are_recorded_side_by_side(school: School):
    folders = [
        school.teach("math", lesson("H264", 6)),
        school.teach("art", lesson("VP8", 6)),
        school.teach("music", lesson("VP9", 6)),
    ]
    worker = school.worker()
    school.run(worker)
    assert [school.state(folder) for folder in folders] == ["complete"] * 3
    assert [verify(folder) for folder in folders] == [[], [], []]
    found = worker.catalogue.search(Query()).hits
    assert [hit.entry.state for hit in found] == ["complete"] * 3
    assert school.states == ["ok"]


def test_a_lesson_that_begins_later_is_found(school: School):
    worker = school.worker()
    school.run(worker)
    folder = school.teach("math", lesson("H264", 4))
    school.run(worker)
    assert school.state(folder) == "complete"


def test_a_live_lesson_is_in_the_catalogue(school: School):
    folder = school.teach("math", lesson("H264", 10, ended=False))
    with (folder / "journal" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        worker = school.worker()
        school.run(worker)
        entry = worker.catalogue.find(folder.name)
    assert (entry.state, entry.title) == ("live", "Mathematics")
    assert entry.views[0].hls == "camera.m3u8"
    assert entry.audio.hls == "audio.m3u8"
    assert entry.poster == "poster.jpg"


def test_a_killed_node_leaves_a_recovered_lesson(school: School):
    folder = school.teach("math", lesson("H264", 8, ended=False))
    school.run(school.worker())
    entry = read_manifest(folder).entry
    assert entry.state == "recovered"
    assert entry.duration_s == pytest.approx(8, abs=0.1)
    assert hls.read(folder / "media" / "camera" / "index.m3u8").ended


def test_a_worker_killed_at_any_point_leaves_no_hole(school: School):
    folder = school.teach("math", lesson("H264", 12))
    journal = str(folder / "journal")
    for limit in (1, 40, 200, 555, 900):
        school.limits[journal] = limit
        worker = school.worker()
        with (folder / "journal" / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            school.run(worker, 0.4)
    del school.limits[journal]
    school.run(school.worker())
    video = hls.read(folder / "media" / "camera" / "index.m3u8")
    hls.check(video, 90_000)
    assert len(hls.decode(video.joined())) == 360
    assert school.state(folder) == "complete"


def test_finished_lessons_are_left_alone(school: School):
    folder = school.teach("math", lesson("H264", 4))
    school.run(school.worker())
    before = (folder / "manifest.json").stat().st_mtime_ns
    school.journals.clear()
    school.run(school.worker())
    assert (folder / "manifest.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("when", ["at once", "in the middle"])
def test_a_bad_lesson_is_degraded_after_three_tries_and_the_others_go_on(school: School, when):
    bad, good = lesson("H264", 8), lesson("H264", 8)
    school.teach("good", good)
    folder = school.teach("bad", bad)
    opened = []

    class Broken(FakeReader):
        def read(self, limit: int) -> list[Any]:
            if when == "at once" or self._at > 500:
                raise RuntimeError("boom")
            return super().read(min(limit, 300))

    def open_reader(directory: str) -> FakeReader:
        journal = school.journals[directory]
        if journal is bad:
            opened.append(directory)
            return Broken(journal, directory)
        return FakeReader(journal, directory)

    worker = Worker(school.data_dir, open_reader, school.clock, school.states.append)
    school.run(worker)
    manifest = read_manifest(folder)
    assert len(opened) == 3
    assert manifest.entry.state == "degraded"
    assert manifest.entry.reason == "RuntimeError: boom"
    assert verify(folder) == []
    assert worker.catalogue.find(folder.name).state == "degraded"
    assert school.state(folder.with_name(folder.name.replace("bad", "good"))) == "complete"
    if when == "in the middle":
        video = hls.read(folder / "media" / "camera" / "index.m3u8")
        hls.check(video, 90_000)
        assert video.ended
        assert manifest.entry.duration_s == pytest.approx(video.duration, abs=0.2)


def test_what_is_no_journal_is_degraded(school: School):
    folder = school.teach("math", Journal())

    def no_journal(directory: str) -> FakeReader:
        raise ValueError("bad magic")

    worker = Worker(school.data_dir, no_journal, school.clock, school.states.append)
    school.wait(worker, 5)
    assert "bad magic" in (read_manifest(folder).entry.reason or "")


def test_a_folder_without_a_journal_is_waited_for(school: School):
    folder = school.teach("math", lesson("H264", 4))
    (folder / "journal").rmdir()
    worker = school.worker()
    school.run(worker)
    assert not (folder / "manifest.json").exists()
    (folder / "journal").mkdir()
    school.run(worker)
    assert school.state(folder) == "complete"


def test_a_full_disk_is_waited_out_and_damages_nothing(school: School, monkeypatch):
    folder = school.teach("math", lesson("H264", 12))
    write, room = os.pwrite, [60_000]

    def filling(file: int, data: bytes, offset: int) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = data[: room[0]]  # a full disk takes what fits
        room[0] -= len(taken)
        return write(file, taken, offset)

    monkeypatch.setattr(os, "pwrite", filling)
    worker = school.worker()
    school.wait(worker, 20)
    assert school.states == ["failing: disk full"]
    assert not (folder / "manifest.json").exists()
    media = folder / "media"
    closed = {path: path.read_bytes() for path in media.rglob("0*.m4s")}
    assert closed

    room[0] = 10**9
    school.wait(worker, 60)
    assert school.states == ["failing: disk full", "ok"]
    assert school.state(folder) == "complete"
    assert verify(folder) == []
    assert all(path.read_bytes().startswith(data) for path, data in closed.items())
    hls.check(hls.read(media / "camera" / "index.m3u8"), 90_000)


def test_a_folder_that_vanishes_is_let_go(school: School):
    folder = school.teach("math", lesson("H264", 10))
    journal = str(folder / "journal")
    school.limits[journal] = 500
    other = school.teach("art", lesson("H264", 4))
    worker = school.worker()
    with (folder / "journal" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        school.run(worker)
    folder.rename(folder.with_name("elsewhere"))
    school.limits.clear()
    worker_states = len(school.states)
    school.run(worker)
    assert not folder.exists()
    assert worker.catalogue.find(folder.name) is None
    assert school.state(other) == "complete"
    assert len(school.states) == worker_states


def test_a_title_is_as_the_teacher_wrote_it(school: School):
    journal = lesson("H264", 4, journal=Journal().start("数学", "分数的加法"))
    folder = school.teach("数学", journal)
    worker = school.worker()
    school.run(worker)
    (hit,) = worker.catalogue.search(Query("分数")).hits
    entry = hit.entry
    assert entry == read_manifest(folder).entry
    assert (entry.lesson, entry.title) == ("数学", "分数的加法")
