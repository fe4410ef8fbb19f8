"""The recorder with the real reader and as a real process: journals on disk, kills, signals."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recorder.archive.layout import Manifest, read_manifest, verify
from recorder.news import News, Part, decode
from recorder.pipeline.lesson import LessonRecorder
from recorder.pipeline.playlist import segments_listed
from recorder.supervisor import Supervisor
from sfu._media import JournalReader
from tests.recorder import hls, tbj
from tests.recorder.journals import lesson


@pytest.mark.parametrize("codec", ["H264", "VP9", "AV1"])
def test_the_real_readers_frames_make_the_same_archive(codec: str, folder: Path, record):
    journal = lesson(codec, 8)
    tbj.write(journal, folder / "journal")
    recorder = LessonRecorder(folder, JournalReader)
    while not recorder.over:
        recorder.step(100)
    recorder.finish()
    real = read_manifest(folder)
    assert real.counts["journal_errors"] == 0
    assert real.counts["frames_dropped"] == 0
    record(journal)
    double = read_manifest(folder)
    assert _segments(real) == _segments(double)


def test_a_vp8_journal_becomes_a_webm(folder: Path):
    tbj.write(lesson("VP8", 6), folder / "journal")
    recorder = LessonRecorder(folder, JournalReader)
    while not recorder.over:
        recorder.step(100)
    recorder.finish()
    assert read_manifest(folder).counts["frames"] == 180 + 300
    assert (folder / "media" / "camera.webm").exists()


def test_a_torn_journal_of_a_killed_node_is_recovered(folder: Path):
    journal = lesson("H264", 8, ended=False)
    writer = tbj.Writer(folder / "journal")
    writer.write(journal.records[:-1])
    writer.write_torn(journal.records[-1])
    recorder = LessonRecorder(folder, JournalReader)
    while recorder.step(500):
        pass
    assert not recorder.over, "its writer still holds the lock"
    writer.kill()
    while not recorder.over:
        recorder.step(500)
    recorder.finish()
    entry = read_manifest(folder).entry
    assert entry.state == "recovered"
    assert entry.duration_s == pytest.approx(8, abs=0.1)


def _segments(manifest: Manifest) -> dict[str, object]:
    return {name: facts for name, facts in manifest.files.items() if name.endswith(".m4s")}


class Process:
    """The worker as its own process."""

    def __init__(self, data_dir: Path) -> None:
        command = [sys.executable, "-m", "recorder.worker", "--data-dir", str(data_dir)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.pid = self._process.pid

    def ready(self) -> None:
        """Wait until it works, and so holds the folder: it says "ok" then."""
        assert self._process.stdout
        assert self._process.stdout.readline() == b"ok\n"

    def hear(self) -> News:
        """The next news, past the states between."""
        assert self._process.stdout
        while not (line := self._process.stdout.readline()).startswith(b"{"):
            assert line, "it is gone"
        return decode(line.decode())

    def hang_up(self) -> None:
        """Listen no longer, as a node that was killed."""
        assert self._process.stdout
        self._process.stdout.close()

    def wait(self) -> int:
        """Its exit code, once it has one."""
        return self._process.wait(60)

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Signal it; its exit code and what it complained of."""
        if self._process.poll() is None:
            self._process.send_signal(number)
        if self._process.stdout and self._process.stdout.closed:
            self._process.stdout = None
        _, complaints = self._process.communicate(timeout=10)
        return self._process.returncode, complaints.decode()


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Callable[[], Process]]:
    """Starts workers on the test's data folder, and ends those that are left."""
    started: list[Process] = []

    def start(data_dir: Path = tmp_path) -> Process:
        started.append(Process(data_dir))
        return started[-1]

    yield start
    for process in started:
        process.end(signal.SIGKILL)


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Another process can only be watched."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def listed(folder: Path) -> int:
    playlist = folder / "media" / "camera" / "index.m3u8"
    return segments_listed(playlist.read_text()) if playlist.exists() else 0


def test_sigterm_ends_a_worker_in_good_order(folder: Path, worker):
    writer = tbj.Writer(folder / "journal")
    writer.write(lesson("H264", 8, ended=False).records)
    process = worker()
    wait_until(lambda: listed(folder) >= 2)
    began = time.monotonic()
    assert process.end(signal.SIGTERM) == (0, "")
    assert time.monotonic() - began < 3, "a node that stops has no longer patience"
    assert not (folder / "manifest.json").exists()
    writer.kill()


def test_what_has_ended_is_finished_before_the_end(folder: Path, worker):
    journal = lesson("H264", 8)
    writer = tbj.Writer(folder / "journal")
    writer.write(journal.records[:-2])
    process = worker()
    wait_until(lambda: listed(folder) >= 2)
    os.kill(process.pid, signal.SIGSTOP)
    writer.write(journal.records[-2:])
    writer.kill()
    os.kill(process.pid, signal.SIGCONT)
    assert process.end(signal.SIGTERM) == (0, "")
    assert read_manifest(folder).entry.state == "complete"


def test_a_worker_killed_in_mid_lesson_leaves_no_hole(folder: Path, worker):
    journal = lesson("H264", 20)
    writer = tbj.Writer(folder / "journal")
    at = 0
    for part in (400, 800, 1_200):
        writer.write(journal.records[at:part])
        at = part
        process = worker()
        before = listed(folder)
        wait_until(lambda before=before: listed(folder) > before)
        process.end(signal.SIGKILL)
    writer.write(journal.records[at:])
    writer.kill()
    worker()
    wait_until(lambda: (folder / "manifest.json").exists())
    video = hls.read(folder / "media" / "camera" / "index.m3u8")
    hls.check(video, 90_000)
    assert len(hls.decode(video.joined())) == 600
    assert read_manifest(folder).entry.state == "complete"
    assert verify(folder) == []


def test_parts_are_told_as_soon_as_they_are_on_disk(folder: Path, worker):
    writer = tbj.Writer(folder / "journal")
    writer.write(lesson("H264", 3, ended=False).records)
    process = worker()
    while not isinstance(news := process.hear(), Part):
        pass
    path = folder / "media" / news.rendition / f"{news.segment + 1:06d}.m4s"
    assert path.stat().st_size >= news.offset + news.size
    writer.kill()


def test_an_orphan_goes_on_recording(folder: Path, worker):
    journal = lesson("H264", 8)
    writer = tbj.Writer(folder / "journal")
    writer.write(journal.records[:300])
    process = worker()
    process.hear()
    process.hang_up()
    writer.write(journal.records[300:])
    writer.kill()
    wait_until(lambda: (folder / "manifest.json").exists(), 60)
    assert read_manifest(folder).entry.state == "complete"
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait() == 0


def test_two_workers_do_not_share_a_folder(tmp_path: Path, folder: Path, worker):
    first = worker()
    first.ready()
    second = worker()
    tbj.write(lesson("H264", 4), folder / "journal")
    wait_until(lambda: (folder / "manifest.json").exists())
    assert first.end(signal.SIGTERM)[0] == 0
    assert second.end(signal.SIGTERM)[0] in (0, -signal.SIGTERM), "it may still be starting"


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path, worker):
    (tmp_path / "file").touch()
    code, complaints = worker(tmp_path / "file").end(signal.SIGCONT)
    assert code == 2
    assert complaints.startswith("The recorder cannot start: ")
    assert complaints.count("\n") == 1


async def test_a_supervised_worker_says_that_it_is_well(tmp_path: Path):
    states: asyncio.Queue[str] = asyncio.Queue()
    supervisor = Supervisor(tmp_path, states.put_nowait)
    await supervisor.start()
    async with asyncio.timeout(10):
        assert await states.get() == "ok"
    await supervisor.stop(5)
    assert states.get_nowait() == "off"
