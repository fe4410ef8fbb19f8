"""The muxer by itself: fragments with true times and lengths."""

import contextlib
import errno
import io
from pathlib import Path

import av
import pytest

from recorder.errors import MediaError
from recorder.mux import Fragmenter, WebmWriter
from tests.recorder import hls, media

START = 7_777_000


def test_fragments_start_where_they_are_told_and_end_where_the_next_begins():
    clip = media.video("H264", 4, gop=30)
    muxer = Fragmenter("H264", clip[0].data)
    fragments = []
    for number, frame in enumerate(clip):
        fragments.append(muxer.mux(frame.data, START + number * 3_000, 3_000, frame.keyframe))
    fragments.append(muxer.close())
    found = [fragment for fragment in fragments if fragment]
    assert [(f.start - START, f.end - START) for f in found] == [
        (0, 90_000), (90_000, 180_000), (180_000, 270_000), (270_000, 360_000)
    ]  # fmt: skip
    for fragment in found:
        assert hls.fragments(fragment.data) == [(fragment.start, fragment.end - fragment.start)]
        assert len(hls.decode(muxer.init + fragment.data)) == 30


def test_uneven_samples_keep_their_lengths():
    clip = media.audio(4)
    muxer = Fragmenter("opus", b"")
    start, found = START, []
    for number, packet in enumerate(clip):
        length = 955 + number % 11
        found.append(muxer.mux(packet.data, start, length, True))
        start += length
    found.append(muxer.close())
    times = [part for fragment in found if fragment for part in hls.fragments(fragment.data)]
    assert times[0][0] == START
    assert sum(length for _, length in times) == start - START
    assert len(times) == 2


def test_the_last_fragment_ends_with_its_last_sample():
    muxer = Fragmenter("opus", b"")
    muxer.mux(b"\xf8\xff\xfe", 0, 960, True)
    muxer.mux(b"\xf8\xff\xfe", 960, 1234, True)
    last = muxer.close()
    assert last is not None
    assert (last.start, last.end) == (0, 2194)
    assert hls.fragments(last.data) == [(0, 2194)]


def test_nothing_in_nothing_out():
    assert Fragmenter("opus", b"").close() is None


def test_the_same_samples_give_the_same_bytes():
    clip = media.video("VP9", 2)

    def run() -> list[bytes]:
        muxer = Fragmenter("VP9", clip[0].data)
        parts = [muxer.mux(f.data, n * 3_000, 3_000, f.keyframe) for n, f in enumerate(clip)]
        return [muxer.init, *(part.data for part in [*parts, muxer.close()] if part)]

    assert run() == run()


def test_the_init_names_no_muxer_version():
    assert b"Lav" not in Fragmenter("opus", b"").init


def test_time_that_runs_back_is_refused():
    muxer = Fragmenter("opus", b"")
    muxer.mux(b"\xf8\xff\xfe", 9_600, 960, True)
    with pytest.raises(MediaError):
        muxer.mux(b"\xf8\xff\xfe", 0, 960, True)


def test_a_webm_in_a_folder_that_is_not_there_is_the_disks_trouble(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        WebmWriter(tmp_path / "gone" / "a.webm", "VP8", media.video("VP8", 1)[0].data, audio=False)


def test_a_disk_that_fills_up_under_a_webm_is_the_disks_trouble(tmp_path, monkeypatch):
    clip = media.video("VP8", 2)
    file = FillingFile(tmp_path / "a.webm", room=250_000)
    monkeypatch.setattr(Path, "open", lambda self, mode: file)
    writer = WebmWriter(tmp_path / "a.webm", "VP8", clip[0].data, audio=False)

    def write() -> None:
        for number in range(6_000):
            frame = clip[number % len(clip)]
            writer.mux_video(frame.data, number * 33_333, frame.keyframe)

    with pytest.raises(OSError, match="No space left") as raised:
        write()
    assert not isinstance(raised.value, av.FFmpegError)
    with contextlib.suppress(OSError, MediaError):
        writer.close()


class FillingFile:
    """A file on a disk with so much room."""

    def __init__(self, path: Path, room: int) -> None:
        self._file = io.FileIO(path, "w+")
        self._room = room
        self.seek, self.tell, self.read = self._file.seek, self._file.tell, self._file.read
        self.close = self._file.close

    def write(self, data: bytes) -> int:
        if self._file.tell() + len(data) > self._room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._file.write(data)
