"""A connection on which we offer what the client watches (LiveKit's subscriber connection).

One offer is out at a time; what changes meanwhile goes into the next. Sections are never removed:
one whose track is gone is stopped, and its place is taken by another once the client has answered.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

from sfu.negotiation import Answer
from sfu.sdp_offering import CODECS, OfferedSection, Sending, agreed, build_offer, check_answer
from signaling.connection import Connection, Downtrack, new_ssrcs


@dataclass(slots=True)
class _Slot:
    """One place in the offer: what is wanted of it, and what the client knows of it."""

    section: OfferedSection
    told: OfferedSection | None = None
    """As in the last offer that was answered."""

    @property
    def free(self) -> bool:
        """Whether another mid may take it: the client knows that it is stopped."""
        return self.section.sending is None and self.told is not None and not self.told.sending


class Offering:
    """Offers on one connection. `on_offer(sdp)` gets each offer when it may leave."""

    def __init__(self, connection: Connection, on_offer: Callable[[str], None]) -> None:
        self._connection = connection
        self._on_offer = on_offer
        self._slots: list[_Slot] = []
        self._mids = itertools.count()
        self._outstanding: tuple[OfferedSection, ...] | None = None
        self._again = False

    def send(
        self, kind: str, codec: str, stream: str, track: str, *, redundant: bool = True
    ) -> str:
        """Want to send a track, under these names; its mid. `offer` makes it so. Unless
        `redundant`, its sound is never sent as RED."""
        ours = CODECS[codec] if redundant else replace(CODECS[codec], red_payload_type=None)
        ssrc, rtx_ssrc, fec_ssrc = new_ssrcs(ours)
        sending = Sending(ssrc, rtx_ssrc, self._connection.cname, stream, track, fec_ssrc)
        section = OfferedSection(f"s{next(self._mids)}", kind, ours, sending)
        slot = next((slot for slot in self._slots if slot.free), None)
        if slot is None:
            self._slots.append(_Slot(section))
        else:
            slot.section, slot.told = section, None
        return section.mid

    def stop(self, mid: str) -> None:
        """Send this section's track no more; at once, whatever the client knows."""
        for slot in self._slots:
            if slot.section.mid == mid:
                slot.section = replace(slot.section, sending=None)
        self._connection.stop_giving(mid)

    def offer(self) -> None:
        """Tell the client, now or when it has answered what is out."""
        if self._outstanding is not None:
            self._again = True
            return
        self._again = False
        self._outstanding = tuple(slot.section for slot in self._slots)
        self._on_offer(build_offer(self._outstanding, self._connection.local()))

    def offer_again(self) -> None:
        """The client may not have got the offer that is out, or its answer was lost: begin anew."""
        self._outstanding = None
        self.offer()

    def restart_ice(self) -> None:
        """Take new ICE credentials, and offer them."""
        self._connection.restart_ice()
        self.offer_again()

    def take_answer(self, answer: Answer) -> list[tuple[str, Downtrack | None]]:
        """The client has answered: the mids of tracks that it takes from now on, with what is
        sent in each, or None for one that it does not take. Raises NegotiationError.

        An answer that nothing asked for is passed over.
        """
        offered = self._outstanding
        if offered is None:
            return []
        check_answer(offered, answer)
        self._connection.secure(answer.our_role, answer.fingerprints)
        self._outstanding = None
        data = answer.sections[0]
        if data.is_data_channel and data.sctp_port is not None:
            self._connection.talk(data.sctp_port, data.max_message_size)
        results = [
            (slot.section.mid, self._begin(section, answer))
            for slot, section in zip(self._slots, offered, strict=False)
            if self._is_new(slot, section)
        ]
        for slot, section in zip(self._slots, offered, strict=False):
            slot.told = section
        if self._again:
            self.offer()
        return results

    def _is_new(self, slot: _Slot, offered: OfferedSection) -> bool:
        """Whether a track begins here, unless it was stopped while the offer was out."""
        return (
            offered.sending is not None
            and slot.section.sending == offered.sending
            and slot.section.mid not in self._connection.downtracks
        )

    def _begin(self, offered: OfferedSection, answer: Answer) -> Downtrack | None:
        taken, sending = agreed(offered, answer), offered.sending
        if taken is None or sending is None:
            return None
        codec, extensions = taken
        rtx_ssrc = sending.rtx_ssrc if codec.rtx_payload_type is not None else None
        fec_ssrc = sending.fec_ssrc if codec.flexfec_payload_type is not None else None
        return self._connection.give(
            offered.mid,
            offered.kind,
            codec,
            extensions,
            (sending.ssrc, rtx_ssrc, fec_ssrc),
            (sending.stream, sending.track),
        )
