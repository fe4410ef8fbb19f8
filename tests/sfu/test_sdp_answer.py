import random
from dataclasses import replace

import pytest
from aiortc import sdp
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.errors import NegotiationError
from sfu.negotiation import Offer
from sfu.sdp_answer import Rejected, build_answer, build_fragment
from sfu.sdp_offer import parse_offer
from tests.sfu.offers import LOCAL, NAMES, capture, decide
from tests.sfu.test_sdp_offer import MINIMAL, mutate


def answer(text: str) -> tuple[Offer, list[str]]:
    offer = parse_offer(text)
    return offer, build_answer(offer, decide(offer), LOCAL).split("\r\n")


def section(lines: list[str], index: int) -> list[str]:
    starts = [at for at, line in enumerate(lines) if line.startswith("m=")] + [len(lines)]
    return lines[starts[index] : starts[index + 1]]


@pytest.mark.parametrize("name", NAMES)
def test_every_section_is_answered_in_order(name: str) -> None:
    text = capture(name)
    offer, lines = answer(text)
    parsed = sdp.SessionDescription.parse("\r\n".join(lines))
    assert [m.kind for m in parsed.media] == [s.kind for s in offer.sections]
    assert [m.rtp.muxId for m in parsed.media] == [s.mid for s in offer.sections]
    assert all(media.port == 9 for media in parsed.media)
    assert parsed.group[0].items == [s.mid for s in offer.sections]
    assert all(media.ice.iceLite for media in parsed.media)
    assert len({media.ice.usernameFragment for media in parsed.media}) == 1


def test_a_publisher_is_asked_for_one_codec_with_its_repair() -> None:
    _, lines = answer(capture("chromium_publish"))
    camera = section(lines, 1)
    assert camera[0] == "m=video 9 UDP/TLS/RTP/SAVPF 109 114"
    assert "a=recvonly" in camera
    assert "a=fmtp:109 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f" in (
        camera
    )
    assert "a=rtpmap:114 rtx/90000" in camera
    assert "a=fmtp:114 apt=109" in camera
    assert "a=rtcp-fb:109 transport-cc" in camera
    assert "a=rtcp-fb:109 nack pli" in camera
    assert not [line for line in camera if "goog-remb" in line]
    assert camera.count("a=setup:active") == 1
    assert [line for line in camera if line.startswith(("a=rid", "a=simulcast"))] == [
        "a=rid:q recv",
        "a=rid:h recv",
        "a=rid:f recv",
        "a=simulcast:recv q;h;f",
    ]
    extensions = [line.split(" ")[1] for line in camera if line.startswith("a=extmap")]
    assert "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id" in extensions
    assert "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01" in extensions


def test_lost_sound_may_be_asked_for_where_arrivals_are_told() -> None:
    _, lines = answer(capture("chromium_publish"))
    audio = section(lines, 0)
    assert "a=rtcp-fb:111 transport-cc" in audio
    assert "a=rtcp-fb:111 nack" in audio
    assert "a=fmtp:111 minptime=10;useinbandfec=1" in audio
    _, lines = answer(capture("chromium_publish").replace("a=rtcp-fb:111 transport-cc\r\n", ""))
    assert "a=rtcp-fb:111 nack" not in section(lines, 0)


def with_flexfec(text: str, payload_type: str = "49") -> str:
    """The offer as browsers make it whose page prefers no codecs."""
    lines = text.split("\r\n")
    for at, line in reversed(list(enumerate(lines))):
        if line.startswith("m=video"):
            lines[at] += f" {payload_type}"
            lines.insert(at + 3, f"a=rtpmap:{payload_type} flexfec-03/90000")
            lines.insert(at + 4, f"a=fmtp:{payload_type} repair-window=10000000")
    return "\r\n".join(lines)


def test_a_viewer_who_knows_parity_is_promised_it() -> None:
    _, lines = answer(with_flexfec(capture("chromium_watch")))
    camera = section(lines, 1)
    assert camera[0].split()[-1] == "49"
    assert "a=rtpmap:49 flexfec-03/90000" in camera
    assert "a=fmtp:49 repair-window=10000000" in camera
    assert "a=ssrc-group:FEC-FR 1001 3001" in camera
    assert "a=ssrc:3001 cname:cname" in camera
    assert not any("flexfec" in line for line in section(lines, 0))
    _, lines = answer(capture("chromium_watch"))
    assert not any("flexfec" in line or "FEC-FR" in line for line in lines)


def test_a_publisher_is_not_asked_for_parity() -> None:
    _, lines = answer(with_flexfec(capture("chromium_publish")))
    assert not any("flexfec" in line or "FEC-FR" in line for line in lines)


@pytest.mark.parametrize("payload_type", ["72", "128", "300", "x"])
def test_parity_under_no_payload_type_is_passed_over(payload_type: str) -> None:
    text = capture("chromium_watch")
    odd = f"a=rtpmap:{payload_type} flexfec-03/90000\r\n"
    odd = text.replace("a=rtpmap:96 VP8/90000\r\n", "a=rtpmap:96 VP8/90000\r\n" + odd)
    assert answer(odd)[1] == answer(text)[1]


def test_a_viewer_who_knows_red_is_promised_redundant_sound() -> None:
    _, lines = answer(capture("chromium_watch"))
    audio = section(lines, 0)
    assert audio[0].endswith(" 111 63")
    assert "a=rtpmap:63 red/48000/2" in audio
    assert "a=fmtp:63 111/111" in audio


def test_a_viewer_is_told_stream_and_ssrcs() -> None:
    _, lines = answer(capture("chromium_watch"))
    camera = section(lines, 1)
    assert "a=sendonly" in camera
    assert "a=msid:math camera" in camera
    assert "a=ssrc-group:FID 1001 2001" in camera
    assert "a=ssrc:1001 cname:cname" in camera
    assert "a=rtcp-fb:109 transport-cc" in camera
    assert "a=rtcp-fb:109 nack" in camera
    uris = [line.split(" ")[1] for line in camera if line.startswith("a=extmap")]
    assert "urn:ietf:params:rtp-hdrext:sdes:mid" in uris
    assert [uri for uri in uris if "transport-wide" in uri]
    assert not [uri for uri in uris if "rtp-stream-id" in uri]
    assert not [uri for uri in uris if "abs-send-time" in uri or "toffset" in uri]


@pytest.mark.parametrize("index", range(4))
def test_every_section_has_the_candidates_with_falling_priority(index: int) -> None:
    _, lines = answer(capture("chromium_watch"))
    lines = section(lines, index)
    candidates = [line.split(" ") for line in lines if line.startswith("a=candidate")]
    assert [(c[2], c[4], c[5]) for c in candidates] == [
        ("udp", "192.0.2.7", "7882"),
        ("udp", "127.0.0.1", "7882"),
        ("tcp", "192.0.2.7", "7881"),
        ("tcp", "127.0.0.1", "7881"),
    ]
    assert [c[8:] for c in candidates] == [[], [], *[["tcptype", "passive"]] * 2]
    priorities = [int(c[3]) for c in candidates]
    assert priorities == sorted(set(priorities), reverse=True)
    assert len({c[0] for c in candidates}) == 4  # foundations: no two are of one base and protocol
    assert lines.count("a=end-of-candidates") == 1


def test_tcp_is_below_what_a_client_may_find_out_by_udp() -> None:
    _, lines = answer(MINIMAL)
    tcp = next(line for line in lines if " 1 tcp " in line)
    server_reflexive = 100 << 24
    assert int(tcp.split(" ")[3]) < server_reflexive


def test_without_a_tcp_port_there_are_no_tcp_candidates() -> None:
    offer = parse_offer(capture("chromium_watch"))
    text = build_answer(offer, decide(offer), replace(LOCAL, tcp_port=None))
    assert " udp " in text
    assert " tcp " not in text


def test_a_rejected_section_has_port_0_and_leaves_the_bundle() -> None:
    offer = parse_offer(capture("chromium_watch"))
    decisions = decide(offer)
    decisions[0] = Rejected()
    lines = build_answer(offer, decisions, LOCAL).split("\r\n")
    assert section(lines, 0) == [
        "m=audio 0 UDP/TLS/RTP/SAVPF 111",
        "c=IN IP4 0.0.0.0",
        "a=mid:0",
        "a=inactive",
    ]
    assert "a=group:BUNDLE 1 2 3" in lines
    assert "a=end-of-candidates" in section(lines, 1)


def test_an_active_offer_is_answered_passive() -> None:
    _, lines = answer(capture("chromium_watch").replace("setup:actpass", "setup:active"))
    assert "a=setup:passive" in lines
    assert "a=setup:active" not in lines


def test_a_passive_offer_is_answered_active() -> None:
    _, lines = answer(capture("ffmpeg_publish"))
    assert "a=setup:active" in lines
    assert "a=setup:passive" not in lines
    assert "a=rtcp-rsize" not in section(lines, 0)  # it was not offered there


def test_a_sender_of_stereo_may() -> None:
    _, lines = answer(capture("gstreamer_publish"))
    assert "a=fmtp:98 sprop-stereo=1;stereo=1" in lines
    assert not [line for line in lines if "sprop-parameter-sets" in line]


def test_without_bundle_there_is_no_group() -> None:
    _, lines = answer(MINIMAL)
    assert not [line for line in lines if line.startswith(("a=group", "a=mid"))]


def test_an_ice_restart_is_answered_with_credentials_and_candidates() -> None:
    offer = parse_offer(capture("chromium_watch"))
    lines = build_fragment(offer, LOCAL).split("\r\n")
    assert "a=ice-ufrag:ourufrag" in lines
    assert "a=ice-pwd:ourpassword0123456789012" in lines
    assert "a=mid:0" in lines
    candidates = [line.split(" ")[2] for line in lines if "candidate:" in line]
    assert candidates == ["udp", "udp", "tcp", "tcp"]
    assert lines[-2] == "a=end-of-candidates"


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(NAMES), st.integers(0, 2**32))
def test_an_answer_always_parses_and_has_the_offers_sections(name: str, seed: int) -> None:
    text = mutate(capture(name), random.Random(seed))
    try:
        offer, lines = answer(text)
    except NegotiationError:
        return
    parsed = sdp.SessionDescription.parse("\r\n".join(lines))
    assert [m.kind for m in parsed.media] == [s.kind for s in offer.sections]
    assert [m.rtp.muxId for m in parsed.media] == [s.mid for s in offer.sections]


def test_parameters_that_are_no_numbers_are_not_repeated() -> None:
    strange = capture("firefox_publish").replace("stereo=1", "stereo=1\u0d52")
    _, lines = answer(strange)
    assert not [line for line in lines if "\u0d52" in line]
