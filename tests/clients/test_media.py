import asyncio
from itertools import islice, pairwise
from pathlib import Path

import av
import pytest
from aiortc.mediastreams import MediaStreamError

from clients.headless.errors import MediaFileError
from clients.headless.media import FileTrack, Playhead, inspect, packets
from tests.clients.clips import write_clip

START_CODE = b"\x00\x00\x00\x01"


class Clock:
    """A clock that stands still until told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def nal_types(packet: av.Packet) -> list[int]:
    return [part[0] & 0x1F for part in bytes(packet).split(b"\x00\x00\x01") if part.strip(b"\0")]


def test_inspect_names_the_codecs(h264: Path, vp8: Path, slides: Path):
    assert (inspect(h264).video, inspect(h264).audio) == ("H264", "opus")
    assert (inspect(vp8).video, inspect(vp8).audio) == ("VP8", "opus")
    assert (inspect(slides).video, inspect(slides).audio) == ("H264", None)


def test_a_missing_file_is_one_sentence(tmp_path: Path):
    with pytest.raises(MediaFileError, match=r"^There is no file .*lesson\.mp4\.$"):
        inspect(tmp_path / "lesson.mp4")


def test_a_file_that_is_no_media(tmp_path: Path):
    path = tmp_path / "notes.txt"
    path.write_text("not a film")
    with pytest.raises(MediaFileError, match=r"notes\.txt cannot be read as media"):
        inspect(path)


def test_a_folder_is_no_media(tmp_path: Path):
    with pytest.raises(MediaFileError, match="cannot be read as media"):
        inspect(tmp_path)


def test_an_unsupported_video_codec_says_what_to_do(tmp_path: Path):
    path = write_clip(tmp_path / "old.mp4", video="mpeg4", audio=None, seconds=0.2)
    with pytest.raises(MediaFileError, match=r"video in mpeg4.*ffmpeg -i IN"):
        inspect(path)


def test_an_unsupported_audio_codec_says_what_to_do(tmp_path: Path):
    path = write_clip(tmp_path / "aac.mp4", audio="aac", seconds=0.2)
    with pytest.raises(MediaFileError, match=r"audio in aac.*H264 or VP8 with Opus"):
        inspect(path)


def test_b_frames_are_refused(tmp_path: Path):
    path = write_clip(tmp_path / "b.mp4", audio=None, seconds=0.5, b_frames=True)
    with pytest.raises(MediaFileError, match="B-frames"):
        inspect(path)


def test_h264_has_parameter_sets_before_each_keyframe(h264: Path):
    found = list(packets(inspect(h264), "video", loop=False))
    assert len(found) == 60
    assert bytes(found[0]).startswith(START_CODE)
    keyframes = [nal_types(packet) for packet in found if packet.is_keyframe]
    assert len(keyframes) == 4
    for types in keyframes:
        assert types.index(7) < types.index(8) < types.index(5)


def test_times_are_in_rtp_clock_units(h264: Path):
    file = inspect(h264)
    video = [packet.pts for packet in islice(packets(file, "video", loop=False), 3)]
    audio = [packet.pts for packet in islice(packets(file, "audio", loop=False), 3)]
    assert video == [0, 3000, 6000]
    assert [b - a for a, b in pairwise(audio)] == [960, 960]


@pytest.mark.parametrize(("kind", "step"), [("video", 3000), ("audio", 960)])
def test_a_loop_has_no_seam(h264: Path, kind: str, step: int):
    times = [packet.pts for packet in islice(packets(inspect(h264), kind, loop=True), 350)]
    assert {b - a for a, b in pairwise(times)} == {step}


@pytest.mark.parametrize(("kind", "step"), [("video", 3000), ("audio", 960)])
def test_a_loop_of_a_file_of_odd_length_goes_forward(vp8: Path, kind: str, step: int):
    times = [packet.pts for packet in islice(packets(inspect(vp8), kind, loop=True), 350)]
    assert all(0 < b - a < 2.1 * step for a, b in pairwise(times))


async def test_the_playhead_begins_at_its_first_use():
    clock = Clock()
    playhead = Playhead(clock)
    await playhead.reach(0.0)
    clock.now += 5.0
    await playhead.reach(4.9)  # past: no wait
    waiting = asyncio.ensure_future(playhead.reach(5.02))
    await asyncio.sleep(0)
    assert not waiting.done()
    await waiting


async def test_a_track_ends_with_its_file(h264: Path):
    clock = Clock()
    track = FileTrack(inspect(h264), "video", Playhead(clock), loop=False)
    await track.recv()
    clock.now += 60.0
    for _ in range(59):
        await track.recv()
    with pytest.raises(MediaStreamError):
        await track.recv()
    assert (track.sent, track.readyState, track.at_end) == (60, "ended", True)


async def test_a_stopped_track_yields_nothing(h264: Path):
    track = FileTrack(inspect(h264), "video", Playhead(), loop=True)
    track.stop()
    with pytest.raises(MediaStreamError):
        await track.recv()
    assert not track.at_end
