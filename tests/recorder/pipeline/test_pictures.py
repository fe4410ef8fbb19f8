"""Posters."""

import io

import av
import numpy as np
import pytest

from recorder.pipeline import pictures
from recorder.pipeline.pictures import Poster
from tests.recorder import media


def open_jpeg(data: bytes) -> av.VideoFrame:
    assert data.startswith(b"\xff\xd8")
    with av.open(io.BytesIO(data), format="jpeg_pipe") as source:
        return next(source.decode(video=0))


def black(size: tuple[int, int] = (320, 180)) -> bytes:
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.framerate = *size, "yuv420p", 30
    frame = av.VideoFrame.from_ndarray(np.zeros(size[::-1], np.uint8), "gray")
    packets = encoder.encode(frame.reformat(format="yuv420p")) + encoder.encode(None)
    return bytes(packets[0])


@pytest.mark.parametrize("codec", ["H264", "VP8", "VP9", "AV1"])
def test_a_poster_is_a_jpeg_of_the_right_shape(codec: str):
    poster = Poster(codec)
    poster.offer(0, media.video(codec, 1, size=(1280, 720))[0].data)
    picture = open_jpeg(poster.best())
    assert (picture.width, picture.height) == (640, 360)


def test_a_black_beginning_is_not_shown():
    poster = Poster("H264")
    poster.offer(0, black())
    assert poster.newest() is None
    poster.offer(3_000_000, media.video("H264", 1)[0].data)
    assert poster.newest() is not None
    assert poster.best() is not None


def test_damage_is_not_worth_an_error():
    poster = Poster("H264")
    poster.offer(0, b"\0\0\0\1\x65nonsense")
    assert poster.best() is None


def test_the_best_is_near_the_middle(monkeypatch):
    poster = Poster("H264")
    for second in range(3600):
        poster.offer(second * 1_000_000, second.to_bytes(4, "big"))
    shown = []
    monkeypatch.setattr(pictures, "_picture", lambda codec, key: shown.append(key) or key)
    chosen = int.from_bytes(poster.best(), "big")
    assert 1000 < chosen < 2600
    assert len(shown) == 1


def test_hours_of_keyframes_keep_only_a_few():
    poster = Poster("H264")
    kept = sum(poster.offer(second * 2_000_000, b"x") for second in range(5 * 1800))
    assert len(poster._kept) <= 8
    assert kept < 100
