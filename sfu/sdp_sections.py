"""What a media section of an offer or an answer says: codecs, extensions, layers, names. Pure.

What we cannot read and do not need (a codec's line, a candidate) is passed over, as RFC 8866 wants.
"""

import re
from collections.abc import Container, Iterable, Sequence
from functools import lru_cache

from sfu.errors import NegotiationError
from sfu.negotiation import VIDEO_CODECS, Codec, Direction, Section
from sfu.sdp_lines import Block, Media

_MAX_CODECS = 128  # per section: a payload type is 7 bits
_MAX_FEEDBACK = 1024  # per section
_MAX_RIDS = 8
_MAX_TRACK_ID = 64  # RFC 8830, section 2
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


def check_media(media: Media) -> None:
    """Raise NegotiationError for a section that would be costly to read."""
    if len(media.all("rtpmap")) > _MAX_CODECS or len(media.all("rtcp-fb")) > _MAX_FEEDBACK:
        raise NegotiationError("A media section of the offer lists too many codecs.")


def read_section(session: Block, media: Media) -> Section:
    """One media section. Raises NegotiationError."""
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
        track_id=_track_id(media) if is_rtp else "",
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


def _track_id(media: Media) -> str:
    """The second word of a=msid (RFC 8830): the peer's name for the track it sends here."""
    words = media.first("msid").split()
    return words[1][:_MAX_TRACK_ID] if len(words) > 1 else ""


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
    """The codecs we know in the m-line's order, each with its RTX, RED and parity."""
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
    parity = {
        match["rate"]: int(payload_type)
        for payload_type, match in reversed(formats.items())
        if match["name"].lower() == "flexfec-03" and kind == "video"
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
            flexfec_payload_type=parity.get(match["rate"]),
        )
        for payload_type, match in formats.items()
        if match["name"].lower() in _NAMES
    )


def _formats(listed: Iterable[str], rtpmap: Iterable[str]) -> dict[str, re.Match[str]]:
    """The a=rtpmap of each payload type that we know or that is repair, in the m-line's order."""
    known: dict[str, re.Match[str]] = {}
    for value in rtpmap:
        match = _RTPMAP.fullmatch(value)
        if match is None or match["name"].lower() not in (*_NAMES, "rtx", "red", "flexfec-03"):
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
