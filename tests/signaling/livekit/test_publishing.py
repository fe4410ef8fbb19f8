from typing import Any

import pytest
from livekit.protocol import models, rtc

from sfu.negotiation import Codec, Section
from signaling.livekit.publishing import MAX_TRACKS, Publishing

VP8 = Codec("VP8", 96, 90000)
VP9 = Codec("VP9", 98, 90000)
OPUS = Codec("opus", 111, 48000, 2)


def section(mid: str, track_id: str = "", kind: str = "video", **changes: Any) -> Section:
    return Section(
        kind=kind,
        mid=mid,
        protocol="UDP/TLS/RTP/SAVPF",
        formats=("96",),
        disabled=False,
        direction="sendonly",
        codecs=(VP8, VP9) if kind == "video" else (OPUS,),
        track_id=track_id,
        **changes,
    )


def request(cid: str, kind: Any = models.VIDEO, **changes: Any) -> rtc.AddTrackRequest:
    return rtc.AddTrackRequest(cid=cid, type=kind, name=cid, **changes)


@pytest.fixture
def publishing() -> Publishing:
    return Publishing(("H264", "VP9", "VP8"))


def test_a_section_is_known_by_its_tracks_name(publishing: Publishing) -> None:
    camera = publishing.announce(request("camera"))
    screen = publishing.announce(request("screen", source=models.SCREEN_SHARE))
    found = publishing.match([section("1", "screen"), section("2", "camera")])
    assert found == {"1": screen, "2": camera}
    assert camera
    assert camera.info.mid == "2"
    assert publishing.match([section("2", "renamed later")]) == found


def test_a_codecs_own_name_counts_too(publishing: Publishing) -> None:
    first = publishing.announce(
        request("camera", simulcast_codecs=[rtc.SimulcastCodec(codec="vp9", cid="inner")])
    )
    publishing.announce(request("screen"))
    assert publishing.match([section("1", "inner")]) == {"1": first}
    assert first
    assert first.codec == "VP9"


def test_the_sole_candidate_of_a_kind_is_taken(publishing: Publishing) -> None:
    microphone = publishing.announce(request("mic", models.AUDIO))
    camera = publishing.announce(request("camera"))
    found = publishing.match([section("0", "{x}", "audio"), section("1", "{y}")])
    assert found == {"0": microphone, "1": camera}


def test_a_guess_takes_nothing_that_another_section_names(publishing: Publishing) -> None:
    camera = publishing.announce(request("camera"))
    assert publishing.match([section("1", "stale"), section("2", "camera")]) == {"2": camera}


def test_of_two_candidates_none_is_guessed(publishing: Publishing) -> None:
    publishing.announce(request("a"))
    publishing.announce(request("b"))
    assert publishing.match([section("1", "c")]) == {}


def test_a_section_that_stops_ends_its_track(publishing: Publishing) -> None:
    camera = publishing.announce(request("camera"))
    publishing.match([section("1", "camera")])
    assert publishing.ended([section("1", "camera")]) == []
    assert publishing.ended([]) == [camera]
    assert publishing.tracks == []


def test_another_track_in_the_same_section_ends_the_first(publishing: Publishing) -> None:
    old = publishing.announce(request("old"))
    publishing.match([section("1", "old")])
    new = publishing.announce(request("new"))
    sections = [section("1", "new")]
    assert publishing.ended(sections) == [old]
    assert publishing.match(sections) == {"1": new}


def test_a_track_replaced_without_a_word_goes_on(publishing: Publishing) -> None:
    camera = publishing.announce(request("camera"))
    publishing.match([section("1", "camera")])
    assert publishing.ended([section("1", "another camera")]) == []
    assert publishing.match([section("1", "another camera")]) == {"1": camera}


def test_asking_twice_announces_once(publishing: Publishing) -> None:
    first = publishing.announce(request("camera"))
    assert publishing.announce(request("camera")) is first
    assert len(publishing.tracks) == 1


def test_announcements_are_bounded(publishing: Publishing) -> None:
    assert publishing.announce(request("")) is None
    assert publishing.announce(request("x" * 300)) is None
    for number in range(MAX_TRACKS):
        assert publishing.announce(request(str(number))) is not None
    assert publishing.announce(request("one more")) is None
    long = rtc.AddTrackRequest(cid="c", name="x" * 1000, stream="y" * 1000)
    long.layers.extend([models.VideoLayer()] * 100)
    track = Publishing(()).announce(long)
    assert track is not None
    assert len(track.info.name) <= 256
    assert len(track.info.stream) <= 256
    assert len(track.info.layers) <= 8


def test_the_publishers_codec_is_taken_where_we_have_it(publishing: Publishing) -> None:
    first = publishing.announce(
        request("a", simulcast_codecs=[rtc.SimulcastCodec(codec="video/vp9")])
    )
    assert first is not None
    assert publishing.choose(first, section("1")) == VP9
    plain = publishing.announce(request("b"))
    assert plain is not None
    assert publishing.choose(plain, section("2")) == VP8, "what the client names first"
    assert Publishing(("H264",)).choose(plain, section("2")) is None


@pytest.mark.parametrize(
    ("source", "kind", "ours", "prefix"),
    [
        (models.CAMERA, models.VIDEO, "camera", "TR_VC"),
        (models.MICROPHONE, models.AUDIO, "microphone", "TR_AM"),
        (models.SCREEN_SHARE, models.VIDEO, "slides", "TR_VS"),
    ],
)
def test_sources_and_names(
    publishing: Publishing, source: Any, kind: Any, ours: str, prefix: str
) -> None:
    track = publishing.announce(request("c", kind, source=source))
    assert track is not None
    assert track.source == ours
    assert track.info.sid.startswith(prefix)
    assert not track.encrypted
