"""From the text of an offer to an `Offer`. Pure.

Everything a stranger can put into an offer ends in an `Offer` or in a `NegotiationError`. What we
cannot read and do not need (a codec's line, a candidate) is passed over, as RFC 8866 wants it.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sfu.errors import NegotiationError, OfferTooLarge
from sfu.negotiation import Answer, Fingerprint, IceCredentials, Offer, Section, Setup
from sfu.sdp_lines import Block, Media, read
from sfu.sdp_sections import check_media, read_section

MAX_OFFER_BYTES = 64 * 1024
"""Chromium's largest offers (simulcast, every codec, 10 sections) stay under 40 KiB."""


@dataclass(frozen=True, slots=True)
class OfferLimits:
    """How large a description may be."""

    size: int = MAX_OFFER_BYTES
    """Bytes."""
    sections: int = 16


ONE_WAY = OfferLimits()
"""For WHIP and WHEP, whose clients have three sections or four."""
CONFERENCE = OfferLimits(size=512 * 1024, sections=128)
"""For a client that has one section for each track that it sees."""


def parse_offer(text: str, limits: OfferLimits = ONE_WAY) -> Offer:
    """Parse and check an offer.

    Raises OfferTooLarge, and NegotiationError for anything else that cannot be answered.
    """
    if len(text.encode("utf-8", "surrogatepass")) > limits.size:
        raise OfferTooLarge(f"The offer is larger than {limits.size // 1024} KiB.")
    if not text.startswith("v=0"):
        raise NegotiationError("The offer is not SDP: it does not start with v=0.")
    try:
        session, media = read(text)
    except ValueError as error:
        raise NegotiationError(f"The offer is not valid SDP: it has {error}.") from None
    if not media:
        raise NegotiationError("The offer has no media section.")
    if len(media) > limits.sections:
        raise NegotiationError(f"The offer has more than {limits.sections} media sections.")
    for block in media:
        check_media(block)
    sections = tuple(read_section(session, block) for block in media)
    bundled = _check_bundle(session, sections)
    return _with_transport(session, media, sections, bundled)


def parse_answer(text: str, limits: OfferLimits = CONFERENCE) -> Answer:
    """Parse and check a peer's answer to an offer of ours. Raises NegotiationError."""
    try:
        said = parse_offer(text, limits)
    except NegotiationError as error:  # the same grammar, so the same complaints
        raise type(error)(error.reason.replace("offer", "answer")) from None
    if said.setup == "actpass":
        raise NegotiationError("The answer does not choose who starts DTLS (RFC 8842, 5.3).")
    return Answer(said.sections, said.setup, said.fingerprints, said.ice)


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
