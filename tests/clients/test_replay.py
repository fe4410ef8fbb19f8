from pathlib import Path

import av
import numpy as np
import pytest

from clients.headless import demo_media
from clients.headless.errors import MediaFileError
from clients.headless.replay import fetch_rendition, fetch_view, look_at, parse_master

MASTER = """#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="a, b",DEFAULT=YES,URI="audio/index.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=1500000,CODECS="avc1.42e01f,opus",AUDIO="audio"
camera/index.m3u8
"""


def test_a_master_names_picture_and_sound():
    assert parse_master(MASTER) == ("camera/index.m3u8", "audio/index.m3u8")


def test_a_master_without_sound():
    assert parse_master("#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8\n") == ("v.m3u8", None)


def test_a_master_without_a_stream():
    with pytest.raises(MediaFileError, match="names no stream"):
        parse_master("#EXTM3U\n")


async def test_a_segment_needs_a_map():
    async def fetch(path: str) -> bytes:
        return b"#EXTINF:1.0,\n1.m4s\n"

    with pytest.raises(MediaFileError, match="before its EXT-X-MAP"):
        await fetch_rendition("/a/index.m3u8", fetch)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of the demo lesson as HLS, made by FFmpeg's own muxer."""
    folder = tmp_path_factory.mktemp("hls")
    demo_media.make_camera(folder / "demo.mp4", 3.0)
    for kind in ("video", "audio"):
        _remux(folder / "demo.mp4", folder / kind / "index.m3u8", kind)
    master = MASTER.replace("camera/", "video/")
    (folder / "camera.m3u8").write_text(master)
    return folder


def _remux(source: Path, playlist: Path, kind: str) -> None:
    playlist.parent.mkdir()
    options = {"hls_segment_type": "fmp4", "hls_playlist_type": "vod", "hls_time": "1"}
    with (
        av.open(source) as container,
        av.open(playlist, "w", format="hls", options=options) as output,
    ):
        stream = container.streams.get({kind: 0})[0]
        copy = output.add_stream_from_template(stream)
        for packet in container.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                output.mux(packet)


async def test_a_view_is_fetched_and_seen_whole(archive: Path):
    async def fetch(path: str) -> bytes:
        return (archive / path.lstrip("/")).read_bytes()

    picture, sound = await fetch_view("/camera.m3u8", fetch)
    assert sound is not None
    assert (picture.complete, sound.complete) == (True, True)
    assert picture.duration == pytest.approx(3.0, abs=0.05)
    seen = look_at(picture, sound)
    assert (seen.frames, seen.numbers) == (90, list(range(90)))
    assert seen.longest_gap == pytest.approx(1 / 30, abs=0.001)
    assert len(seen.flashes) == 1
    assert len(seen.beeps) == 2
    assert seen.skew_ms == pytest.approx(0, abs=12)  # hls.c keeps no edit list: 6.5 ms of padding


async def test_a_hole_is_seen(archive: Path):
    async def fetch(path: str) -> bytes:
        data = (archive / path.lstrip("/")).read_bytes()
        if not path.endswith("video/index.m3u8"):
            return data
        lines = data.decode().splitlines()
        segments = [place for place, line in enumerate(lines) if line.endswith(".m4s")]
        del lines[segments[1] - 1 : segments[1] + 1]
        return "\n".join(lines).encode()

    picture, _ = await fetch_view("/camera.m3u8", fetch)
    seen = look_at(picture, None)
    assert seen.frames == 60
    assert seen.longest_gap == pytest.approx(1.0, abs=0.05)
    assert np.diff(seen.numbers).max() == 31
