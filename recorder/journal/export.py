"""A journal as other tools read it: rtpdump (rtptools) or pcapng (Wireshark).

There are no addresses in a journal, so they are made up: everything goes from 192.0.2.1 to
192.0.2.2 (RFC 5737), the packets of track n to port 10000 + 2(n - 1), its RTCP to the port above.
Sender reports become RTCP compounds (RFC 3550, 6.1). In pcapng each track is announced by SAP
(RFC 2974) with an SDP, so that Wireshark knows RTP and its codecs without being told; lesson
events are packets to the discard port (RFC 863), with the event as the packet's comment.
"""

import json
import struct
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Protocol

from recorder.errors import JournalError
from recorder.journal.read import EVENT, RTP, SENDER_REPORT, OnProgress, Report, read_items
from sfu._media import Damage, RawRecord

FORMATS = ("rtpdump", "pcapng")

SOURCE, DESTINATION = bytes((192, 0, 2, 1)), bytes((192, 0, 2, 2))
FIRST_PORT, LAST_PORT = 10_000, 65_534
_SAP_PORT, _DISCARD_PORT = 9_875, 9
_MAX_COMMENT = 65_000
"""Bytes; an option of pcapng has at most 65,535."""
_MAX_UDP = 65_507
_PAYLOAD_TYPE = 96


class _Writer(Protocol):
    """A file format."""

    def packet(self, arrival_us: int, port: int, data: bytes, *, rtcp: bool) -> None:
        """An RTP or RTCP packet."""

    def event(self, arrival_us: int, event: dict[str, Any], text: str) -> None:
        """A lesson event, parsed and as it was written."""


def export(
    journal: Path,
    out: IO[bytes],
    form: str,
    *,
    track: int | None = None,
    on_progress: OnProgress = lambda done: None,
) -> int:
    """Write a journal, or one track of it; how many RTP packets that were.

    Raises JournalError (no journal, or no such track), OSError.
    """
    writer: _Writer | None = None
    sent: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    names: dict[int, str] = {}
    for item in read_items(journal, on_progress):
        if isinstance(item, Damage):
            continue
        if writer is None:
            writer = _WRITERS[form](out, item.arrival_us, port_of(track or 1))
        if item.kind == EVENT:
            _event(writer, item, names)
        elif item.kind in (RTP, SENDER_REPORT) and track in (None, item.track):
            _media(writer, item, sent[item.track], names.get(item.track, ""))
    if not sent:
        which = "no media" if track is None else f"no packets of track {track}"
        raise JournalError(f"the journal {journal} holds {which}")
    return sum(packets for packets, _ in sent.values())


def port_of(track: int) -> int:
    """Where the packets of a track go; those of the 27,768th share the first one's port."""
    return FIRST_PORT + 2 * ((track - 1) % ((LAST_PORT - FIRST_PORT) // 2 + 1))


def _event(writer: _Writer, record: RawRecord, names: dict[int, str]) -> None:
    text = record.body.decode(errors="replace")
    try:
        event = json.loads(text)
    except ValueError:
        event = {}
    event = event if isinstance(event, dict) else {}
    if event.get("type") == "track_published" and isinstance(event.get("track"), int):
        names[event["track"]] = str(event.get("identity", ""))
    writer.event(record.arrival_us, event, text)


def _media(writer: _Writer, record: RawRecord, sent: list[int], name: str) -> None:
    port = port_of(record.track)
    if record.kind == RTP:
        sent[0] += 1
        sent[1] += len(record.body) - 12
        writer.packet(record.arrival_us, port, record.body, rtcp=False)
    else:
        report = Report.parse(record.body)
        compound = _rtcp(record.track, report, sent, name or f"track-{record.track}")
        writer.packet(record.arrival_us, port + 1, compound, rtcp=True)


def _rtcp(ssrc: int, report: Report, sent: list[int], name: str) -> bytes:
    """A sender report without blocks and a CNAME (RFC 3550, 6.4.1, 6.5.1)."""
    counts = (sent[0] & 0xFFFFFFFF, sent[1] & 0xFFFFFFFF)
    head = struct.pack(">BBHIQI", 0x80, 200, 6, ssrc, report.ntp, report.rtp)
    cname = name.encode()[:255]
    chunk = struct.pack(">IBB", ssrc, 1, len(cname)) + cname
    chunk += bytes(4 - len(chunk) % 4)  # at least one zero ends the list
    description = struct.pack(">BBH", 0x81, 202, len(chunk) // 4) + chunk
    return head + struct.pack(">II", *counts) + description


class _RtpDump:
    """The binary format of rtptools: a line of text, a header, and packets with their times.

    Packets of all tracks stand in one file; their SSRCs, the numbers of the tracks, tell them
    apart. There is no place for events.
    """

    def __init__(self, out: IO[bytes], start_us: int, port: int) -> None:
        self._out = out
        self._start_us = start_us
        out.write(b"#!rtpplay1.0 %s/%d\n" % (_dotted(DESTINATION).encode(), port))
        seconds, microseconds = divmod(start_us, 1_000_000)
        out.write(struct.pack(">II4sHH", seconds & 0xFFFFFFFF, microseconds, SOURCE, port, 0))

    def packet(self, arrival_us: int, port: int, data: bytes, *, rtcp: bool) -> None:
        """8 bytes before each: its length with these, that of RTP (0 for RTCP), and when, in ms."""
        if len(data) > 0xFFFF - 8:
            return  # it cannot be told
        after = max(0, arrival_us - self._start_us) // 1_000
        head = struct.pack(">HHI", len(data) + 8, 0 if rtcp else len(data), after & 0xFFFFFFFF)
        self._out.write(head + data)

    def event(self, arrival_us: int, event: dict[str, Any], text: str) -> None:
        """Nothing."""


class _Pcapng:
    """pcapng (draft-ietf-opsawg-pcapng): one section, one interface of raw IP."""

    _SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
    _COMMENT, _APPLICATION, _NAME, _RESOLUTION = 1, 4, 2, 9
    _RAW_IP = 101

    def __init__(self, out: IO[bytes], start_us: int, port: int) -> None:
        self._out = out
        unknown_length = 0xFFFFFFFFFFFFFFFF
        section = struct.pack("<IHHQ", 0x1A2B3C4D, 1, 0, unknown_length)
        self._block(self._SECTION, section + _options((self._APPLICATION, b"tongbu")))
        interface = struct.pack("<HHI", self._RAW_IP, 0, 0)
        microseconds = bytes((6,))
        options = _options((self._NAME, b"journal"), (self._RESOLUTION, microseconds))
        self._block(self._INTERFACE, interface + options)

    def packet(self, arrival_us: int, port: int, data: bytes, *, rtcp: bool) -> None:
        """In UDP and IPv4."""
        self._datagram(arrival_us, port, data)

    def event(self, arrival_us: int, event: dict[str, Any], text: str) -> None:
        """A packet to the discard port, and an announcement of a track that it publishes."""
        comment = text.encode()[:_MAX_COMMENT].decode(errors="ignore").encode()
        self._datagram(arrival_us, _DISCARD_PORT, text.encode()[:_MAX_UDP], comment)
        if event.get("type") == "track_published" and (sdp := _sdp(event)):
            self._datagram(arrival_us, _SAP_PORT, _sap(event["track"], sdp))

    def _datagram(self, at_us: int, port: int, data: bytes, comment: bytes = b"") -> None:
        datagram = _ipv4(port, data)
        high, low = divmod(at_us, 1 << 32)
        head = struct.pack("<IIIII", 0, high, low, len(datagram), len(datagram))
        options = _options((self._COMMENT, comment)) if comment else b""
        self._block(self._PACKET, head + _padded(datagram) + options)

    def _block(self, kind: int, body: bytes) -> None:
        length = struct.pack("<I", len(body) + 12)
        self._out.write(struct.pack("<I", kind) + length + body + length)


_WRITERS: dict[str, Callable[[IO[bytes], int, int], _Writer]] = {
    "rtpdump": _RtpDump,
    "pcapng": _Pcapng,
}


def _options(*options: tuple[int, bytes]) -> bytes:
    each = (struct.pack("<HH", code, len(value)) + _padded(value) for code, value in options)
    return b"".join(each) + bytes(4)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _ipv4(port: int, data: bytes) -> bytes:
    """UDP without a checksum, which IPv4 allows (RFC 768), in IPv4 (RFC 791)."""
    data = data[:_MAX_UDP]
    udp = struct.pack(">HHHH", port, port, len(data) + 8, 0) + data
    parts = (0x45, 0, len(udp) + 20, 0, 0x4000, 64, 17)
    words = struct.pack(">BBHHHBB", *parts) + b"\0\0" + SOURCE + DESTINATION
    total = sum(struct.unpack(">10H", words))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return words[:10] + struct.pack(">H", ~total & 0xFFFF) + words[12:] + udp


def _sap(track: int, sdp: str) -> bytes:
    """Version 1, IPv4, an announcement, not authenticated (RFC 2974, 3)."""
    head = struct.pack(">BBH4s", 0x20, 0, track & 0xFFFF, SOURCE)
    return head + b"application/sdp\0" + sdp.encode()


def _sdp(event: dict[str, Any]) -> str | None:
    """What a track is (RFC 8866); None where its event does not tell."""
    codec, rate, number = event.get("codec"), event.get("clock_rate"), event.get("track")
    if not (isinstance(codec, str) and isinstance(rate, int) and isinstance(number, int)):
        return None
    kind = "audio" if codec.lower() == "opus" else "video"
    channels = "/2" if kind == "audio" else ""
    lines = [
        "v=0",
        f"o=- {number} 1 IN IP4 {_dotted(SOURCE)}",
        f"s=track {number}",
        f"c=IN IP4 {_dotted(DESTINATION)}",
        "t=0 0",
        f"m={kind} {port_of(number)} RTP/AVP {_PAYLOAD_TYPE}",
        f"a=rtpmap:{_PAYLOAD_TYPE} {codec}/{rate}{channels}",
    ]
    if codec == "H264":
        lines.append(f"a=fmtp:{_PAYLOAD_TYPE} packetization-mode=1")
    return "".join(f"{line}\r\n" for line in lines)


def _dotted(address: bytes) -> str:
    return ".".join(map(str, address))
