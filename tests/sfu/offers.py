"""Offers for tests: hand-written after the shapes real clients send (tests/captures)."""

from pathlib import Path

from sfu.negotiation import (
    Fingerprint,
    IceCredentials,
    Offer,
    choose_audio,
    choose_video,
    downlink_extensions,
    supported_codec,
    uplink_extensions,
)
from sfu.sdp_answer import DataChannel, Decision, Downlink, LocalTransport, Rejected, Uplink

CAPTURES = Path(__file__).parent.parent / "captures"
NAMES = sorted(path.stem for path in CAPTURES.glob("*.sdp"))
VIDEO = ("H264", "VP9", "VP8", "AV1")

LOCAL = LocalTransport(
    session_id=42,
    ice=IceCredentials("ourufrag", "ourpassword0123456789012"),
    fingerprint=Fingerprint("sha-256", ":".join(["AB"] * 32)),
    addresses=("192.0.2.7", "127.0.0.1"),
    port=7882,
    tcp_port=7881,
)


def capture(name: str) -> str:
    return (CAPTURES / f"{name}.sdp").read_bytes().decode()


def decide(offer: Offer) -> list[Decision]:
    """Take what is sent, send what is wanted, reject what we cannot."""
    decisions: list[Decision] = []
    for index, section in enumerate(offer.sections):
        pick = choose_audio(section) if section.kind == "audio" else choose_video(section, VIDEO)
        if section.is_data_channel:
            decisions.append(DataChannel())
        elif pick is not None and section.sends:
            extensions = uplink_extensions(section)
            decisions.append(Uplink(supported_codec(pick), extensions, section.rids))
        elif pick is not None and section.receives:
            rtx_ssrc = 2000 + index if pick.rtx_payload_type else None
            extensions = downlink_extensions(section)
            codec = supported_codec(pick)
            fec_ssrc = 3000 + index if pick.flexfec_payload_type else None
            ssrcs = 1000 + index, rtx_ssrc
            decisions.append(
                Downlink(codec, extensions, *ssrcs, "cname", "math", "camera", fec_ssrc)
            )
        else:
            decisions.append(Rejected())
    return decisions
