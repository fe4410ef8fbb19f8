"""Extras of whole lessons: right pictures at right times, sums that hold, nothing harmed."""

import errno
import io
import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest

from recorder.archive.extras.make import make
from recorder.archive.layout import read_entry, read_extras, read_manifest, verify
from tests.recorder import media
from tests.recorder.archive.extras.screen import screen, slide_picture
from tests.recorder.journals import Journal, Sender, lesson, loop

SLIDES = [6.2, 12.0]
"""The second comes just with a keyframe."""


def taught(codec: str = "H264", seconds: int = 20, *, slides: bool = True) -> Journal:
    journal = Journal().start("math", "数学")
    if slides:
        journal.publish(0.1, 3, "slides", "H264")
        sender = Sender(3, 90_000, capture_delay=0.05)
        journal.add(sender.frames(screen(seconds, SLIDES), 0.2))
        journal.add(sender.reports(0.2, 0.2 + seconds))
    journal.event(9.0, "floor_granted", identity="hill", role="school")
    return lesson(codec, seconds, journal=journal)


def tiles(folder: Path) -> list[tuple[float, float, np.ndarray]]:
    """Every cue of the thumbnails with the pixels that it names."""
    extras = folder / "media" / "extras"
    sheets: dict[str, np.ndarray] = {}
    found = []
    text = (extras / "thumbnails.vtt").read_text()
    for start, end, name, *area in re.findall(
        r"([\d:.]+) --> ([\d:.]+)\n([\w.-]+)#xywh=(\d+),(\d+),(\d+),(\d+)", text
    ):
        if name not in sheets:
            with av.open(io.BytesIO((extras / name).read_bytes())) as container:
                sheets[name] = next(container.decode(video=0)).to_ndarray(format="gray")
        x, y, w, h = map(int, area)
        tile = sheets[name][y : y + h, x : x + w]
        assert tile.shape == (h, w)
        found.append((seconds(start), seconds(end), tile))
    return found


def seconds(text: str) -> float:
    hours, minutes, rest = text.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def small(picture: np.ndarray) -> np.ndarray:
    frame = av.VideoFrame.from_ndarray(picture, "gray")
    return frame.reformat(160, 90, "gray").to_ndarray()


def test_thumbnails_show_the_slides_of_their_time(folder: Path, record):
    journal = taught()
    record(journal)
    make(folder, journal.opener())
    found = tiles(folder)
    assert found[0][0] == 0
    assert found[-1][1] == pytest.approx(read_manifest(folder).entry.duration_s, abs=0.01)
    assert all(after[0] == before[1] for before, after in itertools.pairwise(found))
    wanted = [small(slide_picture(number)) for number in range(3)]
    for start, _, tile in found:
        differences = [np.abs(tile.astype(int) - picture).mean() for picture in wanted]
        slide = sum(start + 0.1 >= change for change in SLIDES)
        assert int(np.argmin(differences)) == slide


def test_chapters_are_slides_and_events_with_pictures(folder: Path, record):
    journal = taught()
    record(journal)
    extras = make(folder, journal.opener())
    assert extras.notes == []
    value = json.loads((folder / "media" / "extras" / "chapters.json").read_text())["chapters"]
    assert [c["kind"] for c in value] == ["start", "slide", "floor", "slide"]
    assert [c["start"] for c in value if c["kind"] == "slide"] == pytest.approx(SLIDES, abs=0.12)
    assert value[2]["start"] == pytest.approx(9.0 - 0.2, abs=0.2)
    assert all(c["thumbnail"] for c in value)
    entry = read_entry(folder)
    assert (entry.thumbnails, entry.chapters) == ("extras/thumbnails.vtt", "extras/chapters.vtt")


def test_the_manifest_stays_and_every_sum_holds_without_us(folder: Path, record):
    journal = taught(slides=False)
    record(journal)
    (folder / "journal" / "000000.tbj").write_bytes(b"journal")
    (folder / "journal" / "lock").touch()
    before = (folder / "manifest.json").read_bytes()
    make(folder, journal.opener())
    assert (folder / "manifest.json").read_bytes() == before
    assert verify(folder) == []
    listed = (folder / "SHA256SUMS").read_text()
    for name in ("manifest.json", "extras.json", "journal/000000.tbj", "media/extras/chapters.vtt"):
        assert f"  {name}\n" in listed
    assert "lock" not in listed
    tool = shutil.which("sha256sum")
    if tool:  # coreutils are everywhere but on a Mac
        subprocess.run([tool, "-c", "--quiet", "SHA256SUMS"], cwd=folder, check=True)


@pytest.mark.parametrize("codec", ["VP8", "VP9"])
def test_other_codecs_have_thumbnails_too(folder: Path, record, codec: str):
    journal = taught(codec, 8, slides=False)
    record(journal)
    make(folder, journal.opener())
    found = tiles(folder)
    assert len(found) >= 3
    assert all(tile.mean() > 60 for _, _, tile in found)


def test_a_lesson_without_pictures_has_chapters_only(folder: Path, record):
    journal = Journal().start("math", "数学").publish(0.1, 1, "microphone", "opus")
    journal.add(Sender(1, 48_000).frames(loop(media.audio(), 4), 0.2)).end(5)
    record(journal)
    extras = make(folder, journal.opener())
    assert (extras.thumbnails, extras.chapters) == (None, "extras/chapters.vtt")
    assert verify(folder) == []


@pytest.mark.damaged("what a tool finds where it finds nothing")
def test_what_cannot_be_made_is_noted_and_the_rest_is_there(folder: Path, record):
    journal = taught(slides=False)
    record(journal)
    (folder / "media" / "camera" / "index.m3u8").write_text("\xff\xfe no playlist")
    for path in (folder / "media" / "camera").glob("0*.m4s"):
        path.write_bytes(b"\0\0\0\x08free" * 100)
    extras = make(folder, journal.opener())
    assert extras.thumbnails is None
    assert extras.chapters == "extras/chapters.vtt"
    assert read_extras(folder) == extras


def test_a_full_disk_leaves_the_lesson_as_it_was(folder: Path, record, monkeypatch):
    journal = taught(slides=False, seconds=8)
    record(journal)
    write = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        write(self, data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        make(folder, journal.opener())
    monkeypatch.undo()
    assert read_extras(folder) is None
    assert verify(folder) == []
    assert make(folder, journal.opener()).thumbnails
    assert verify(folder) == []
