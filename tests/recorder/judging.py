"""Judges every archive that a test leaves behind, whatever the test was about.

Our linter of HLS reads each rendition of it, ffprobe one view with the sound (one process), PyAV,
which is FFmpeg's reader as well, the other views. Shaka Packager's reader takes four processes: it
judges one archive of each shape, which is what its views are made of and what happened in them.

The same bytes are judged once. A test that damages archives says so and why:
`@pytest.mark.damaged("a bit of it is flipped")`.
"""

import hashlib
import os
import struct
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from recorder.archive import upload
from recorder.archive.layout import LESSON_ID, Manifest, View, read_manifest
from tests.recorder import validators
from tests.recorder.hls_linter import Linter

_PRUNED = {"journal", "media"}


def after(item: pytest.Item) -> None:
    """Judge what the test left in its folder. Raises AssertionError."""
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    if folder is None:
        return
    marker = item.get_closest_marker("damaged")
    if marker is not None:
        assert marker.args, "damaged(reason) wants its reason"
        return
    for lesson in archives(folder):
        _JUDGE.judge(lesson)


def archives(folder: Path) -> Iterator[Path]:
    """The finished lessons below a folder."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(set(folders) - _PRUNED)
        if "manifest.json" in files and LESSON_ID.fullmatch(Path(place).name):
            yield Path(place)


class Judge:
    """Remembers what it has seen."""

    def __init__(self) -> None:
        self.judged = self.seen = self.shapes = 0
        self.seconds = 0.0
        self._known: set[str] = set()
        self._shapes: set[object] = set()

    def judge(self, lesson: Path) -> None:
        """Raises AssertionError."""
        began = time.perf_counter()
        try:
            self._judge(lesson)
        finally:
            self.seconds += time.perf_counter() - began

    def _judge(self, lesson: Path) -> None:
        manifest = read_manifest(lesson)
        self.seen += 1
        entry, media = manifest.entry, lesson / "media"
        if not media.is_dir() or (not entry.views and entry.audio is None):
            return  # a row for a catalogue's test, or a lesson in which nothing was published
        known = upload.read(lesson)
        if known is not None and known.local != "kept":
            return  # its media are in the storage
        digest = _digest(lesson)
        if digest in self._known:
            return
        self.judged += 1
        renditions = sorted(path.parent for path in media.glob("*/index.m3u8"))
        for rendition in renditions:
            lint(rendition)
        _play(media, manifest)
        shape = _shape(manifest, renditions)
        if shape not in self._shapes:
            self.shapes += 1
            for rendition in renditions:
                kind = "audio" if rendition.name == "audio" else "video"
                validators.packager(media, rendition.name, kind)
            self._shapes.add(shape)
        self._known.add(digest)


def lint(rendition: Path) -> None:
    """A rendition's playlist and segments, against RFC 8216 and against each other."""
    linter = Linter(lambda uri: (rendition / uri).read_bytes(), _timescale(rendition))
    try:
        linter.judge((rendition / "index.m3u8").read_text())
    except AssertionError as error:
        where = traceback.extract_tb(error.__traceback__)[-1].line
        raise AssertionError(f"{rendition}: {error} ({where})") from error


def _timescale(rendition: Path) -> int:
    """Ticks a second, as the first initialisation has it (mdhd, ISO/IEC 14496-12, 8.4.2)."""
    init = min(rendition.glob("init-*.mp4")).read_bytes()
    mdhd = init.index(b"mdhd") + 4
    (ticks,) = struct.unpack_from(">I", init, mdhd + (20 if init[mdhd] == 1 else 12))
    return int(ticks)


def _play(media: Path, manifest: Manifest) -> None:
    """Every view is read to its end with the sound; the first by ffprobe."""
    entry = manifest.entry
    streams = 2 if entry.audio else 1
    first, *others = [*map(_file, entry.views), *([entry.audio.hls] if entry.audio else [])]
    validators.probe(media / first, entry.duration_s, streams if entry.views else 1)
    for name in others:
        with av.open(str(media / name)) as container:
            assert sum(packet.size > 0 for packet in container.demux()) > 0, name


def _file(view: View) -> str:
    name = view.hls or view.webm
    assert name is not None, f"{view.source} cannot be played"
    return name


def _shape(manifest: Manifest, renditions: list[Path]) -> object:
    """What is alike in two archives when a reader of containers finds nothing new in the second."""
    entry = manifest.entry
    inits = {path.name: len(list(path.glob("init-*.mp4"))) for path in renditions}
    views = sorted((view.codec, bool(view.hls), inits.get(view.source, 0)) for view in entry.views)
    reasons = sorted({gap.reason for gap in manifest.gaps})
    return tuple(views), inits.get("audio", 0), entry.state, tuple(reasons)


def _digest(lesson: Path) -> str:
    """Of the bytes as they are now, not as the manifest says."""
    found = hashlib.blake2b((lesson / "manifest.json").read_bytes())
    for path in sorted((lesson / "media").rglob("*")):
        if path.is_file():
            found.update(str(path.relative_to(lesson)).encode() + b"\0")
            with path.open("rb") as file:
                while data := file.read(1 << 20):
                    found.update(data)
    return found.hexdigest()


_JUDGE = Judge()


def told() -> str:
    """For the end of a run."""
    judge = _JUDGE
    return (
        f"{judge.seen} archives, {judge.judged} of them different, {judge.shapes} shapes: "
        f"judged in {judge.seconds:.1f} s"
    )
