"""What FFmpeg muxes: init segments and WebM files."""

import contextlib
import errno
import io
from pathlib import Path

import av
import pytest

from recorder.errors import MediaError
from recorder.pipeline.mux import WebmWriter, init_segment
from tests.recorder import hls, media


@pytest.mark.parametrize("codec", ["H264", "VP9", "AV1"])
def test_an_init_tells_the_size_and_counts_in_90_khz(codec: str):
    init = init_segment(codec, media.video(codec, 1)[0].data)
    assert (init.rate, init.width, init.height) == (90_000, 320, 180)
    assert [name for name, _ in hls.boxes(init.data)] == ["ftyp", "moov"]


def test_an_init_of_opus_needs_no_packet():
    init = init_segment("opus", b"")
    assert (init.rate, init.width, init.height) == (48_000, 0, 0)


def test_the_same_keyframe_gives_the_same_init():
    keyframe = media.video("VP9", 1)[0].data
    assert init_segment("VP9", keyframe) == init_segment("VP9", keyframe)


def test_the_init_names_no_muxer_version():
    assert b"Lav" not in init_segment("opus", b"").data


def test_a_keyframe_of_garbage_has_no_init():
    with pytest.raises(MediaError):
        init_segment("H264", b"\0\0\0\1\x65garbage")


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
