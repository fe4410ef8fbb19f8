"""From an offer and our decisions to the text of an answer. Pure.

ICE-lite (RFC 8445, section 2.5), everything bundled on one transport (RFC 9143), every m-section
of the offer answered in its order (RFC 3264, section 6).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sfu.negotiation import Codec, Fingerprint, IceCredentials, Offer, Section, Setup

SCTP_PORT = 5000
MAX_MESSAGE_SIZE = 64 * 1024
"""Bytes of a data channel message we take: chat and control, not files."""

_TCP_HOST = 90
"""Type preference of TCP host candidates; UDP's are from 126 to 100 (RFC 8445, section 5.1.2.2)."""
_REPAIR_WINDOW = 10_000_000
"""Microseconds that a packet and its parity may be apart at most; browsers say the same."""
_PASSIVE = 4
"""Direction preference of a passive host candidate (RFC 6544, section 4.2)."""

# What of the peer's fmtp an answer repeats; the rest describes its own sending (sprop-...).
_MIRRORED: Mapping[str, frozenset[str]] = {
    "H264": frozenset({"level-asymmetry-allowed", "packetization-mode", "profile-level-id"}),
    "VP9": frozenset({"profile-id"}),
    "AV1": frozenset({"profile", "level-idx", "tier"}),
    "VP8": frozenset(),
    "opus": frozenset({"minptime", "useinbandfec", "stereo", "sprop-stereo", "usedtx"}),
}

# They are all numbers; only H264's profile-level-id is hexadecimal.
_PARAMETER = re.compile(r"[0-9]{1,6}|[0-9A-Fa-f]{6}")


@dataclass(frozen=True, slots=True)
class Uplink:
    """We take media in this section."""

    codec: Codec
    extensions: Sequence[tuple[int, str]]
    rids: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Downlink:
    """We send media in this section."""

    codec: Codec
    extensions: Sequence[tuple[int, str]]
    ssrc: int
    rtx_ssrc: int | None
    cname: str
    stream: str
    """The MediaStream id the peer sees (RFC 8830)."""
    track: str
    """The MediaStreamTrack id the peer sees, where it honours it."""
    fec_ssrc: int | None = None


@dataclass(frozen=True, slots=True)
class DataChannel:
    """We talk SCTP in this section (RFC 8841)."""


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing flows in this section now, and something may later."""

    codecs: Sequence[Codec]
    """At least one."""
    extensions: Sequence[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class Rejected:
    """We do not want this section (port 0)."""


Decision = Uplink | Downlink | DataChannel | Idle | Rejected


@dataclass(frozen=True, slots=True)
class LocalTransport:
    """Our end of the transport."""

    session_id: int
    """For the o= line, unique to the session (RFC 8866, section 5.2)."""
    ice: IceCredentials
    fingerprint: Fingerprint
    addresses: Sequence[str]
    """Announced as host candidates, the preferred one first."""
    port: int
    tcp_port: int | None = None
    """For those whose network blocks UDP (RFC 6544)."""
    version: int = 1
    """Of our descriptions in this session: it grows with each (RFC 3264, section 5)."""


def build_answer(offer: Offer, decisions: Sequence[Decision], local: LocalTransport) -> str:
    """The answer's text; `decisions` has one entry per section of the offer."""
    accepted = [
        section
        for section, decision in zip(offer.sections, decisions, strict=True)
        if not isinstance(decision, Rejected)
    ]
    lines = list(_session(offer, accepted, local))
    transport = list(transport_lines(local, "passive" if offer.our_role == "server" else "active"))
    for section, decision in zip(offer.sections, decisions, strict=True):
        lines += section_body(section, decision)
        if not isinstance(decision, Rejected):
            lines += transport
    return sdp_text(lines)


def build_fragment(offer: Offer, local: LocalTransport) -> str:
    """The answer to an ICE restart: new credentials and candidates (RFC 8840, RFC 9725 4.3.3)."""
    first = next(section for section in offer.sections if not section.disabled)
    return sdp_text(
        [
            "a=ice-lite",
            f"m={first.kind} 9 {first.protocol} {first.formats[0]}",
            *_mid(first),
            *_credentials(local),
            *_candidates(local),
        ]
    )


def _session(offer: Offer, accepted: Iterable[Section], local: LocalTransport) -> Iterator[str]:
    yield "v=0"
    yield f"o=- {local.session_id} {local.version} IN IP4 0.0.0.0"
    yield "s=-"
    yield "t=0 0"
    yield "a=ice-lite"
    if offer.bundled:
        yield "a=group:BUNDLE " + " ".join(section.mid for section in accepted)
    if offer.extmap_allow_mixed:
        yield "a=extmap-allow-mixed"
    yield "a=msid-semantic: WMS *"


def section_body(section: Section, decision: Decision) -> Iterator[str]:
    """One section's lines, without those of the transport."""
    match decision:
        case Uplink():
            yield from _uplink(section, decision)
        case Downlink():
            yield from _downlink(section, decision)
        case DataChannel():
            yield from _m_line(section, 9, section.formats)
            yield f"a=sctp-port:{SCTP_PORT}"
            yield f"a=max-message-size:{MAX_MESSAGE_SIZE}"
        case Idle():
            yield from _idle(section, decision)
        case Rejected():
            yield from _m_line(section, 0, section.formats[:1])
            yield "a=inactive"


def _uplink(section: Section, uplink: Uplink) -> Iterator[str]:
    yield from _m_line(section, 9, _payload_types(uplink.codec, uplink.codec.rtx_payload_type))
    yield "a=recvonly"
    yield from _rtcp(section)
    yield from _rtp(uplink.codec, uplink.extensions, uplink.codec.rtx_payload_type)
    for rid in uplink.rids:
        yield f"a=rid:{rid} recv"
    if len(uplink.rids) > 1:
        yield "a=simulcast:recv " + ";".join(uplink.rids)


def _downlink(section: Section, downlink: Downlink) -> Iterator[str]:
    rtx = downlink.codec.rtx_payload_type if downlink.rtx_ssrc is not None else None
    red = downlink.codec.red_payload_type
    fec = downlink.codec.flexfec_payload_type if downlink.fec_ssrc is not None else None
    yield from _m_line(section, 9, _payload_types(downlink.codec, rtx, red, fec))
    yield "a=sendonly"
    yield f"a=msid:{downlink.stream} {downlink.track}"
    yield from _rtcp(section)
    yield from _rtp(downlink.codec, downlink.extensions, rtx)
    if red is not None:
        yield f"a=rtpmap:{red} red/{_rate(downlink.codec)}"
        yield f"a=fmtp:{red} {downlink.codec.payload_type}/{downlink.codec.payload_type}"
    if fec is not None:
        yield f"a=rtpmap:{fec} flexfec-03/{_rate(downlink.codec)}"
        yield f"a=fmtp:{fec} repair-window={_REPAIR_WINDOW}"
    if downlink.rtx_ssrc is not None:
        yield f"a=ssrc-group:FID {downlink.ssrc} {downlink.rtx_ssrc}"
    if fec is not None:
        yield f"a=ssrc-group:FEC-FR {downlink.ssrc} {downlink.fec_ssrc}"
    for ssrc in (downlink.ssrc, downlink.rtx_ssrc, downlink.fec_ssrc):
        if ssrc is not None:
            yield f"a=ssrc:{ssrc} cname:{downlink.cname}"
            yield f"a=ssrc:{ssrc} msid:{downlink.stream} {downlink.track}"


def _idle(section: Section, idle: Idle) -> Iterator[str]:
    types = [t for codec in idle.codecs for t in _payload_types(codec, codec.rtx_payload_type)]
    yield from _m_line(section, 9, types)
    yield "a=inactive"
    yield from _rtcp(section)
    yield from _extmaps(idle.extensions)
    for codec in idle.codecs:
        yield from _format(codec, codec.rtx_payload_type)


def _m_line(section: Section, port: int, formats: Iterable[str]) -> Iterator[str]:
    yield f"m={section.kind} {port} {section.protocol} {' '.join(formats)}"
    yield "c=IN IP4 0.0.0.0"
    yield from _mid(section)


def _rtcp(section: Section) -> Iterator[str]:
    yield "a=rtcp-mux"
    if section.rtcp_rsize:
        yield "a=rtcp-rsize"


def _mid(section: Section) -> Iterator[str]:
    if section.mid:
        yield f"a=mid:{section.mid}"


def _payload_types(codec: Codec, *repairs: int | None) -> Iterator[str]:
    yield str(codec.payload_type)
    yield from (str(repair) for repair in repairs if repair is not None)


def _rate(codec: Codec) -> str:
    channels = f"/{codec.channels}" if codec.channels and codec.channels > 1 else ""
    return f"{codec.clock_rate}{channels}"


def _rtp(codec: Codec, extensions: Sequence[tuple[int, str]], rtx: int | None) -> Iterator[str]:
    yield from _extmaps(extensions)
    yield from _format(codec, rtx)


def _extmaps(extensions: Sequence[tuple[int, str]]) -> Iterator[str]:
    for number, uri in extensions:
        yield f"a=extmap:{number} {uri}"


def _format(codec: Codec, rtx: int | None) -> Iterator[str]:
    yield f"a=rtpmap:{codec.payload_type} {codec.name}/{_rate(codec)}"
    for feedback in codec.feedback:
        yield f"a=rtcp-fb:{codec.payload_type} {feedback}"
    if parameters := _parameters(codec):
        yield f"a=fmtp:{codec.payload_type} {parameters}"
    if rtx is not None:
        yield f"a=rtpmap:{rtx} rtx/{codec.clock_rate}"
        yield f"a=fmtp:{rtx} apt={codec.payload_type}"


def _parameters(codec: Codec) -> str:
    mirrored = {
        name: value
        for name, value in codec.parameters.items()
        if name in _MIRRORED[codec.name] and _PARAMETER.fullmatch(value)
    }
    if mirrored.get("sprop-stereo") == "1":  # it would send stereo (RFC 7587, section 7.1): do
        mirrored["stereo"] = "1"
    return ";".join(f"{key}={value}" if value else key for key, value in mirrored.items())


def transport_lines(local: LocalTransport, setup: Setup) -> Iterator[str]:
    """Our end of the transport, as every section that is not rejected repeats it."""
    yield from _credentials(local)
    yield f"a=fingerprint:{local.fingerprint.algorithm} {local.fingerprint.value}"
    yield f"a=setup:{setup}"
    # The bundle's first section would do (RFC 9143, 7.1.3), but aiortc reads those of its last.
    yield from _candidates(local)


def _credentials(local: LocalTransport) -> Iterator[str]:
    yield f"a=ice-ufrag:{local.ice.ufrag}"
    yield f"a=ice-pwd:{local.ice.pwd}"


def _candidates(local: LocalTransport) -> Iterator[str]:
    """Host candidates of falling priority (RFC 8445, section 5.1.2.1), and their end.

    TCP comes after all of UDP (RFC 6544, section 4.2): its type preference is below those of what
    a client may find out about itself by UDP too.
    """
    for index, address in enumerate(local.addresses):
        priority = (126 << 24) | ((65535 - index) << 8) | 255
        yield f"a=candidate:{index + 1} 1 udp {priority} {address} {local.port} typ host"
    for index, address in enumerate(local.addresses if local.tcp_port is not None else ()):
        foundation = len(local.addresses) + index + 1
        preference = (_PASSIVE << 13) | (8191 - index)
        priority = (_TCP_HOST << 24) | (preference << 8) | 255
        yield (
            f"a=candidate:{foundation} 1 tcp {priority} {address} {local.tcp_port} typ host "
            "tcptype passive"
        )
    yield "a=end-of-candidates"


def sdp_text(lines: Iterable[str]) -> str:
    """Lines as SDP ends them (RFC 8866, section 5)."""
    return "\r\n".join(lines) + "\r\n"
