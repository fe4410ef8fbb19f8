import pytest

from sfu.negotiation import Codec, Section, choose_audio, choose_video, supported_codec
from sfu.sdp_offer import parse_offer
from tests.sfu.offers import capture


def video(*codecs: Codec) -> Section:
    return Section("video", "0", "UDP/TLS/RTP/SAVPF", ("96",), False, "sendonly", codecs)


def h264(pt: int, profile: str, mode: str = "1") -> Codec:
    parameters = {"profile-level-id": profile, "packetization-mode": mode}
    return Codec("H264", pt, 90000, parameters=parameters)


def test_our_preference_decides_not_the_peers() -> None:
    section = parse_offer(capture("chromium_publish")).sections[1]
    for name in ("H264", "VP9", "VP8", "AV1"):
        chosen = choose_video(section, [name, "VP8"])
        assert chosen is not None
        assert chosen.name == name


def test_constrained_baseline_before_baseline_before_others() -> None:
    main, baseline, constrained = h264(1, "4d001f"), h264(2, "42001f"), h264(3, "42e01f")
    assert choose_video(video(main, baseline, constrained), ["H264"]) == constrained
    assert choose_video(video(main, baseline), ["H264"]) == baseline
    assert choose_video(video(main), ["H264"]) == main


@pytest.mark.parametrize(
    "codec",
    [
        h264(1, "42e01f", mode="0"),
        Codec("VP9", 1, 90000, parameters={"profile-id": "2"}),
        Codec("AV1", 1, 90000, parameters={"profile": "1"}),
        Codec("VP8", 1, 8000),
    ],
)
def test_what_cannot_be_forwarded_is_not_chosen(codec: Codec) -> None:
    assert choose_video(video(codec), ["H264", "VP9", "AV1", "VP8"]) is None


def test_a_profile_we_cannot_read_is_the_last_resort() -> None:
    odd, good = h264(1, "zz"), h264(2, "640c1f")
    assert choose_video(video(odd, good), ["H264"]) == good
    assert choose_video(video(odd), ["H264"]) == odd


def test_opus_is_the_audio_codec() -> None:
    audio = parse_offer(capture("firefox_publish")).sections[0]
    opus = choose_audio(audio)
    assert opus is not None
    assert (opus.name, opus.payload_type, opus.channels) == ("opus", 109, 2)
    assert choose_audio(video(h264(1, "42e01f"))) is None


def test_nack_is_what_was_agreed() -> None:
    codec = Codec("VP8", 96, 90000, feedback=("goog-remb", "nack", "nack pli"))
    assert supported_codec(codec).feedback == ("nack", "nack pli")
    assert supported_codec(codec).nack
    assert not Codec("opus", 111, 48000).nack
