"""A disk that fills, in virtual time; and the guard that carries out what follows."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from signaling.disk import Disk, DiskGuard, DiskWatch, Watermarks, free_bytes

GB = 1_000_000_000
MARKS = Watermarks(video=2 * GB, sound=GB, warn_hours=4.0)


def test_video_yields_before_sound_and_comes_back_later() -> None:
    watch = DiskWatch(MARKS)
    free = [3.0, 2.0, 1.99, 1.5, 0.99, 1.1, 1.24, 1.25, 2.4, 2.5]
    keeps = [watch.handle(int(gb * GB), float(at)).keeps for at, gb in enumerate(free)]
    assert keeps == [
        *("everything", "everything", "sound", "sound", "events"),
        *("events", "events", "sound", "sound", "everything"),
    ]


def test_a_disk_that_is_full_at_once_keeps_events() -> None:
    disk = DiskWatch(MARKS).handle(0, 0.0)
    assert disk.keeps == "events"
    assert disk.trouble == "disk nearly full (0.0 GB free): neither video nor sound is recorded"
    assert disk.sentence == disk.trouble


def test_watermarks_of_zero_are_none() -> None:
    assert DiskWatch(Watermarks(0, 0, 0.0)).handle(0, 0.0).keeps == "everything"


def fill(watch: DiskWatch, free: int, rate: int, seconds: int) -> Disk:
    """A disk that loses `rate` bytes a second, looked at every two seconds."""
    disk = watch.handle(free, 0.0)
    for at in range(2, seconds, 2):
        disk = watch.handle(free - at * rate, float(at))
    return disk


def test_the_hours_that_remain_are_told_before_anything_is_lost() -> None:
    disk = fill(DiskWatch(MARKS), 20 * GB, 1_000_000, 100)
    assert disk.hours_left == pytest.approx((18 * GB - 98e6) / 1e6 / 3600, abs=0.06)
    assert (disk.warning, disk.sentence, disk.trouble) == (False, None, None)
    disk = fill(DiskWatch(MARKS), 12 * GB, 1_000_000, 100)
    assert disk.warning
    assert disk.trouble is None
    assert disk.sentence == "the disk has room for 2.8 more hours of recording"
    assert disk.as_json()["warning"] == disk.sentence


def test_a_disk_that_nobody_writes_to_lasts() -> None:
    disk = fill(DiskWatch(MARKS), 3 * GB, 0, 1_000)
    assert (disk.hours_left, disk.warning) == (None, False)


def test_what_is_deleted_does_not_hide_what_is_written() -> None:
    watch = DiskWatch(MARKS)
    disk = watch.handle(10 * GB, 0.0)
    for at in range(2, 200, 2):
        # 2 MB are written each time; once, 5 GB are deleted
        disk = watch.handle(10 * GB - at * 1_000_000 + (5 * GB if at > 100 else 0), float(at))
    assert disk.hours_left == pytest.approx((13 * GB - 198e6) / 1e6 / 3600, abs=0.1)


def test_the_rate_is_that_of_the_last_minutes() -> None:
    watch = DiskWatch(MARKS)
    fill(watch, 20 * GB, 10_000_000, 200)
    free = 20 * GB - 198 * 10_000_000
    for at in range(200, 1_000, 2):
        disk = watch.handle(free, float(at))
    assert disk.hours_left is None


class Guarded:
    """A guard over a disk that says what it is told to say."""

    def __init__(self) -> None:
        self.free: int | OSError = 10 * GB
        self.kept: list[str] = []
        self.on_keep: Callable[[str], None] = lambda keeps: None
        self.notes: dict[str, list[Mapping[str, Any]]] = {}
        self.guard = DiskGuard(
            DiskWatch(MARKS),
            free=self._free,
            keep=self._keep,
            lessons=lambda: {lesson: notes.append for lesson, notes in self.notes.items()},
            clock=lambda: 0.0,
        )

    def _keep(self, keeps: str) -> None:
        self.kept.append(keeps)
        self.on_keep(keeps)

    def _free(self) -> int:
        if isinstance(self.free, OSError):
            raise self.free
        return self.free


async def test_journals_and_lessons_hear_of_each_change_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = Guarded()
    world.notes = {"early": []}
    await world.guard.look()
    world.free = GB + 1
    for _ in range(3):
        await world.guard.look()
    world.notes["late"] = []  # a lesson that begins on a full disk says so, too
    await world.guard.look()
    world.free = 10 * GB
    await world.guard.look()
    assert world.kept == ["everything", "sound", "everything"]
    assert [note["keeps"] for note in world.notes["early"]] == ["sound", "everything"]
    assert [note["keeps"] for note in world.notes["late"]] == ["sound", "everything"]
    assert caplog.text.count("video is not recorded") == 1


async def test_a_disk_that_does_not_answer_changes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = Guarded()
    world.free = GB + 1
    await world.guard.look()
    before = world.guard.disk
    world.free = OSError(5, "Input/output error")
    await world.guard.look()
    assert world.guard.disk is before
    assert world.kept == ["sound"]
    assert "Input/output error" in caplog.text


async def test_it_looks_again_and_again_until_it_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("signaling.disk.LOOK_EVERY", 0.001)
    world = Guarded()
    limited = asyncio.Event()
    world.notes = {"lesson": []}
    world.on_keep = lambda keeps: limited.set() if keeps == "events" else None
    await world.guard.start()
    world.free = 0
    async with asyncio.timeout(30):
        await limited.wait()
    await world.guard.stop()
    await world.guard.stop()
    assert world.kept == ["everything", "events"]


def test_what_is_free_is_more_than_nothing(tmp_path: Any) -> None:
    assert free_bytes(tmp_path) > 0
