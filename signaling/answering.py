"""A connection that is renegotiated as often as its client offers (RFC 3264, RFC 9429)."""

from collections.abc import Sequence
from dataclasses import dataclass

from sfu.negotiation import (
    Codec,
    Offer,
    Section,
    downlink_extensions,
    supported_codec,
    uplink_extensions,
)
from sfu.sdp_answer import (
    DataChannel,
    Decision,
    Downlink,
    Idle,
    Rejected,
    Uplink,
    build_answer,
    build_fragment,
)
from signaling.connection import Connection, new_ssrcs


@dataclass(frozen=True, slots=True)
class Receive:
    """The peer sends here, in this codec."""

    codec: Codec


@dataclass(frozen=True, slots=True)
class Send:
    """We send here, in this codec, under these names (RFC 8830)."""

    codec: Codec
    stream: str
    track: str


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing flows here now; these codecs are kept for later."""

    codecs: Sequence[Codec]


@dataclass(frozen=True, slots=True)
class Talk:
    """The peer opens data channels here."""


Intent = Receive | Send | Rest | Talk | None


class Answering:
    """Answers a client's offers, the first and all later ones, on one connection."""

    def __init__(self, connection: Connection, *, publishes_later: bool = False) -> None:
        """With `publishes_later` every video section agrees to all that a publisher may need:
        libwebrtc refuses its own simulcast offer when a section of the same bundle, whichever way
        it goes, did without the RID extensions before."""
        self._connection = connection
        self._publishes_later = publishes_later
        self._offer: Offer | None = None

    def answer(self, offer: Offer, intents: Sequence[Intent]) -> str:
        """Carry the intents out, one for each section of the offer; the answer's text.

        What is as it was before goes on untouched. Raises NegotiationError, and changes nothing.
        """
        self._connection.secure(offer.our_role, offer.fingerprints)
        if self._offer is not None and self.restarts_ice(offer.ice.ufrag):
            self._connection.restart_ice()
        self._offer = offer
        pairs = zip(offer.sections, intents, strict=True)
        decisions = [self._realise(section, intent) for section, intent in pairs]
        return build_answer(offer, decisions, self._connection.local())

    def restarts_ice(self, ufrag: str) -> bool:
        """Whether this remote ufrag asks for an ICE restart (RFC 8445, section 9)."""
        return self._offer is None or ufrag != self._offer.ice.ufrag

    def restart_ice(self) -> str:
        """Take new ICE credentials; the fragment to answer with (RFC 8840)."""
        assert self._offer is not None  # who restarts has begun
        self._connection.restart_ice()
        return build_fragment(self._offer, self._connection.local())

    def _realise(self, section: Section, intent: Intent) -> Decision:
        if not isinstance(intent, Receive):
            self._connection.stop_receiving(section.mid)
        if not isinstance(intent, Send):
            self._connection.stop_giving(section.mid)
        match intent:
            case Receive():
                return self._receive(section, intent)
            case Send():
                return self._send(section, intent)
            case Rest():
                codecs = [supported_codec(codec) for codec in intent.codecs]
                return Idle(codecs, uplink_extensions(section)) if codecs else Rejected()
            case Talk():
                assert section.sctp_port is not None  # no data channel section without
                self._connection.talk(section.sctp_port, section.max_message_size)
                return DataChannel()
            case None:
                return Rejected()

    def _receive(self, section: Section, intent: Receive) -> Uplink:
        codec, extensions = supported_codec(intent.codec), uplink_extensions(section)
        self._connection.receive(
            section.mid, section.kind, codec, extensions, section.rids, section.ssrcs
        )
        return Uplink(codec, extensions, section.rids)

    def _send(self, section: Section, intent: Send) -> Downlink:
        connection, mid = self._connection, section.mid
        codec, extensions = supported_codec(intent.codec), downlink_extensions(section)
        names = (intent.stream, intent.track)
        track = connection.downtracks.get(mid)
        if track is None or (track.codec, track.stream, track.track) != (codec, *names):
            connection.stop_giving(mid)
            ssrcs = new_ssrcs(codec)
            track = connection.give(mid, section.kind, codec, extensions, ssrcs, names)
        told = uplink_extensions(section) if self._publishes_later else extensions
        return Downlink(
            codec, told, track.ssrc, track.rtx_ssrc, connection.cname, *names, track.fec_ssrc
        )
