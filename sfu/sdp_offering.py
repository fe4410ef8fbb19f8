"""Our own offers, for clients that take what they watch on a connection we offer. Pure.

The offers describe one transport with sections that are never removed: each sends one track, or is
stopped (port 0), after which another mid may take its place (RFC 9429, section 5.2.2). It is not
used again for another track under the same mid: to a client a receiver's track keeps the name that
it had first. What a client takes its answer says (`agreed`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sfu.errors import NegotiationError
from sfu.negotiation import BOTH_WAYS, MID, TRANSPORT_CC, Answer, Codec, Section
from sfu.sdp_answer import (
    MAX_MESSAGE_SIZE,
    SCTP_PORT,
    Downlink,
    LocalTransport,
    Rejected,
    sdp_text,
    section_body,
    transport_lines,
)

DATA_MID = "data"

_AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
Extensions = tuple[tuple[int, str], ...]

# Ids of one byte's headers (RFC 8285, section 4.2): 1 to 14.
EXTENSIONS: Extensions = (
    (1, MID),
    (2, TRANSPORT_CC),
    *enumerate(sorted(BOTH_WAYS - {MID, TRANSPORT_CC, _AUDIO_LEVEL}), start=3),
    (13, _AUDIO_LEVEL),
)
"""All that we write, under our own ids; one id means the same in every section (RFC 9143, 9.2)."""

_VIDEO_FEEDBACK = ("nack", "nack pli", "ccm fir", "transport-cc")
_H264 = {
    "level-asymmetry-allowed": "1",
    "packetization-mode": "1",
    "profile-level-id": "42e01f",
}
_FLEXFEC = 49
CODECS: dict[str, Codec] = {
    "opus": Codec(
        "opus",
        111,
        48000,
        channels=2,
        parameters={"minptime": "10", "useinbandfec": "1"},
        feedback=("transport-cc", "nack"),
        red_payload_type=63,
    ),
    "VP8": Codec("VP8", 96, 90000, None, {}, _VIDEO_FEEDBACK, 97, None, _FLEXFEC),
    "VP9": Codec("VP9", 98, 90000, None, {"profile-id": "0"}, _VIDEO_FEEDBACK, 99, None, _FLEXFEC),
    "H264": Codec("H264", 102, 90000, None, _H264, _VIDEO_FEEDBACK, 103, None, _FLEXFEC),
    "AV1": Codec("AV1", 45, 90000, None, {"profile": "0"}, _VIDEO_FEEDBACK, 46, None, _FLEXFEC),
}
"""What we offer to send, by the names of the house, under our own payload types."""


@dataclass(frozen=True, slots=True)
class Sending:
    """What a section of our offer would carry."""

    ssrc: int
    rtx_ssrc: int | None
    cname: str
    stream: str
    track: str
    fec_ssrc: int | None = None


@dataclass(frozen=True, slots=True)
class OfferedSection:
    """One media section of ours; without `sending` it is stopped."""

    mid: str
    kind: str
    codec: Codec
    sending: Sending | None = None

    @property
    def extensions(self) -> Extensions:
        """What we write into its packets if the peer agrees."""
        video = self.kind == "video"
        return tuple(e for e in EXTENSIONS if e[1] in _SOUND or (video and e[1] != _AUDIO_LEVEL))


_SOUND = frozenset(
    {
        MID,
        TRANSPORT_CC,
        _AUDIO_LEVEL,
        "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
    }
)


def build_offer(sections: Sequence[OfferedSection], local: LocalTransport) -> str:
    """The offer's text: data channels first, then the media in the order in which they came."""
    transport = list(transport_lines(local, "actpass"))
    mids = [section.mid for section in sections if section.sending is not None]
    lines = list(_session([DATA_MID, *mids], local))
    lines += [
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        f"a=mid:{DATA_MID}",
        f"a=sctp-port:{SCTP_PORT}",
        f"a=max-message-size:{MAX_MESSAGE_SIZE}",
        *transport,
    ]
    for section in sections:
        lines += _section(section)
        if section.sending is not None:
            lines += transport
    return sdp_text(lines)


def agreed(offered: OfferedSection, answer: Answer) -> tuple[Codec, Extensions] | None:
    """How the client takes a section: the codec with the feedback and the repair that both have,
    and the extensions under our ids. None where it takes nothing here."""
    said = next((s for s in answer.sections if s.mid == offered.mid and s.receives), None)
    ours = offered.codec
    theirs = next((codec for codec in said.codecs if _same(codec, ours)), None) if said else None
    if said is None or theirs is None:
        return None
    # libwebrtc does not ask for NACKs of sound, and acts on them (see `supported_codec`).
    feedback = {*theirs.feedback, "nack"} if ours.name == "opus" else theirs.feedback
    codec = replace(
        ours.limited_to(feedback),
        rtx_payload_type=_both(ours.rtx_payload_type, theirs.rtx_payload_type),
        red_payload_type=_both(ours.red_payload_type, theirs.red_payload_type),
        flexfec_payload_type=_both(ours.flexfec_payload_type, theirs.flexfec_payload_type),
    )
    taken = frozenset(said.extensions)
    return codec, tuple(extension for extension in offered.extensions if extension in taken)


def check_answer(sections: Sequence[OfferedSection], answer: Answer) -> None:
    """Raise NegotiationError unless this answers an offer of these sections (RFC 3264, 6)."""
    if len(answer.sections) != len(sections) + 1 or answer.sections[0].mid != DATA_MID:
        raise NegotiationError("The answer does not have the sections of our offer.")
    for ours, theirs in zip(sections, answer.sections[1:], strict=True):
        if theirs.kind != ours.kind or (not theirs.disabled and theirs.mid != ours.mid):
            raise NegotiationError("The answer does not have the sections of our offer.")


def _same(theirs: Codec, ours: Codec) -> bool:
    return (theirs.name, theirs.payload_type) == (ours.name, ours.payload_type)


def _both(ours: int | None, theirs: int | None) -> int | None:
    return ours if ours == theirs else None


def _session(mids: Sequence[str], local: LocalTransport) -> Iterator[str]:
    yield "v=0"
    yield f"o=- {local.session_id} {local.version} IN IP4 0.0.0.0"
    yield "s=-"
    yield "t=0 0"
    yield "a=ice-lite"
    yield "a=group:BUNDLE " + " ".join(mids)
    yield "a=extmap-allow-mixed"
    yield "a=msid-semantic: WMS *"


def _section(offered: OfferedSection) -> Iterator[str]:
    """Said as if the client had asked for it: the grammar of both directions is one."""
    asked = Section(
        kind=offered.kind,
        mid=offered.mid,
        protocol="UDP/TLS/RTP/SAVPF",
        formats=(str(offered.codec.payload_type),),
        disabled=False,
        direction="recvonly",
        rtcp_rsize=True,
    )
    sending = offered.sending
    if sending is None:
        yield from section_body(asked, Rejected())
        return
    yield from section_body(
        asked,
        Downlink(
            offered.codec,
            offered.extensions,
            sending.ssrc,
            sending.rtx_ssrc,
            sending.cname,
            sending.stream,
            sending.track,
            sending.fec_ssrc,
        ),
    )
