"""From the text of an offer to an `Offer`. Pure.

Parsing is `aiortc.sdp`, which does most of the grammar, plus what it drops (rid, simulcast,
bundle-only, extension directions, content). Everything a stranger can put into an offer ends in an
`Offer` or in a `NegotiationError`; limits come first, because some of that grammar is quadratic.
"""

import re
from collections import Counter
from collections.abc import Sequence

from aiortc import sdp
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from sfu.errors import NegotiationError, OfferTooLarge
from sfu.negotiation import (
    VIDEO_CODECS,
    Codec,
    Direction,
    Fingerprint,
    IceCredentials,
    Offer,
    Section,
    Setup,
)

MAX_OFFER_BYTES = 64 * 1024
"""Chromium's largest offers (simulcast, every codec, 10 sections) stay under 40 KiB."""
_MAX_SECTIONS = 16
_MAX_CODECS = 128  # per section: a payload type is 7 bits
_MAX_FEEDBACK = 1024  # per section
_MAX_RIDS = 8

# RFC 8866 token, and what RFC 8852 allows for a rid (the lengths are ours).
_TOKEN = re.compile(r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]{1,32}", re.ASCII)
_RID = re.compile(r"[\w-]{1,16}", re.ASCII)
_M_LINE = re.compile(r"m=([!-~]+) (\d{1,5})(?:/\d+)? ([A-Z/]+) ([!-~][ -~]*)", re.ASCII)


def parse_offer(text: str) -> Offer:
    """Parse and check an offer.

    Raises OfferTooLarge over 64 KiB, NegotiationError for anything else that cannot be answered.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_OFFER_BYTES:
        raise OfferTooLarge(f"The offer is larger than {MAX_OFFER_BYTES // 1024} KiB.")
    _, groups = sdp.grouplines(text)
    _check_limits(text, groups)
    try:
        session = sdp.SessionDescription.parse(text)
    except Exception as error:  # the grammar's failures have no common class (see the facts page)
        raise NegotiationError("The offer is not valid SDP.") from error
    sections = tuple(map(_section, session.media, groups))
    bundled = _check_bundle(session, sections)
    return _with_transport(session, sections, bundled, "a=extmap-allow-mixed" in text)


# --- limits


def _check_limits(text: str, groups: Sequence[Sequence[str]]) -> None:
    if not text.startswith("v=0"):
        raise NegotiationError("The offer is not SDP: it does not start with v=0.")
    if not groups:
        raise NegotiationError("The offer has no media section.")
    if len(groups) > _MAX_SECTIONS:
        raise NegotiationError(f"The offer has more than {_MAX_SECTIONS} media sections.")
    for lines in groups:
        codecs = sum(line.startswith("a=rtpmap:") for line in lines)
        feedback = sum(line.startswith("a=rtcp-fb:") for line in lines)
        if codecs > _MAX_CODECS or feedback > _MAX_FEEDBACK:
            raise NegotiationError("A media section of the offer lists too many codecs.")


# --- sections


def _section(media: sdp.MediaDescription, lines: Sequence[str]) -> Section:
    match = _M_LINE.fullmatch(lines[0].rstrip())
    if match is None:
        raise NegotiationError("The offer has a malformed m-line.")
    mid = media.rtp.muxId or ""
    if mid and not _TOKEN.fullmatch(mid):
        raise NegotiationError("The offer has a malformed a=mid.")
    is_rtp = media.kind in ("audio", "video")
    section = Section(
        kind=media.kind,
        mid=mid,
        protocol=media.profile,
        formats=tuple(match[4].split()),
        disabled=media.port == 0 and "a=bundle-only" not in lines,
        direction=_direction(media),
        codecs=_codecs(media) if is_rtp else (),
        extensions=_extensions(lines) if is_rtp else (),
        rids=_rids(lines) if is_rtp else (),
        ssrcs=tuple(s.ssrc for s in media.ssrc if 0 < s.ssrc < 2**32),
        rtcp_rsize="a=rtcp-rsize" in lines,
        content=_attribute(lines, "content"),
        sctp_port=_sctp_port(media),
        max_message_size=_max_message_size(media),
    )
    if is_rtp and not section.disabled and not media.rtcp_mux:
        raise NegotiationError("The offer must multiplex RTP and RTCP (a=rtcp-mux).")
    return section


def _direction(media: sdp.MediaDescription) -> Direction:
    match media.direction:
        case "sendonly" | "recvonly" | "inactive" as direction:
            return direction
        case _:
            return "sendrecv"  # the default of RFC 8866, section 6.7


def _sctp_port(media: sdp.MediaDescription) -> int | None:
    if media.kind != "application" or "SCTP" not in media.profile or media.sctp_port is None:
        return None
    return media.sctp_port if 0 < media.sctp_port < 65536 else None


def _max_message_size(media: sdp.MediaDescription) -> int:
    if media.sctpCapabilities is None:
        return 65536  # RFC 8841, section 6.1
    return max(0, media.sctpCapabilities.maxMessageSize)


def _attribute(lines: Sequence[str], name: str) -> str:
    prefix = f"a={name}:"
    return next((line[len(prefix) :].strip() for line in lines if line.startswith(prefix)), "")


def _extensions(lines: Sequence[str]) -> tuple[tuple[int, str], ...]:
    """a=extmap (RFC 8285, section 8), without ids that no packet can carry or that come twice."""
    found: dict[int, str] = {}
    for line in lines:
        match = re.fullmatch(r"a=extmap:(\d{1,3})(/[a-z]+)? ([!-~]+)(?: .*)?", line, re.ASCII)
        if match is None or match[2] == "/inactive":
            continue
        number = int(match[1])
        if 1 <= number <= 255 and number != 15:
            found.setdefault(number, match[3])
    return tuple(found.items())


def _rids(lines: Sequence[str]) -> tuple[str, ...]:
    """Layers the peer sends: a=rid, in the order of a=simulcast (RFC 8853, section 5.1)."""
    declared = [
        match[1]
        for line in lines
        if (match := re.match(r"a=rid:(\S+) send\b", line)) and _RID.fullmatch(match[1])
    ]
    if len(declared) > _MAX_RIDS:
        raise NegotiationError(f"The offer has more than {_MAX_RIDS} simulcast layers.")
    simulcast = re.search(r"(?:^| )send (\S+)", _attribute(lines, "simulcast"))
    if simulcast is None:
        return tuple(dict.fromkeys(declared))
    # Of "1,2;~3" take the first alternative of each layer; ~ marks one that starts paused.
    ordered = [layer.split(",")[0].lstrip("~") for layer in simulcast[1].split(";")]
    return tuple(dict.fromkeys(rid for rid in ordered if rid in declared))


# --- codecs

_NAMES = {name.lower(): name for name in (*VIDEO_CODECS, "opus")}


def _codecs(media: sdp.MediaDescription) -> tuple[Codec, ...]:
    """The codecs we know in the m-line's order, each with the RTX that names it by apt."""
    mapped = {codec.payloadType: codec for codec in reversed(media.rtp.codecs)}
    listed = [(pt, mapped[pt]) for pt in dict.fromkeys(media.fmt) if pt in mapped and pt < 128]
    repairs = {
        (codec.parameters.get("apt"), codec.clockRate): payload_type
        for payload_type, codec in listed
        if _name(codec) == "rtx"
    }
    return tuple(
        _codec(payload_type, codec, repairs.get((payload_type, codec.clockRate)))
        for payload_type, codec in listed
        if _name(codec) in _NAMES
    )


def _codec(payload_type: int, codec: RTCRtpCodecParameters, rtx: int | None) -> Codec:
    feedback = (f"{f.type} {f.parameter}" if f.parameter else f.type for f in codec.rtcpFeedback)
    return Codec(
        name=_NAMES[_name(codec)],
        payload_type=payload_type,
        clock_rate=codec.clockRate,
        channels=codec.channels,
        parameters={
            key.strip(): "" if value is None else str(value)
            for key, value in codec.parameters.items()
            if key.strip()
        },
        feedback=tuple(dict.fromkeys(feedback)),
        rtx_payload_type=rtx,
    )


def _name(codec: RTCRtpCodecParameters) -> str:
    return codec.name.lower()


# --- transport


def _check_bundle(session: sdp.SessionDescription, sections: Sequence[Section]) -> bool:
    """Whether the offer bundles; raises unless all wanted sections share one transport."""
    wanted = [section for section in sections if not section.disabled]
    if not wanted:
        raise NegotiationError("The offer wants none of its media sections.")
    if any(count > 1 for mid, count in Counter(s.mid for s in sections).items() if mid):
        raise NegotiationError("The offer uses the same a=mid twice.")
    bundle = next((group.items for group in session.group if group.semantic == "BUNDLE"), None)
    if bundle is None and len(wanted) == 1:
        return False
    if bundle is None or any(section.mid not in bundle for section in wanted):
        raise NegotiationError(
            "The offer must carry all its media on one transport (a=group:BUNDLE)."
        )
    return True


def _with_transport(
    session: sdp.SessionDescription,
    sections: tuple[Section, ...],
    bundled: bool,
    extmap_allow_mixed: bool,
) -> Offer:
    """The transport of the first wanted section is the bundle's (RFC 9143, section 7.2)."""
    media = next(m for m, s in zip(session.media, sections, strict=True) if not s.disabled)
    if media.dtls is None or not media.dtls.fingerprints:
        raise NegotiationError("The offer lacks a DTLS fingerprint or a=setup.")
    fingerprints = tuple(
        Fingerprint(f.algorithm.lower(), f.value.upper()) for f in media.dtls.fingerprints
    )
    if not any(f.algorithm in ("sha-256", "sha-384", "sha-512") for f in fingerprints):
        raise NegotiationError("The offer needs a fingerprint by sha-256, sha-384 or sha-512.")
    ice = media.ice
    if ice is None or not ice.usernameFragment or not ice.password:
        raise NegotiationError("The offer has no ICE credentials (a=ice-ufrag, a=ice-pwd).")
    return Offer(
        sections=sections,
        setup=_SETUP[media.dtls.role],
        fingerprints=fingerprints,
        ice=IceCredentials(ice.usernameFragment, ice.password),
        bundled=bundled,
        extmap_allow_mixed=extmap_allow_mixed,
    )


_SETUP: dict[str, Setup] = {"auto": "actpass", "client": "active", "server": "passive"}


def parse_fragment(text: str) -> IceCredentials | None:
    """The ICE credentials in a trickle-ice-sdpfrag (RFC 8840, section 9), None if it has none.

    Its candidates are not read: an ICE-lite server learns addresses from the checks themselves.
    Raises OfferTooLarge, and NegotiationError for what is no such fragment.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_OFFER_BYTES:
        raise OfferTooLarge(f"The fragment is larger than {MAX_OFFER_BYTES // 1024} KiB.")
    lines = [line for line in text.splitlines() if line]
    if not lines or any(re.match(r"[a-z]=", line) is None for line in lines):
        raise NegotiationError("The body is not an SDP fragment (RFC 8840).")
    ufrag, pwd = _attribute(lines, "ice-ufrag"), _attribute(lines, "ice-pwd")
    if bool(ufrag) != bool(pwd):
        raise NegotiationError("The fragment has only one of a=ice-ufrag and a=ice-pwd.")
    return IceCredentials(ufrag, pwd) if ufrag else None
