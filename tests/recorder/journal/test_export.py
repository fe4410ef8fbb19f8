"""Exports, read again by parsers that were written from the formats' descriptions alone."""

import io
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from recorder.errors import JournalError
from recorder.journal.export import export, port_of
from sfu._media import read_packets
from tests.recorder import tbj
from tests.recorder.journals import EPOCH_US, Journal, lesson


@dataclass
class Datagram:
    at_us: int
    source: str
    destination: str
    port: int
    data: bytes
    comments: list[str] = field(default_factory=list)


def blocks(data: bytes) -> Iterator[tuple[int, bytes]]:
    """draft-ietf-opsawg-pcapng, 3.1: type, length, body, length again."""
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        assert length % 4 == 0
        assert length >= 12
        assert struct.unpack_from("<I", data, at + length - 4) == (length,)
        yield kind, data[at + 8 : at + length - 4]
        at += length
    assert at == len(data)


def options(data: bytes) -> Iterator[tuple[int, bytes]]:
    """3.5: code, length, value, padded to 32 bits; code 0 ends them."""
    at = 0
    while at < len(data):
        code, length = struct.unpack_from("<HH", data, at)
        if code == 0:
            assert length == 0
            assert at + 4 == len(data)
            return
        yield code, data[at + 4 : at + 4 + length]
        at += 4 + length + -length % 4
    assert not data, "options without an end"


def read_pcapng(data: bytes) -> list[Datagram]:
    section, interface, *packets = blocks(data)
    assert section[0] == 0x0A0D0D0A
    assert struct.unpack_from("<IHHq", section[1]) == (0x1A2B3C4D, 1, 0, -1)
    assert (4, b"tongbu") in list(options(section[1][16:]))
    assert interface[0] == 1
    assert struct.unpack_from("<HHI", interface[1]) == (101, 0, 0), "raw IP"
    assert (9, b"\x06") in list(options(interface[1][8:])), "microseconds"
    return [read_packet(kind, body) for kind, body in packets]


def read_packet(kind: int, body: bytes) -> Datagram:
    """4.3: an enhanced packet block."""
    assert kind == 6
    number, high, low, captured, original = struct.unpack_from("<IIIII", body)
    assert number == 0
    assert captured == original
    ip = body[20 : 20 + captured]
    rest = body[20 + captured + -captured % 4 :]
    comments = [value.decode() for code, value in options(rest) if code == 1]
    assert ip[0] == 0x45
    assert ip[9] == 17
    total, *_ = struct.unpack_from(">H", ip, 2)
    assert total == len(ip)
    checksum = sum(struct.unpack(">10H", ip[:20]))
    assert (checksum & 0xFFFF) + (checksum >> 16) == 0xFFFF
    _, port, length, _ = struct.unpack_from(">HHHH", ip, 20)
    assert length == len(ip) - 20
    source, destination = (".".join(map(str, ip[at : at + 4])) for at in (12, 16))
    return Datagram(high << 32 | low, source, destination, port, ip[28:], comments)


def read_rtpdump(data: bytes) -> list[tuple[int, bytes, bool]]:
    """rtptools: a line, a header of 16 bytes, then length, RTP length, milliseconds, packet."""
    line, _, rest = data.partition(b"\n")
    magic, address = line.split(b" ")
    assert magic == b"#!rtpplay1.0"
    seconds, microseconds, _, port, padding = struct.unpack_from(">II4sHH", rest)
    assert (seconds, microseconds) == divmod(EPOCH_US, 1_000_000)
    assert address == b"192.0.2.2/%d" % port
    assert padding == 0
    packets, at = [], 16
    while at < len(rest):
        length, rtp, ms = struct.unpack_from(">HHI", rest, at)
        packet = rest[at + 8 : at + length]
        assert rtp in (0, len(packet))
        packets.append((ms, packet, rtp == 0))
        at += length
    assert at == len(rest)
    return packets


@pytest.fixture
def journal(folder: Path) -> Path:
    """Four seconds of H264 and Opus, and what was said."""
    said = Journal().start().event(1.5, "chat", identity="li", name="Li", text="听得见")
    tbj.write(lesson("H264", 4, journal=said), folder / "journal")
    return folder / "journal"


def exported(journal: Path, form: str, track: int | None = None) -> tuple[bytes, int]:
    out = io.BytesIO()
    packets = export(journal, out, form, track=track)
    return out.getvalue(), packets


def test_pcapng_has_every_packet_at_its_time(journal: Path) -> None:
    data, packets = exported(journal, "pcapng")
    datagrams = read_pcapng(data)
    written = read_packets(str(journal))
    assert packets == len(written)
    rtp = [d for d in datagrams if d.port in (10_000, 10_002)]
    assert [(d.port, d.at_us, d.data) for d in rtp] == [
        (port_of(track), arrival, packet) for track, arrival, packet in written
    ]
    assert {(d.source, d.destination) for d in datagrams} == {("192.0.2.1", "192.0.2.2")}
    assert [d.at_us for d in datagrams] == sorted(d.at_us for d in datagrams)


def test_pcapng_tells_events_as_comments(journal: Path) -> None:
    datagrams = read_pcapng(exported(journal, "pcapng")[0])
    events = [json.loads(d.comments[0]) for d in datagrams if d.comments]
    assert [event["type"] for event in events] == [
        *("lesson_started", "track_published", "track_published", "chat", "lesson_ended")
    ]
    assert events[3]["text"] == "听得见"
    assert all(d.port == 9 for d in datagrams if d.comments)


def test_pcapng_announces_tracks(journal: Path) -> None:
    """RFC 2974: so that Wireshark knows what is RTP, and of what codec."""
    announced = [d.data for d in read_pcapng(exported(journal, "pcapng")[0]) if d.port == 9_875]
    sound, picture = announced
    assert sound[:2] == b"\x20\0"
    assert sound[4:8] == bytes((192, 0, 2, 1))
    mime, _, sdp = picture[8:].partition(b"\0")
    assert mime == b"application/sdp"
    lines = sdp.decode().split("\r\n")
    assert "m=video 10002 RTP/AVP 96" in lines
    assert "a=rtpmap:96 H264/90000" in lines
    assert "c=IN IP4 192.0.2.2" in lines
    assert b"m=audio 10000 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\n" in sound


def test_sender_reports_are_rtcp(journal: Path) -> None:
    reports = [d for d in read_pcapng(exported(journal, "pcapng")[0]) if d.port == 10_003]
    assert len(reports) == 4
    counts = []
    for report in reports:
        head, kind, length, ssrc = struct.unpack_from(">BBHI", report.data)
        assert (head, kind, length, ssrc) == (0x80, 200, 6, 2)
        ntp, _, packets, octets = struct.unpack_from(">QIII", report.data, 8)
        assert abs(ntp / 2**32 - 2_208_988_800 - report.at_us / 1e6) < 0.1
        counts.append((packets, octets))
        head, kind, words = struct.unpack_from(">BBH", report.data, 28)
        assert (head, kind, 28 + 4 + 4 * words) == (0x81, 202, len(report.data))
    assert counts == sorted(counts)
    assert counts[0][0] > 0


def test_rtpdump_has_every_packet(journal: Path) -> None:
    data, packets = exported(journal, "rtpdump")
    written = read_packets(str(journal))
    found = read_rtpdump(data)
    rtp = [(ms, packet) for ms, packet, rtcp in found if not rtcp]
    assert rtp == [((at - EPOCH_US) // 1_000, packet) for _, at, packet in written]
    assert len(rtp) == packets
    assert {packet[1] for _, packet, rtcp in found if rtcp} == {200}


def test_one_track_of_it(journal: Path) -> None:
    for form in ("rtpdump", "pcapng"):
        data, packets = exported(journal, form, track=1)
        assert packets == 200
    datagrams = read_pcapng(data)
    assert {d.port for d in datagrams} == {9, 9_875, 10_000, 10_001}
    with pytest.raises(JournalError, match="no packets of track 7"):
        exported(journal, "pcapng", track=7)


def test_a_journal_without_media_has_nothing_to_export(folder: Path) -> None:
    tbj.write(Journal().start(), folder / "journal")
    with pytest.raises(JournalError, match="no media"):
        exported(folder / "journal", "rtpdump")


def test_damage_and_huge_events_are_passed_over(journal: Path) -> None:
    segment = journal / "00000001.tbj"
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    writer = tbj.Writer(journal, number=2)
    writer.write_raw(tbj.EVENT, 0, json.dumps({"type": "chat", "text": "听" * 100_000}).encode())
    writer.write_raw(tbj.RTP, 9, b"\x80" + bytes(65_534))
    writer.kill()
    datagrams = read_pcapng(exported(journal, "pcapng")[0])
    [huge] = [d for d in datagrams if len(d.data) > 60_000 and d.port == 9]
    assert huge.comments[0].startswith('{"type": "chat"')
    packets = len(read_packets(str(journal)))
    assert len(read_rtpdump(exported(journal, "rtpdump")[0])) == packets - 1 + 8


def test_every_track_has_ports() -> None:
    ports = [port_of(track) for track in (1, 2, 27_768, 27_769, 65_535)]
    assert ports[:2] == [10_000, 10_002]
    assert all(port % 2 == 0 and 10_000 <= port <= 65_534 for port in ports)
