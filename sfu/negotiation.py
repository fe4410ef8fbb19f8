"""What an offer says, as types; and the choices an answer makes. Pure.

`sdp_offer.py` makes an `Offer` from text; `sdp_answer.py` makes the text of an answer from an
`Offer` and our decisions.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal

from aiortc import sdp

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
Setup = Literal["active", "passive", "actpass"]
Role = Literal["server", "client"]
"""Our part in the DTLS handshake."""

VIDEO_CODECS = ("H264", "VP9", "VP8", "AV1")
"""The video codecs the house forwards, in its default order of preference."""

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
_UPLINK_ONLY = frozenset(
    {
        "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
        "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
        "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
        "urn:ietf:params:rtp-hdrext:toffset",
    }
)
BOTH_WAYS = frozenset(
    {
        MID,
        TRANSPORT_CC,  # written anew on each hop, as is the MID; the others pass end to end
        "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        "urn:3gpp:video-orientation",
        "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
        "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type",
        "http://www.webrtc.org/experiments/rtp-hdrext/video-timing",
        "http://www.webrtc.org/experiments/rtp-hdrext/color-space",
        "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension",
        "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
    }
)
# Without goog-remb: transport-cc does it better.
_FEEDBACK = frozenset({"nack", "nack pli", "ccm fir", "transport-cc"})


@dataclass(frozen=True, slots=True)
class IceCredentials:
    """A username fragment and password (RFC 8445, section 5.3)."""

    ufrag: str
    pwd: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The hash of a DTLS certificate (RFC 8122): "sha-256" and colon-separated hexadecimal."""

    algorithm: str
    value: str


@dataclass(frozen=True, slots=True)
class Codec:
    """One RTP payload format of a section, with its repair format when it has one."""

    name: str
    """As the house spells it: "H264", "VP8", "VP9", "AV1", "opus"."""
    payload_type: int
    clock_rate: int
    channels: int | None = None
    """Audio only."""
    parameters: dict[str, str] = field(default_factory=dict)
    """a=fmtp, in the order offered; a parameter without a value has ""."""
    feedback: tuple[str, ...] = ()
    """a=rtcp-fb, for example "nack", "nack pli"."""
    rtx_payload_type: int | None = None
    """RFC 4588."""
    red_payload_type: int | None = None
    """Audio only: redundant copies of this codec (RFC 2198)."""
    flexfec_payload_type: int | None = None
    """Video only: parity of what a section carries (draft-ietf-payload-flexible-fec-scheme-03)."""

    @property
    def nack(self) -> bool:
        """Whether generic NACKs are agreed (RFC 4585, section 6.2.1)."""
        return "nack" in self.feedback

    def limited_to(self, feedback: Iterable[str]) -> "Codec":
        """The same codec, with no other feedback than this."""
        return replace(self, feedback=tuple(m for m in self.feedback if m in feedback))


@dataclass(frozen=True, slots=True)
class Section:
    """One m-section of an offer."""

    kind: str
    """"audio", "video", "application", or what else a peer may think of."""
    mid: str
    """"" where the offer has none (allowed with a single section)."""
    protocol: str
    formats: tuple[str, ...]
    """The m-line's formats as written, for the answer of a rejected section."""
    disabled: bool
    """Port 0 without bundle-only: the peer itself does not want this section."""
    direction: Direction
    codecs: tuple[Codec, ...] = ()
    """Those the house knows, in the peer's order of preference."""
    extensions: tuple[tuple[int, str], ...] = ()
    rids: tuple[str, ...] = ()
    """Simulcast layers the peer would send (RFC 8853), in its order."""
    ssrcs: tuple[int, ...] = ()
    rtcp_rsize: bool = False
    """Reduced-size RTCP (RFC 5506)."""
    content: str = ""
    """a=content (RFC 4796), for example "slides"."""
    track_id: str = ""
    """The peer's name for the track it sends here (RFC 8830)."""
    sctp_port: int | None = None
    max_message_size: int = 65536
    """Bytes; the default of RFC 8841, section 6.1."""

    @property
    def sends(self) -> bool:
        """Whether the peer would send media here."""
        return not self.disabled and self.direction in ("sendrecv", "sendonly")

    @property
    def receives(self) -> bool:
        """Whether the peer would take media here."""
        return not self.disabled and self.direction in ("sendrecv", "recvonly")

    @property
    def is_data_channel(self) -> bool:
        """Whether this is WebRTC's data channel section (RFC 8841)."""
        return not self.disabled and self.kind == "application" and self.sctp_port is not None


@dataclass(frozen=True, slots=True)
class Offer:
    """A usable offer: all its wanted sections share one transport."""

    sections: tuple[Section, ...]
    setup: Setup
    """a=setup (RFC 4145): who may start the DTLS handshake."""
    fingerprints: tuple[Fingerprint, ...]
    ice: IceCredentials
    bundled: bool
    extmap_allow_mixed: bool

    @property
    def our_role(self) -> Role:
        """We are the client whenever we may, as RFC 5763, section 5, recommends: the peer's first
        STUN check tells us where it is, and 1.5 round trips later it has our Finished and can read
        our media. As its server we would have to wait for a round trip more."""
        return "server" if self.setup == "active" else "client"


@dataclass(frozen=True, slots=True)
class Answer:
    """A usable answer to an offer of ours."""

    sections: tuple[Section, ...]
    setup: Setup
    fingerprints: tuple[Fingerprint, ...]
    ice: IceCredentials

    @property
    def our_role(self) -> Role:
        """The other one than the peer has chosen (RFC 8842, section 5.3)."""
        return "client" if self.setup == "passive" else "server"


def choose_video(section: Section, preference: Sequence[str]) -> Codec | None:
    """The first codec of `preference` that the section offers, in its best form."""
    for name in preference:
        candidates = [codec for codec in section.codecs if codec.name == name]
        usable = [codec for codec in candidates if _video_rank(codec) is not None]
        if usable:
            return min(usable, key=lambda codec: _video_rank(codec) or 0)
    return None


def choose_audio(section: Section) -> Codec | None:
    """Opus at 48 kHz, the only audio codec of the house (RFC 7587)."""
    opus = (c for c in section.codecs if c.name == "opus" and c.clock_rate == 48000)
    return next(opus, None)


def supported_codec(codec: Codec) -> Codec:
    """A codec as we answer it: only feedback that the native plane gives and acts on.

    To a peer that does transport-wide feedback for sound we offer NACKs for it as well: libwebrtc
    does not ask for them, and acts on them (a lost packet is a hole of 20 ms, or none).
    """
    supported = codec.limited_to(_FEEDBACK)
    if codec.name == "opus" and "transport-cc" in supported.feedback and not supported.nack:
        return replace(supported, feedback=(*supported.feedback, "nack"))
    return supported


def uplink_extensions(section: Section) -> tuple[tuple[int, str], ...]:
    """The header extensions we take from a publisher, under the ids offered."""
    return tuple(e for e in section.extensions if e[1] in BOTH_WAYS | _UPLINK_ONLY)


def downlink_extensions(section: Section) -> tuple[tuple[int, str], ...]:
    """The header extensions we send to a viewer: what passes end to end, and what each
    hop writes itself."""
    return tuple(e for e in section.extensions if e[1] in BOTH_WAYS)


def tells_arrivals(codec: Codec, extensions: Sequence[tuple[int, str]]) -> bool:
    """Whether a receiver of this will tell which packets came, and when."""
    return "transport-cc" in codec.feedback and any(uri == TRANSPORT_CC for _, uri in extensions)


def _video_rank(codec: Codec) -> int | None:
    """How good this form of the codec is: 0 is best, None cannot be forwarded."""
    if codec.clock_rate != 90000:
        return None
    match codec.name:
        case "H264":
            return _h264_rank(codec)
        case "VP9" | "AV1":
            profile = codec.parameters.get("profile-id", codec.parameters.get("profile", "0"))
            return 0 if profile == "0" else None
        case _:
            return 0


def _h264_rank(codec: Codec) -> int | None:
    """Constrained baseline is what every browser decodes; others serve senders without it."""
    if codec.parameters.get("packetization-mode") != "1":
        return None
    return _h264_profile_rank(codec.parameters.get("profile-level-id", "42e01f"))


@lru_cache(maxsize=64)  # a browser names the same few in every offer
def _h264_profile_rank(profile_level_id: str) -> int:
    try:
        profile, _ = sdp.parse_h264_profile_level_id(profile_level_id)
    except ValueError:
        return 3
    match profile:
        case sdp.H264Profile.PROFILE_CONSTRAINED_BASELINE:
            return 0
        case sdp.H264Profile.PROFILE_BASELINE:
            return 1
        case _:
            return 2
