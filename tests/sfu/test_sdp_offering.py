from dataclasses import replace

import pytest

from sfu.errors import NegotiationError
from sfu.negotiation import MID
from sfu.sdp_answer import build_answer
from sfu.sdp_offer import CONFERENCE, parse_answer, parse_offer
from sfu.sdp_offering import (
    CODECS,
    EXTENSIONS,
    OfferedSection,
    Sending,
    agreed,
    build_offer,
    check_answer,
)
from tests.sfu.offers import LOCAL, decide


def sending(kind: str, codec: str, mid: str = "s0", ssrc: int = 7) -> OfferedSection:
    names = Sending(ssrc, ssrc + 1, "cname", "PA_x|camera", "TR_x")
    return OfferedSection(mid, kind, CODECS[codec], names)


def stopped(section: OfferedSection) -> OfferedSection:
    return replace(section, sending=None)


def answered(sections: list[OfferedSection]) -> str:
    """As a client answers that takes everything: our own answerer in its place."""
    offer = parse_offer(build_offer(sections, LOCAL).replace("sendonly", "recvonly"), CONFERENCE)
    decisions = decide(offer)
    text = build_answer(offer, decisions, LOCAL)
    return text.replace("sendonly", "recvonly").replace("setup:passive", "setup:active")


def test_an_offer_of_nothing_still_has_data_channels() -> None:
    offer = parse_offer(build_offer([], LOCAL))
    assert [section.kind for section in offer.sections] == ["application"]
    assert offer.sections[0].is_data_channel
    assert offer.setup == "actpass"


@pytest.mark.parametrize("codec", ["H264", "VP8", "VP9", "AV1"])
def test_a_section_says_codec_repair_and_names(codec: str) -> None:
    lines = build_offer([sending("video", codec)], LOCAL).split("\r\n")
    section = lines[next(i for i, line in enumerate(lines) if line.startswith("m=video")) :]
    assert "a=sendonly" in section
    assert "a=msid:PA_x|camera TR_x" in section
    assert "a=ssrc-group:FID 7 8" in section
    assert any(line.startswith("a=rtpmap:") and f" {codec}/90000" in line for line in section)
    assert any(line.endswith("rtx/90000") for line in section)


def test_extension_ids_are_one_byte_unique_and_the_same_everywhere() -> None:
    numbers = [number for number, _ in EXTENSIONS]
    assert len(set(numbers)) == len(numbers)
    assert set(numbers) <= set(range(1, 15))
    for section in (sending("audio", "opus"), sending("video", "VP8")):
        assert set(section.extensions) <= set(EXTENSIONS)
        assert MID in {uri for _, uri in section.extensions}


def test_payload_types_are_unique() -> None:
    types = [
        payload_type
        for codec in CODECS.values()
        for payload_type in (codec.payload_type, codec.rtx_payload_type, codec.red_payload_type)
        if payload_type is not None
    ]
    assert len(set(types)) == len(types)


def test_a_client_that_takes_all_is_agreed_with() -> None:
    sections = [sending("audio", "opus"), sending("video", "VP8", "s1", 9)]
    answer = parse_answer(answered(sections))
    check_answer(sections, answer)
    assert answer.our_role == "server"
    for section in sections:
        found = agreed(section, answer)
        assert found is not None
        codec, extensions = found
        assert codec.nack
        assert set(extensions) <= set(section.extensions)
        assert MID in {uri for _, uri in extensions}


def test_what_a_client_does_not_take_is_not_agreed() -> None:
    section = sending("video", "VP8")
    text = answered([section])
    assert agreed(section, parse_answer(text.replace("m=video 9", "m=video 0"))) is None
    assert agreed(section, parse_answer(text.replace("a=recvonly", "a=inactive"))) is None
    assert agreed(section, parse_answer(text.replace("VP8/90000", "VP9/90000"))) is None


def test_repair_that_a_client_leaves_out_is_left_out() -> None:
    section = sending("video", "VP8")
    text = answered([section]).replace("rtx/90000", "ulpfec/90000").replace("nack", "x-nack")
    found = agreed(section, parse_answer(text))
    assert found is not None
    assert found[0].rtx_payload_type is None
    assert not found[0].nack


def test_an_extension_under_another_id_is_not_agreed() -> None:
    section = sending("video", "VP8")
    text = answered([section]).replace(f"a=extmap:1 {MID}", f"a=extmap:9 {MID}")
    found = agreed(section, parse_answer(text))
    assert found is not None
    assert MID not in {uri for _, uri in found[1]}


def test_a_stopped_section_keeps_its_place() -> None:
    sections = [stopped(sending("video", "VP8")), sending("audio", "opus", "s1")]
    text = build_offer(sections, LOCAL)
    assert "m=video 0 " in text
    assert "a=group:BUNDLE data s1\r\n" in text
    offer = parse_offer(text)
    assert [section.disabled for section in offer.sections] == [False, True, False]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[: text.index("m=audio")],
        lambda text: text.replace("a=mid:s0", "a=mid:s9").replace("data s0", "data s9"),
        lambda text: text.replace("m=audio", "m=video"),
        lambda text: text.replace("setup:active", "setup:actpass"),
        lambda text: text.replace("v=0", "v=1"),
    ],
)
def test_what_is_no_answer_to_our_offer_is_refused(change: object) -> None:
    sections = [sending("audio", "opus")]
    text = change(answered(sections))  # type: ignore[operator]
    with pytest.raises(NegotiationError, match="answer"):
        check_answer(sections, parse_answer(text))
