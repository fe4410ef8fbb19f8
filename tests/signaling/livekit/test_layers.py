from typing import Any

import pytest
from livekit.protocol import models, rtc

from signaling.delivery import ALL, Cap
from signaling.livekit.layers import cap, offered, taken

CAMERA = models.TrackInfo(
    layers=[
        models.VideoLayer(quality=models.LOW, width=320, height=180),
        models.VideoLayer(quality=models.MEDIUM, width=640, height=360),
        models.VideoLayer(quality=models.HIGH, width=1280, height=720),
    ]
)
RIDS = ("q", "h", "f")


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"quality": models.LOW}, Cap(stream=0)),
        ({"quality": models.MEDIUM}, Cap(stream=1)),
        ({"quality": models.HIGH}, Cap(stream=2)),
        ({"quality": models.OFF}, Cap(paused=True)),
        ({"disabled": True, "quality": models.HIGH}, Cap(paused=True)),
        ({"width": 300, "height": 150, "quality": models.HIGH}, Cap(stream=0)),
        ({"width": 500, "height": 300}, Cap(stream=1)),
        ({"width": 4000, "height": 3000}, Cap(stream=2)),
        ({"quality": models.LOW, "fps": 5}, Cap(stream=0, temporal=0)),
    ],
)
def test_simulcast_is_capped_by_stream(settings: dict[str, Any], wanted: Cap) -> None:
    assert cap(rtc.UpdateTrackSettings(**settings), CAMERA, 3) == wanted


def test_a_single_stream_is_capped_by_layers() -> None:
    low = rtc.UpdateTrackSettings(quality=models.LOW)
    assert cap(low, CAMERA, 1) == Cap(spatial=0)
    assert cap(rtc.UpdateTrackSettings(quality=models.HIGH), CAMERA, 1) == Cap(spatial=ALL)


def test_what_may_be_wanted_in_the_words_of_dynacast() -> None:
    assert [q.enabled for q in taken([1], RIDS)] == [True, True, False]
    assert [q.enabled for q in taken([0, 2], RIDS)] == [True, True, True]
    assert [q.enabled for q in taken([], RIDS)] == [False, False, False]
    assert [q.enabled for q in taken([2], RIDS[::-1])] == [True, False, False]  # the Rust SDK's
    assert [q.enabled for q in taken([1], ("low", "high"))] == [True, True]
    assert [(q.quality, q.enabled) for q in taken([0], ())] == [(models.HIGH, True)]
    assert [(q.quality, q.enabled) for q in taken([], ())] == [(models.HIGH, False)]
    assert [q.quality for q in taken([9], RIDS[:2])] == [models.LOW, models.MEDIUM]


@pytest.mark.parametrize(
    ("rids", "places"),
    [
        (("q", "h", "f"), (0, 1, 2)),
        (("f", "h", "q"), (2, 1, 0)),  # as the Rust SDK offers
        (("h", "q"), (1, 0)),
        (("low", "mid", "high"), (0, 1, 2)),
        (("q", "q", "q"), (0, 1, 2)),
        ((), (0, 1)),
    ],
)
def test_a_picture_size_is_found_wherever_the_publisher_offers_it(
    rids: tuple[str, ...], places: tuple[int, ...]
) -> None:
    for size, place in enumerate(places):
        assert offered(Cap(stream=size, temporal=1), rids) == Cap(stream=place, temporal=1)
    assert offered(Cap(), rids) == Cap()
    assert offered(Cap(paused=True), rids) == Cap(paused=True)
