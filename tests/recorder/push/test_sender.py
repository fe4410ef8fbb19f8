"""A push follows a lesson: where it begins, what it does when it is slow, and how it ends."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest

from recorder.push import sender as push
from recorder.push.sender import Job, Push, PushError
from tests.recorder import media
from tests.recorder.journals import Journal, Sender, at_us, lesson


class Files(push._Target):
    """Stands for a platform: each connection is a file."""

    def __init__(self, folder: Path) -> None:
        super().__init__("")
        self._folder = folder
        self.count = 0

    def open(self) -> Any:
        self.count += 1
        return str(self._folder / f"{self.count}.flv")


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    files = Files(tmp_path)
    monkeypatch.setattr(push, "_target", lambda url: files)
    return files


class Follower:
    """A push of a journal that grows."""

    def __init__(self, folder: Path, journal: Journal, source: str = "camera") -> None:
        self.reader = journal.opener(0)(str(folder))
        self.journal = journal
        self.push = Push(Job(folder, "rtmp://x/y", source), lambda directory: self.reader)

    def until(self, at: float, behind: float = 0.05) -> None:
        """The journal has come so far (seconds)."""
        self.reader.limit = sum(r.arrival_us <= at_us(at) for r in self.journal.records)
        while self.push.step(at_us(at + behind)):
            pass

    def through(self, start: float, end: float, behind: float = 0.05) -> None:
        at = start
        while at < end:
            at = min(at + 0.1, end)
            self.until(at, behind)

    def end(self) -> None:
        self.reader.limit = None
        while not self.push.over:
            self.push.step(self.journal.records[-1].arrival_us)


@pytest.fixture
def folder(folder: Path) -> Path:
    return folder / "journal"


def look(path: Path) -> tuple[list[float], list[float]]:
    """The times of the pictures and of the sound in a file, all of which decode."""
    times: dict[str, list[float]] = {"video": [], "audio": []}
    with av.open(path) as source:
        for packet in source.demux():
            if packet.dts is not None:
                times[packet.stream.type].append(float(packet.dts * packet.time_base))
            list(packet.decode())
    return times["video"], times["audio"]


def test_who_comes_late_begins_with_the_next_keyframe(folder: Path, platform: Files):
    follower = Follower(folder, lesson(seconds=12))
    follower.until(5.0)
    assert platform.count == 0
    assert follower.push.report["state"] == "waiting"
    follower.through(5.0, 12.0)
    report = follower.push.report
    assert (report["state"], report["video"], report["audio"]) == ("live", "H264", "opus to aac")
    assert report["behind_s"] < 1
    follower.end()
    assert platform.count == 1
    video, audio = look(folder.parents[2] / "1.flv")
    assert video[0] == pytest.approx(0, abs=0.01)
    assert video[-1] == pytest.approx(12.2 - 6.2, abs=0.3)  # its keyframes are 2 s apart
    assert audio[-1] == pytest.approx(video[-1], abs=0.3)


def test_another_size_is_another_connection(folder: Path, platform: Files):
    journal = lesson(seconds=4, ended=False)
    journal.event(4.3, "track_unpublished", track=2)
    journal.publish(4.4, 6, "camera", "H264")
    sender = Sender(6, 90_000, base=99)
    journal.add(sender.frames(media.video("H264", size=(640, 360)), 4.5))
    follower = Follower(folder, journal.end(9))
    follower.through(0.0, 9.0)
    follower.end()
    assert platform.count == 2
    sizes = []
    for number in (1, 2):
        with av.open(folder.parents[2] / f"{number}.flv") as source:
            sizes.append(source.streams.video[0].width)
    assert sizes == [320, 640]


def test_who_is_too_slow_skips_to_where_the_lesson_is(folder: Path, platform: Files):
    follower = Follower(folder, lesson(seconds=30))
    follower.through(0.0, 4.0)
    follower.until(20.0, behind=12.0)  # the platform kept us waiting
    follower.through(20.0, 30.0)
    follower.end()
    video, audio = look(folder.parents[2] / "1.flv")
    gaps = [b - a for a, b in itertools.pairwise(video)]
    assert max(gaps) > 10
    assert sorted(gaps)[-2] < 0.1
    assert video[-1] > 27
    assert max(b - a for a, b in itertools.pairwise(audio)) < 0.05


@pytest.mark.parametrize("codec", ["VP8", "VP9", "AV1"])
def test_other_codecs_are_told_of(folder: Path, platform: Files, codec: str):
    follower = Follower(folder, lesson(codec, seconds=2, ended=False))
    with pytest.raises(PushError, match=f"The camera is {codec}"):
        follower.through(0.0, 3.0)
    assert platform.count == 0


def test_a_lesson_without_a_picture_waits_and_ends(folder: Path, platform: Files):
    follower = Follower(folder, lesson(seconds=2), "slides")
    follower.through(0.0, 2.0)
    assert follower.push.report == {
        "state": "waiting",
        "reason": "There is no slides to send yet.",
    }
    follower.end()
    assert platform.count == 0


def test_an_empty_lesson_ends(folder: Path, platform: Files):
    follower = Follower(folder, Journal().start().end(1))
    follower.end()
    assert follower.push.over


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "Nobody listens at this address."),
        (TimeoutError(), "The platform says nothing."),
        (BrokenPipeError(32, "Broken pipe"), "The platform does not take it: Broken pipe."),
    ],
)
def test_a_platform_that_refuses_is_told_of(
    folder: Path, platform: Files, monkeypatch: Any, error: OSError, says: str
):
    def refuse() -> Any:
        raise error

    monkeypatch.setattr(platform, "open", refuse)
    follower = Follower(folder, lesson(seconds=4))
    with pytest.raises(PushError) as caught:
        follower.through(0.0, 4.0)
    assert str(caught.value) == says
    follower.push.abandon()


def test_the_job_is_a_line_of_json(tmp_path: Path):
    job = {"journal": str(tmp_path), "url": "srt://h:9", "source": "slides", "audio": "opus"}
    assert Job.parse(json.dumps(job)) == Job(tmp_path, "srt://h:9", "slides", True)
    for bad in ("", "[]", "{}", '{"journal": 7}'):
        with pytest.raises((ValueError, KeyError, TypeError)):
            Job.parse(bad)
    with pytest.raises(PushError, match="rtmp, rtmps or srt"):
        Push(Job(tmp_path, "file:///x"), Journal().opener())


def test_it_reports_and_hears_when_to_stop(folder: Path, platform: Files, monkeypatch: Any):
    alarms: list[int] = []
    monkeypatch.setattr(push.signal, "alarm", alarms.append)
    told: list[Any] = []
    answers = iter([False, False, True])
    follower = Follower(folder, lesson(seconds=4, ended=False))
    stop: Callable[[float], bool] = lambda seconds: next(answers)  # noqa: E731
    push.run(follower.push, told.append, stop)
    assert follower.push.over
    assert told[0]["state"] == "waiting"
    assert alarms[0] == push.PATIENCE
    assert alarms[-1] == 0
