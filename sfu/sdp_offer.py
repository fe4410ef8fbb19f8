"""From the text of an offer to an `Offer`. Pure.

Everything a stranger can put into an offer ends in an `Offer` or in a `NegotiationError`. What we
cannot read and do not need (a codec's line, a candidate) is passed over, as RFC 8866 wants it.
"""

import re
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from functools import lru_cache

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
from sfu.sdp_lines import Block, Media, read

MAX_OFFER_BYTES = 64 * 1024
"""Chromium's largest offers (simulcast, every codec, 10 sections) stay under 40 KiB."""
_MAX_SECTIONS = 16
_MAX_CODECS = 128  # per section: a payload type is 7 bits
_MAX_FEEDBACK = 1024  # per section
_MAX_RIDS = 8
_MAX_MESSAGE_SIZE = 65536  # bytes: the default of RFC 8841, section 6.1
_RTCP_TYPES = range(72, 77)  # as payload types they would look like RTCP (RFC 5761, section 4)

_once = lru_cache(maxsize=64)  # a class of like browsers says the same of codecs in every offer

# RFC 8866 token, and what RFC 8852 allows for a rid (the lengths are ours).
_TOKEN = re.compile(r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]{1,32}", re.ASCII)
_RID = re.compile(r"([\w-]{1,16}) send(?: .*)?", re.ASCII)
_NUMBER = re.compile(r"\d{1,10}", re.ASCII)
_EXTMAP = re.compile(r"(\d{1,3})(/[a-z]+)? ([!-~]+)(?: .*)?", re.ASCII)
_RTPMAP = re.compile(
    r"(?P<type>\d{1,3}) (?P<name>[^/ ]+)/(?P<rate>\d{1,9})(?:/(?P<channels>\d{1,3}))? *", re.ASCII
)


def parse_offer(text: str) -> Offer:
    """Parse and check an offer.

    Raises OfferTooLarge over 64 KiB, NegotiationError for anything else that cannot be answered.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_OFFER_BYTES:
        raise OfferTooLarge(f"The offer is larger than {MAX_OFFER_BYTES // 1024} KiB.")
    if not text.startswith("v=0"):
        raise NegotiationError("The offer is not SDP: it does not start with v=0.")
    try:
        session, media = read(text)
    except ValueError as error:
        raise NegotiationError(f"The offer is not valid SDP: it has {error}.") from None
    _check_limits(media)
    sections = tuple(_section(session, block) for block in media)
    bundled = _check_bundle(session, sections)
    return _with_transport(session, media, sections, bundled)


# --- limits


def _check_limits(media: Sequence[Media]) -> None:
    if not media:
        raise NegotiationError("The offer has no media section.")
    if len(media) > _MAX_SECTIONS:
        raise NegotiationError(f"The offer has more than {_MAX_SECTIONS} media sections.")
    for block in media:
        if len(block.all("rtpmap")) > _MAX_CODECS or len(block.all("rtcp-fb")) > _MAX_FEEDBACK:
            raise NegotiationError("A media section of the offer lists too many codecs.")


# --- sections


def _section(session: Block, media: Media) -> Section:
    mid = media.first("mid")
    if mid and not _TOKEN.fullmatch(mid):
        raise NegotiationError("The offer has a malformed a=mid.")
    is_rtp = media.kind in ("audio", "video")
    if is_rtp and not all(map(_is_payload_type, media.formats)):
        raise NegotiationError("The offer is not valid SDP: it has a malformed m-line.")
    section = Section(
        kind=media.kind,
        mid=mid,
        protocol=media.protocol,
        formats=media.formats,
        disabled=media.port == 0 and "bundle-only" not in media,
        direction=_direction(media) or _direction(session) or "sendrecv",  # RFC 8866, 6.7
        codecs=_codecs(media.kind, media.formats, *map(media.all, _CODEC_LINES)) if is_rtp else (),
        extensions=_extensions(media.all("extmap")) if is_rtp else (),
        rids=_rids(media) if is_rtp else (),
        ssrcs=_ssrcs(media) if is_rtp else (),
        rtcp_rsize="rtcp-rsize" in media,
        content=media.first("content"),
        sctp_port=_sctp_port(media),
        max_message_size=_number(media.first("max-message-size"), _MAX_MESSAGE_SIZE),
    )
    if is_rtp and not section.disabled and "rtcp-mux" not in media:
        raise NegotiationError("The offer must multiplex RTP and RTCP (a=rtcp-mux).")
    return section


def _is_payload_type(text: str) -> bool:
    return text.isdecimal() and len(text) < 4 and int(text) < 256 and int(text) not in _RTCP_TYPES


def _direction(block: Block) -> Direction | None:
    return next((direction for direction in _DIRECTIONS if direction in block), None)


_DIRECTIONS: tuple[Direction, ...] = ("inactive", "sendonly", "recvonly", "sendrecv")


def _number(text: str, default: int) -> int:
    return int(text) if _NUMBER.fullmatch(text) else default


def _sctp_port(media: Media) -> int | None:
    if media.kind != "application" or "SCTP" not in media.protocol:
        return None
    port = _number(media.first("sctp-port"), 0)
    return port if 0 < port < 65536 else None


@_once
def _extensions(extmap: tuple[str, ...]) -> tuple[tuple[int, str], ...]:
    """a=extmap (RFC 8285, section 8), without ids that no packet can carry or that come twice."""
    found: dict[int, str] = {}
    for value in extmap:
        match = _EXTMAP.fullmatch(value)
        if match is None or match[2] == "/inactive":
            continue
        number = int(match[1])
        if 1 <= number <= 255 and number != 15:
            found.setdefault(number, match[3])
    return tuple(found.items())


def _ssrcs(media: Media) -> tuple[int, ...]:
    numbers = (_number(value.partition(" ")[0], 0) for value in media.all("ssrc"))
    return tuple(dict.fromkeys(ssrc for ssrc in numbers if 0 < ssrc < 2**32))


def _rids(media: Media) -> tuple[str, ...]:
    """Layers the peer sends: a=rid, in the order of a=simulcast (RFC 8853, section 5.1)."""
    declared = [match[1] for value in media.all("rid") if (match := _RID.fullmatch(value))]
    if len(declared) > _MAX_RIDS:
        raise NegotiationError(f"The offer has more than {_MAX_RIDS} simulcast layers.")
    simulcast = re.search(r"(?:^| )send (\S+)", media.first("simulcast"))
    if simulcast is None:
        return tuple(dict.fromkeys(declared))
    # Of "1,2;~3" take the first alternative of each layer; ~ marks one that starts paused.
    ordered = [layer.split(",")[0].lstrip("~") for layer in simulcast[1].split(";")]
    return tuple(dict.fromkeys(rid for rid in ordered if rid in declared))


# --- codecs

_NAMES = {name.lower(): name for name in (*VIDEO_CODECS, "opus")}


_CODEC_LINES = ("rtpmap", "fmtp", "rtcp-fb")


@_once
def _codecs(
    kind: str,
    listed: tuple[str, ...],
    rtpmap: tuple[str, ...],
    fmtp: tuple[str, ...],
    rtcp_fb: tuple[str, ...],
) -> tuple[Codec, ...]:
    """The codecs we know in the m-line's order, each with the RTX and the RED that name it."""
    formats = _formats(listed, rtpmap)
    parameters = {
        payload_type: _parameters(values[-1]) for payload_type, values in _of(formats, fmtp).items()
    }
    feedback = _of(formats, rtcp_fb)
    repairs = {
        (parameters[payload_type].get("apt"), match["rate"]): int(payload_type)
        for payload_type, match in formats.items()
        if match["name"].lower() == "rtx" and payload_type in parameters
    }
    redundancy = {
        (repeated.pop(), match["rate"]): int(payload_type)
        for payload_type, match in formats.items()
        if match["name"].lower() == "red"
        # a=fmtp:63 111/111: the same codec, and copies of it (RFC 2198, section 5).
        and len(repeated := set("".join(parameters.get(payload_type, ())).split("/"))) == 1
    }
    return tuple(
        Codec(
            name=_NAMES[match["name"].lower()],
            payload_type=int(payload_type),
            clock_rate=int(match["rate"]),
            channels=int(match["channels"] or 1) if kind == "audio" else None,
            parameters=parameters.get(payload_type, {}),
            feedback=tuple(
                dict.fromkeys([*feedback.get(payload_type, ()), *feedback.get("*", ())])
            ),
            rtx_payload_type=repairs.get((payload_type, match["rate"])),
            red_payload_type=redundancy.get((payload_type, match["rate"])),
        )
        for payload_type, match in formats.items()
        if match["name"].lower() in _NAMES
    )


def _formats(listed: Iterable[str], rtpmap: Iterable[str]) -> dict[str, re.Match[str]]:
    """The a=rtpmap of each payload type that we know or that is repair, in the m-line's order."""
    known: dict[str, re.Match[str]] = {}
    for value in rtpmap:
        match = _RTPMAP.fullmatch(value)
        if match is None or match["name"].lower() not in (*_NAMES, "rtx", "red"):
            continue
        if int(match["type"]) < 128:
            known.setdefault(match["type"], match)
    return {payload_type: known[payload_type] for payload_type in listed if payload_type in known}


def _of(formats: Container[str], values: Sequence[str]) -> dict[str, list[str]]:
    """Values such as "96 nack pli": what follows the payload type (or *), by the payload type."""
    found: dict[str, list[str]] = {}
    for value in values:
        payload_type, _, rest = value.partition(" ")
        if payload_type in formats or payload_type == "*":
            found.setdefault(payload_type, []).append(rest.strip())
    return found


def _parameters(text: str) -> dict[str, str]:
    """a=fmtp, as `Codec.parameters` holds it."""
    pairs = (parameter.partition("=") for parameter in text.split(";"))
    return {name.strip(): value.strip() for name, _, value in pairs if name.strip()}


# --- transport


def _check_bundle(session: Block, sections: Sequence[Section]) -> bool:
    """Whether the offer bundles; raises unless all wanted sections share one transport."""
    wanted = [section for section in sections if not section.disabled]
    if not wanted:
        raise NegotiationError("The offer wants none of its media sections.")
    if any(count > 1 for mid, count in Counter(s.mid for s in sections).items() if mid):
        raise NegotiationError("The offer uses the same a=mid twice.")
    groups = (value.split() for value in session.all("group"))
    bundle = next(
        (mids for semantics, *mids in filter(None, groups) if semantics == "BUNDLE"), None
    )
    if bundle is None and len(wanted) == 1:
        return False
    if bundle is None or any(section.mid not in bundle for section in wanted):
        raise NegotiationError(
            "The offer must carry all its media on one transport (a=group:BUNDLE)."
        )
    return True


def _with_transport(
    session: Block, media: Sequence[Media], sections: tuple[Section, ...], bundled: bool
) -> Offer:
    """The transport of the first wanted section is the bundle's (RFC 9143, section 7.2)."""
    first = next(m for m, s in zip(media, sections, strict=True) if not s.disabled)
    setup = first.first("setup") or session.first("setup")
    fingerprints = tuple(
        Fingerprint(words[0].lower(), words[1].upper())
        for value in (*session.all("fingerprint"), *first.all("fingerprint"))
        if len(words := value.split()) == 2
    )
    if not fingerprints or not setup:
        raise NegotiationError("The offer lacks a DTLS fingerprint or a=setup.")
    if setup not in _SETUPS:
        raise NegotiationError("The offer is not valid SDP: a=setup is none of RFC 4145's.")
    if not any(f.algorithm in ("sha-256", "sha-384", "sha-512") for f in fingerprints):
        raise NegotiationError("The offer needs a fingerprint by sha-256, sha-384 or sha-512.")
    ufrag = first.first("ice-ufrag") or session.first("ice-ufrag")
    pwd = first.first("ice-pwd") or session.first("ice-pwd")
    if not ufrag or not pwd:
        raise NegotiationError("The offer has no ICE credentials (a=ice-ufrag, a=ice-pwd).")
    return Offer(
        sections=sections,
        setup=_SETUPS[setup],
        fingerprints=fingerprints,
        ice=IceCredentials(ufrag, pwd),
        bundled=bundled,
        extmap_allow_mixed=any("extmap-allow-mixed" in block for block in (session, *media)),
    )


_SETUPS: dict[str, Setup] = {"actpass": "actpass", "active": "active", "passive": "passive"}


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
    found = Block(lines)
    ufrag, pwd = found.first("ice-ufrag"), found.first("ice-pwd")
    if bool(ufrag) != bool(pwd):
        raise NegotiationError("The fragment has only one of a=ice-ufrag and a=ice-pwd.")
    return IceCredentials(ufrag, pwd) if ufrag else None
