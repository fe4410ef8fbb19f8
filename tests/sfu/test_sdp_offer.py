import asyncio
import contextlib
import random

import pytest
from aiortc import RTCPeerConnection
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.errors import NegotiationError, OfferTooLarge
from sfu.negotiation import IceCredentials
from sfu.sdp_offer import MAX_OFFER_BYTES, parse_fragment, parse_offer
from tests.sfu.offers import NAMES, capture


@pytest.mark.parametrize("name", NAMES)
def test_what_real_clients_send_is_understood(name: str) -> None:
    offer = parse_offer(capture(name))
    assert offer.bundled
    assert offer.fingerprints[0].algorithm == "sha-256"
    assert len(offer.ice.pwd) >= 22
    assert all(section.codecs for section in offer.sections if section.kind != "application")


def test_chromium_simulcast() -> None:
    audio, camera, slides, data = parse_offer(capture("chromium_publish")).sections
    assert camera.rids == ("q", "h", "f")
    assert slides.rids == ()
    assert slides.ssrcs == (2231627014, 632943048)
    assert audio.sends
    assert not audio.receives
    assert data.is_data_channel
    assert data.max_message_size == 262144
    h264 = [codec for codec in camera.codecs if codec.name == "H264"]
    assert [codec.rtx_payload_type for codec in h264] == [104, 108, 114, 116, 118]
    assert h264[0].feedback == ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")
    assert (4, "urn:ietf:params:rtp-hdrext:sdes:mid") in camera.extensions


def test_firefox_bundle_only_sections_are_not_disabled() -> None:
    audio, camera, data = parse_offer(capture("firefox_publish")).sections
    assert not camera.disabled
    assert camera.sends
    assert data.is_data_channel
    assert camera.rids == ("hi", "mid", "lo")  # ~ and alternatives are read
    assert audio.codecs[0].parameters["stereo"] == "1"


def test_we_are_the_dtls_client_unless_the_peer_insists() -> None:
    offer = capture("chromium_publish")
    assert parse_offer(offer).our_role == "client"
    assert parse_offer(capture("ffmpeg_publish")).our_role == "client"  # setup:passive
    assert parse_offer(offer.replace("setup:actpass", "setup:active")).our_role == "server"


def test_session_level_attributes_count_for_every_section() -> None:
    offer = parse_offer(capture("obs_publish"))
    assert offer.ice == IceCredentials("mmRg", "9oUqYDqOeLrGbPJx4b2sTm")
    assert offer.setup == "actpass"


async def test_aiortc_as_it_offers_today() -> None:
    pc = RTCPeerConnection()
    pc.addTransceiver("audio", direction="sendonly")
    pc.addTransceiver("video", direction="recvonly")
    pc.createDataChannel("chat")
    offer = await pc.createOffer()
    await pc.setLocalDescription(offer)
    parsed = parse_offer(pc.localDescription.sdp)
    assert [section.kind for section in parsed.sections] == ["audio", "video", "application"]
    await pc.close()
    await asyncio.sleep(0)


MINIMAL = "\r\n".join(
    [
        "v=0",
        "o=- 1 1 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "a=rtcp-mux",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:abcdefghijklmnopqrstuvwx",
        "a=fingerprint:sha-256 AA:BB",
        "a=setup:actpass",
        "a=rtpmap:111 opus/48000/2",
        "",
    ]
)


def test_one_section_needs_neither_bundle_nor_mid() -> None:
    offer = parse_offer(MINIMAL)
    assert not offer.bundled
    assert offer.sections[0].direction == "sendrecv"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "does not start with v=0"),
        ("hello", "does not start with v=0"),
        ("v=0\r\ns=-\r\n", "no media section"),
        (MINIMAL.replace("UDP/TLS", "udp tls "), "not valid SDP"),
        (MINIMAL.replace("a=rtcp-mux\r\n", ""), "rtcp-mux"),
        (MINIMAL.replace("a=setup:actpass\r\n", ""), "a=setup"),
        (MINIMAL.replace("a=setup:actpass", "a=setup:holdconn"), "not valid SDP"),
        (MINIMAL.replace("a=fingerprint:sha-256 AA:BB\r\n", ""), "fingerprint"),
        (MINIMAL.replace("sha-256", "md5"), "sha-256"),
        (MINIMAL.replace("a=ice-pwd:abcdefghijklmnopqrstuvwx\r\n", ""), "ICE credentials"),
        (MINIMAL.replace("m=audio 9", "m=audio 0"), "none of its media"),
        (MINIMAL.replace("a=rtcp-mux", "a=rtcp-mux\r\na=mid:a b"), "a=mid"),
        (MINIMAL + MINIMAL[MINIMAL.index("m=") :], "one transport"),
        (MINIMAL + MINIMAL[MINIMAL.index("m=") :] * 16, "more than 16"),
        (MINIMAL + "a=rtpmap:1 x/1\r\n" * 200, "too many codecs"),
        (MINIMAL + "".join(f"a=rid:r{n} send\r\n" for n in range(9)), "simulcast layers"),
    ],
)
def test_an_unusable_offer_is_refused_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(NegotiationError, match=sentence) as caught:
        parse_offer(text)
    assert caught.value.reason.endswith(".")
    assert "\n" not in caught.value.reason


def test_the_same_mid_twice_is_refused() -> None:
    text = capture("obs_publish").replace("a=mid:1", "a=mid:0")
    with pytest.raises(NegotiationError, match="same a=mid"):
        parse_offer(text)


def test_size_is_bounded() -> None:
    with pytest.raises(OfferTooLarge):
        parse_offer(MINIMAL + "a=" + "x" * MAX_OFFER_BYTES)


def test_extension_ids_that_no_packet_can_carry_are_left_out() -> None:
    text = MINIMAL + "a=extmap:0 a\r\na=extmap:15 b\r\na=extmap:256 c\r\na=extmap:1/inactive d\r\n"
    (section,) = parse_offer(text + "a=extmap:3 first\r\na=extmap:3 second\r\n").sections
    assert section.extensions == ((3, "first"),)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=400))
def test_arbitrary_text_raises_nothing_else(text: str) -> None:
    for candidate in (text, "v=0\r\n" + text, MINIMAL + text):
        with contextlib.suppress(NegotiationError):
            parse_offer(candidate)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(NAMES), st.integers(0, 2**32))
def test_mutated_offers_raise_nothing_else(name: str, seed: int) -> None:
    with contextlib.suppress(NegotiationError):
        parse_offer(mutate(capture(name), random.Random(seed)))


def mutate(text: str, dice: random.Random) -> str:
    """Lines doubled, dropped, swapped; values cut, replaced, made enormous or negative."""
    lines = text.split("\r\n")
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(len(lines))
        match dice.randrange(6):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, lines[dice.randrange(len(lines))])
            case 2:
                lines[at] = lines[at][: dice.randrange(len(lines[at]) + 1)]
            case 3:
                lines[at] = lines[at].replace(
                    "1", dice.choice(["-1", "99999999999", "x", "\u0663"])
                )
            case 4:
                lines[at] = lines[at].replace(" ", dice.choice(["", "  ", ":", "/"]))
            case _:
                cut = dice.randrange(len(lines[at]) + 1)
                lines[at] = lines[at][:cut] + chr(dice.randrange(1, 0x2FFF)) + lines[at][cut:]
        if not lines:
            break
    return "\r\n".join(lines)


def test_fragments() -> None:
    head = "a=ice-ufrag:abcd\r\na=ice-pwd:secret\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
    assert parse_fragment(head) == IceCredentials("abcd", "secret")
    assert parse_fragment("m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=end-of-candidates\r\n") is None


@pytest.mark.parametrize("text", ["", "hello", "a=ice-ufrag:abcd\r\n", "a=ice-pwd:abcd\r\n"])
def test_bad_fragments_are_refused(text: str) -> None:
    with pytest.raises(NegotiationError):
        parse_fragment(text)


def test_fragments_are_bounded() -> None:
    with pytest.raises(OfferTooLarge):
        parse_fragment("a=candidate:" + "x" * MAX_OFFER_BYTES)
