"""Session descriptions (RFC 8829) of the generator's clients: text in, text out, no IO.

A teacher sends one H264 and one Opus stream, a school receives both. All offer what browsers do and
a measurement depends on: NACK, RTX, and transport-wide feedback for sound and picture.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from aiortc import sdp

from sfu.negotiation import Fingerprint

Role = Literal["teacher", "school"]

AUDIO_PAYLOAD_TYPE = 111
VIDEO_PAYLOAD_TYPE = 96
RTX_PAYLOAD_TYPE = 97
AUDIO_SSRC = 0x0A0D10
VIDEO_SSRC = 0x071DE0
MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
MID_ID = 4
TRANSPORT_CC_ID = 3
"""Their identifiers where we offer: those of Chromium."""
H264 = {
    "level-asymmetry-allowed": 1,
    "packetization-mode": 1,
    "profile-level-id": "42e01f",
}
AUDIO_MSID = "lesson sound"
VIDEO_MSID = "lesson picture"
"""Stream and track of a teacher's two sections."""

_HEAD = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
_DIRECTIONS = {"sendonly": "recvonly", "sendrecv": "recvonly", "recvonly": "inactive"}
_OURS = {"sendrecv", "sendonly", "recvonly", "inactive"}


class DescriptionError(Exception):
    """The server's description lacks what a client needs; the message says what."""


@dataclass(frozen=True)
class Local:
    """What a server must know of one client."""

    ufrag: str
    pwd: str
    fingerprint: Fingerprint


@dataclass(frozen=True)
class Remote:
    """What a client must know of its server: enough to connect and to give feedback."""

    address: str
    """Address and port."""
    ufrag: str
    pwd: str
    fingerprints: tuple[Fingerprint, ...]
    transport_cc: int | None = None
    """The header extension of transport-wide sequence numbers, where it was agreed on."""
    video: tuple[int, int | None] = (VIDEO_PAYLOAD_TYPE, RTX_PAYLOAD_TYPE)
    """Payload types of the picture and, where agreed on, of its retransmissions."""
    checks: float = 0.0
    """Seconds that its ICE agent wants, beyond its answer to our check, before it takes DTLS."""
    probes: int | None = None
    """That of packets which are no media, where the server probes the path with such."""


def offer(me: Local, role: Role) -> str:
    """Sound and picture in one bundle, sent by a teacher, received by a school."""
    direction = "sendonly" if role == "teacher" else "recvonly"
    audio = [
        f"m=audio 9 UDP/TLS/RTP/SAVPF {AUDIO_PAYLOAD_TYPE}",
        *_transport(me, "0", direction),
        f"a=rtpmap:{AUDIO_PAYLOAD_TYPE} opus/48000/2",
        f"a=rtcp-fb:{AUDIO_PAYLOAD_TYPE} transport-cc",
    ]
    parameters = ";".join(f"{name}={value}" for name, value in H264.items())
    video = [
        f"m=video 9 UDP/TLS/RTP/SAVPF {VIDEO_PAYLOAD_TYPE} {RTX_PAYLOAD_TYPE}",
        *_transport(me, "1", direction),
        f"a=rtpmap:{VIDEO_PAYLOAD_TYPE} H264/90000",
        f"a=fmtp:{VIDEO_PAYLOAD_TYPE} {parameters}",
        *(f"a=rtcp-fb:{VIDEO_PAYLOAD_TYPE} {kind}" for kind in ("nack", "nack pli")),
        f"a=rtcp-fb:{VIDEO_PAYLOAD_TYPE} transport-cc",
        f"a=rtpmap:{RTX_PAYLOAD_TYPE} rtx/90000",
        f"a=fmtp:{RTX_PAYLOAD_TYPE} apt={VIDEO_PAYLOAD_TYPE}",
    ]
    for lines in (audio, video):
        lines += [f"a=extmap:{MID_ID} {MID}", f"a=extmap:{TRANSPORT_CC_ID} {TRANSPORT_CC}"]
    if role == "teacher":
        audio += [f"a=msid:{AUDIO_MSID}", f"a=ssrc:{AUDIO_SSRC} cname:loadgen"]
        video += [f"a=msid:{VIDEO_MSID}", f"a=ssrc:{VIDEO_SSRC} cname:loadgen"]
    return _HEAD + "a=group:BUNDLE 0 1\r\n" + "".join(f"{line}\r\n" for line in audio + video)


def answer(offered: str, me: Local) -> str:
    """Receive all that a server offers, with its codecs and its identifiers of extensions."""
    sections = list(_sections(offered))
    lines = [line for section in sections for line in _answered(section, me)]
    bundle = " ".join(_value(section, "mid") for section in sections)
    return _HEAD + f"a=group:BUNDLE {bundle}\r\n" + "".join(f"{line}\r\n" for line in lines)


def remote(description: str) -> Remote:
    """What a server's description tells of it: its loopback candidate before others.

    Raises DescriptionError.
    """
    media = sdp.SessionDescription.parse(description).media
    ice = next((m.ice for m in media if m.ice and m.ice.usernameFragment), None)
    dtls = next((m.dtls for m in media if m.dtls and m.dtls.fingerprints), None)
    candidates = [c for m in media for c in m.ice_candidates if c.protocol.lower() == "udp"]
    if not candidates or dtls is None or ice is None:
        raise DescriptionError("it has no UDP candidate, no fingerprint or no ICE credentials")
    best = min(candidates, key=lambda c: (not c.ip.startswith("127."), ":" in c.ip, -c.priority))
    return Remote(
        f"{best.ip}:{best.port}",
        ice.usernameFragment or "",
        ice.password or "",
        tuple(Fingerprint(f.algorithm, f.value) for f in dtls.fingerprints),
        transport_cc(description),
        _video(description),
    )


def transport_cc(description: str) -> int | None:
    """The identifier of the extension in a description, None where it is not agreed on."""
    for line in description.splitlines():
        if line.startswith("a=extmap:") and line.endswith(TRANSPORT_CC):
            return int(line.removeprefix("a=extmap:").split()[0].split("/")[0])
    return None


def _formats(section: list[str]) -> list[str]:
    """Payload types a client takes: Opus, or H264 in fragments, with its RTX (RFC 4588)."""
    codecs = [line.removeprefix("a=rtpmap:").split() for line in section if "a=rtpmap:" in line]
    media = [number for number, codec in codecs if codec.startswith(("opus/", "H264/"))]
    whole = [line for line in section if "a=fmtp:" in line and "packetization-mode=1" in line]
    fragments = [n for n in media if any(line.startswith(f"a=fmtp:{n} ") for line in whole)]
    best = (fragments or media)[:1]
    repair = (line for line in section for number in best if line.endswith(f" apt={number}"))
    return best + [line.removeprefix("a=fmtp:").split()[0] for line in repair]


def _video(description: str) -> tuple[int, int | None]:
    sections = (section for section in _sections(description) if section[0].startswith("m=video"))
    formats = [int(number) for number in next(map(_formats, sections), [])]
    match formats:
        case [media, rtx]:
            return media, rtx
        case [media]:
            return media, None
        case _:
            return VIDEO_PAYLOAD_TYPE, None


def _transport(me: Local, mid: str, direction: str) -> list[str]:
    return [
        "c=IN IP4 0.0.0.0",
        f"a=mid:{mid}",
        f"a=ice-ufrag:{me.ufrag}",
        f"a=ice-pwd:{me.pwd}",
        f"a=fingerprint:{me.fingerprint.algorithm} {me.fingerprint.value}",
        "a=setup:active",
        f"a={direction}",
        "a=rtcp-mux",
        "a=rtcp-rsize",
    ]


def _sections(description: str) -> Iterator[list[str]]:
    section: list[str] = []
    for line in description.splitlines():
        if line.startswith("m="):
            if section:
                yield section
            section = [line]
        elif section:
            section.append(line)
    if section:
        yield section


def _answered(section: list[str], me: Local) -> list[str]:
    if section[0].startswith("m=application"):
        kept = [line for line in section if line.startswith(("a=sctp-port", "a=max-message-size"))]
        return [section[0], *_transport(me, _value(section, "mid"), "sendrecv"), *kept]
    direction = next(line[2:] for line in section if line[2:] in _OURS)
    extensions = [
        line
        for line in section
        if line.startswith("a=extmap:") and line.endswith((MID, TRANSPORT_CC))
    ]
    formats = _formats(section)
    described = tuple(
        f"a={kind}:{number} " for kind in ("rtpmap", "fmtp", "rtcp-fb") for number in formats
    )
    return [
        " ".join([*section[0].split()[:3], *formats]),
        *_transport(me, _value(section, "mid"), _DIRECTIONS.get(direction, "inactive")),
        *(line for line in section if line.startswith(described)),
        *extensions,
    ]


def _value(section: list[str], name: str) -> str:
    prefix = f"a={name}:"
    return next((line.removeprefix(prefix) for line in section if line.startswith(prefix)), "")
