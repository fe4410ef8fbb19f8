"""A lesson as FLV and MPEG-TS: what FFmpeg finds in it."""

import io
import itertools
from pathlib import Path
from typing import Any

import av
import pytest

from recorder.errors import MediaError
from recorder.push.output import Output
from tests.recorder import media

START_US = 7_000_000


class Memory(io.BytesIO):
    """A file that is written in order only, as a network is."""

    def seekable(self) -> bool:
        return False


def written(
    container: str,
    *,
    opus: bool = False,
    seconds: float = 4,
    heard: tuple[float, float] = (0.0, 99.0),
) -> bytes:
    """A clip, its sound only in between."""
    file = Memory()
    clip, sound = media.video("H264"), media.audio()
    output = Output(file, container, clip[0].data, START_US, opus=opus)
    rows = [(float(c.seconds), "v", c) for c in clip] + [
        (float(c.seconds), "a", c) for c in sound if heard[0] <= c.seconds < heard[1]
    ]
    for at, kind, coded in sorted(rows, key=lambda row: row[:2]):
        if at >= seconds:
            break
        time_us = START_US + round(at * 1e6)
        if kind == "v":
            output.picture(coded.data, time_us, coded.keyframe)
        else:
            output.sound(coded.data, time_us)
    assert output.bytes > 10_000
    output.close()
    return file.getvalue()


def look(data: bytes) -> dict[str, Any]:
    """Codecs, decoded pictures, decoded samples and the times of a file."""
    found: dict[str, Any] = {"times": {"video": [], "audio": []}, "video": 0, "audio": 0}
    with av.open(io.BytesIO(data)) as source:
        found["codecs"] = {s.type: s.codec_context.codec.canonical_name for s in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                kind = packet.stream.type
                found["times"][kind].append(float(packet.dts * packet.time_base))
            for frame in packet.decode():
                is_sound = isinstance(frame, av.AudioFrame)
                found["audio" if is_sound else "video"] += frame.samples if is_sound else 1
    return found


@pytest.mark.parametrize(
    ("container", "opus", "codec"),
    [("flv", False, "aac"), ("mpegts", False, "aac"), ("mpegts", True, "opus")],
)
def test_all_of_it_arrives(container: str, opus: bool, codec: str):
    seen = look(written(container, opus=opus))
    assert seen["codecs"] == {"video": "h264", "audio": codec}
    assert seen["video"] == 120
    assert seen["audio"] == pytest.approx(4 * 48_000, abs=4_000)
    for kind in ("video", "audio"):
        times = seen["times"][kind]
        assert times == sorted(times)
        assert times[-1] - times[0] == pytest.approx(4, abs=0.1)
    assert abs(seen["times"]["video"][0] - seen["times"]["audio"][0]) < 0.05


@pytest.mark.parametrize(("container", "opus"), [("flv", False), ("mpegts", True)])
@pytest.mark.parametrize("heard", [(9.0, 9.0), (1.0, 1.5), (0.0, 1.0), (2.5, 9.0)])
def test_silence_fills_what_nobody_says(container: str, opus: bool, heard: tuple[float, float]):
    seen = look(written(container, opus=opus, heard=heard))
    times = seen["times"]["audio"]
    assert times[0] < 0.1 + seen["times"]["video"][0]
    assert max(b - a for a, b in itertools.pairwise(times)) < 0.03
    assert times[-1] - times[0] > 2.8  # no more than a second behind the picture


def test_what_comes_before_the_picture_or_is_no_sound_is_left_out():
    clip = media.video("H264")
    output = Output(Memory(), "flv", clip[0].data, START_US, opus=False)
    before = output.bytes
    output.sound(media.audio()[0].data, START_US - 1)
    output.sound(b"", START_US + 20_000)
    output.sound(b"\xff" * 40, START_US + 40_000)
    assert output.bytes == before
    output.close()


def test_equal_and_backward_times_are_put_in_order():
    clip = media.video("H264")
    file = Memory()
    output = Output(file, "flv", clip[0].data, START_US, opus=False)
    for coded in clip[:30]:
        output.picture(coded.data, START_US, coded.keyframe)
    output.close()
    times = look(file.getvalue())["times"]["video"]
    assert len(times) == 30
    assert all(b > a for a, b in itertools.pairwise(times))


def test_it_tells_other_parameters_from_its_own():
    clip = media.video("H264")
    output = Output(Memory(), "flv", clip[0].data, 0, opus=False)
    assert output.fits(clip[60].data)
    assert not output.fits(media.video("H264", size=(640, 360))[0].data)
    with pytest.raises(MediaError):
        output.fits(clip[1].data)
    output.abandon()
    with pytest.raises(MediaError):
        Output(Memory(), "flv", clip[1].data, 0, opus=False)


def test_what_cannot_be_opened_is_an_oserror(tmp_path: Path):
    clip = media.video("H264")
    with pytest.raises(FileNotFoundError):
        Output(str(tmp_path / "no" / "such" / "x.flv"), "flv", clip[0].data, 0, opus=False)
