"""What the generator's clients say of themselves, and what they read of a server."""

import pytest
from aiortc import sdp

from benchmarks import session
from benchmarks.session import DescriptionError, Local
from sfu.negotiation import Fingerprint

ME = Local("ufrag", "p" * 24, Fingerprint("sha-256", ":".join(["AB"] * 32)))

OFFER = "\r\n".join(
    [
        "v=0",
        "o=- 5 5 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "a=fingerprint:sha-256 " + ":".join(["CD"] * 32),
        "a=group:BUNDLE 0 s v",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        "a=setup:actpass",
        "a=mid:0",
        "a=ice-ufrag:theirs",
        "a=ice-pwd:secret",
        "a=sctp-port:5000",
        "a=candidate:1 1 udp 2130706431 fe80::1 7000 typ host",
        "a=candidate:2 1 udp 2130706400 192.0.2.7 7001 typ host",
        "a=candidate:3 1 tcp 2130706500 127.0.0.1 7002 typ host tcptype passive",
        "a=candidate:4 1 udp 2130706300 127.0.0.1 7003 typ host",
        "m=audio 9 UDP/TLS/RTP/SAVPF 63 111",
        "c=IN IP4 0.0.0.0",
        "a=setup:actpass",
        "a=mid:s",
        "a=rtpmap:63 red/48000/2",
        "a=rtpmap:111 opus/48000/2",
        "a=extmap:9 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        "a=sendrecv",
        "m=video 9 UDP/TLS/RTP/SAVPF 96 97 125 126 108 109",
        "c=IN IP4 0.0.0.0",
        "a=setup:actpass",
        "a=mid:v",
        "a=rtpmap:96 VP8/90000",
        "a=rtpmap:97 rtx/90000",
        "a=fmtp:97 apt=96",
        "a=rtpmap:125 H264/90000",
        "a=fmtp:125 packetization-mode=0;profile-level-id=42e01f",
        "a=rtpmap:126 rtx/90000",
        "a=fmtp:126 apt=125",
        "a=rtpmap:108 H264/90000",
        "a=fmtp:108 packetization-mode=1;profile-level-id=42e01f",
        "a=rtcp-fb:108 transport-cc",
        "a=rtpmap:109 rtx/90000",
        "a=fmtp:109 apt=108",
        f"a=extmap:7 {session.TRANSPORT_CC}",
        f"a=extmap:8 {session.MID}",
        "a=extmap:3 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
        "a=sendonly",
        "",
    ]
)


@pytest.mark.parametrize(("role", "direction"), [("teacher", "sendonly"), ("school", "recvonly")])
def test_an_offer_asks_for_transport_wide_feedback(role: session.Role, direction: str) -> None:
    media = sdp.SessionDescription.parse(session.offer(ME, role)).media
    assert [m.kind for m in media] == ["audio", "video"]
    for section in media:
        assert section.direction == direction
        assert (session.TRANSPORT_CC_ID, session.TRANSPORT_CC) in [
            (extension.id, extension.uri) for extension in section.rtp.headerExtensions
        ]
        assert ("transport-cc", None) in [
            (feedback.type, feedback.parameter) for feedback in section.rtp.codecs[0].rtcpFeedback
        ]
    announced = [section.ssrc[0].ssrc for section in media if section.ssrc]
    assert announced == ([session.AUDIO_SSRC, session.VIDEO_SSRC] if role == "teacher" else [])


def test_an_answer_takes_what_is_sent_in_the_offers_own_numbers() -> None:
    answered = sdp.SessionDescription.parse(session.answer(OFFER, ME))
    data, audio, video = answered.media
    assert [m.rtp.muxId for m in answered.media] == ["0", "s", "v"]
    assert data.sctp_port == 5000
    assert (audio.direction, video.direction) == ("recvonly", "recvonly")
    assert (audio.fmt, video.fmt) == ([111], [108, 109])
    assert [(e.id, e.uri) for e in video.rtp.headerExtensions] == [
        (7, session.TRANSPORT_CC),
        (8, session.MID),
    ]
    assert audio.rtp.headerExtensions == []
    assert video.ice.usernameFragment == ME.ufrag
    assert video.dtls is not None
    assert video.dtls.role == "client"


def test_of_a_server_its_loopback_candidate_its_repair_and_its_feedback_are_read() -> None:
    remote = session.remote(OFFER)
    assert remote.address == "127.0.0.1:7003"
    assert (remote.ufrag, remote.pwd) == ("theirs", "secret")
    assert remote.transport_cc == 7
    assert remote.video == (108, 109)
    assert remote.fingerprints[0].algorithm == "sha-256"


def test_without_loopback_an_ipv4_candidate_is_taken() -> None:
    kept = [line for line in OFFER.splitlines(keepends=True) if "127.0.0.1" not in line]
    assert session.remote("".join(kept)).address == "192.0.2.7:7001"


def test_what_was_not_agreed_on_is_none() -> None:
    kept = [line for line in OFFER.splitlines(keepends=True) if "apt=108" not in line]
    remote = session.remote("".join(kept).replace(session.TRANSPORT_CC, "urn:other"))
    assert remote.transport_cc is None
    assert remote.video == (108, None)


@pytest.mark.parametrize("needed", ["a=candidate", "a=fingerprint", "a=ice-ufrag"])
def test_a_description_that_lacks_something_is_refused(needed: str) -> None:
    kept = [line for line in OFFER.splitlines(keepends=True) if not line.startswith(needed)]
    with pytest.raises(DescriptionError):
        session.remote("".join(kept))
