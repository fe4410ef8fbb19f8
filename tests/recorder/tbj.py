"""Writes journals to disk as the engine does: RTP packets in records, in segments, under a lock.

The format is told in `docs/journal.md`. This is a second opinion on it, so that the
recorder is tried with the real reader and without an engine.
"""

import fcntl
import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from tests.recorder.journals import (
    EPOCH_US,
    Frame,
    Journal,
    JournalEnd,
    LessonEvent,
    SenderReport,
)

MTU = 1_200
EVENT, RTP, SENDER_REPORT, END = 1, 2, 3, 4


class Writer:
    """One journal being written; `close` or `kill` it."""

    def __init__(self, directory: Path, number: int = 1) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._lock: IO[bytes] = (directory / "lock").open("wb")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._file = (directory / f"{number:08}.tbj").open("wb", buffering=0)
        self._codecs: dict[int, str] = {}
        self._sequences: dict[int, int] = {}
        head = struct.pack("<8sHHIQI", b"TONGBUJ1", 1, 32, number, 0, 0)
        self._file.write(head + struct.pack("<I", zlib.crc32(head)))

    def write(self, records: list[Any]) -> None:
        """Append records, frames cut into packets."""
        self._file.write(b"".join(part for record in records for part in self._encode(record)))

    def write_torn(self, record: Any) -> None:
        """Append the first half of a record's last part, as a crash leaves it."""
        whole = list(self._encode(record))[-1]
        self._file.write(whole[: len(whole) // 2])

    def write_raw(self, kind: int, track: int, body: bytes, arrival_us: int = EPOCH_US) -> None:
        """Append a record of any sense."""
        self._file.write(_record(kind, track, arrival_us, body))

    def skip(self, track: int, packets: int) -> None:
        """Lose packets of a track, or go back to earlier numbers."""
        self._sequences[track] = self._sequences[track] + packets & 0xFFFF

    def kill(self) -> None:
        """Let go of everything, as the death of the process does."""
        self._file.close()
        self._lock.close()

    def _encode(self, record: Any) -> Iterator[bytes]:
        match record:
            case LessonEvent():
                self._learn(json.loads(record.json))
                yield _record(EVENT, 0, record.arrival_us, record.json.encode())
            case SenderReport():
                body = struct.pack("<QI", record.ntp, record.timestamp)
                yield _record(SENDER_REPORT, record.track, record.arrival_us, body)
            case JournalEnd():
                yield _record(END, 0, record.arrival_us, b"")
            case Frame():
                for packet in self._packets(record):
                    yield _record(RTP, record.track, record.arrival_us, packet)

    def _learn(self, event: dict[str, Any]) -> None:
        if event["type"] == "track_published":
            self._codecs[event["track"]] = event["codec"]

    def _packets(self, frame: Frame) -> Iterator[bytes]:
        payloads = list(_PAYLOADS[self._codecs[frame.track]](frame.data, frame.keyframe))
        for number, payload in enumerate(payloads, 1):
            sequence = self._sequences.get(frame.track, 65_000)
            self._sequences[frame.track] = sequence + 1 & 0xFFFF
            marker = 0x80 if number == len(payloads) else 0
            head = struct.pack(">BBHII", 0x80, 96 | marker, sequence, frame.timestamp, frame.track)
            yield head + payload


def write(journal: Journal, directory: Path) -> None:
    """The whole journal at once, the writer gone."""
    writer = Writer(directory)
    writer.write(journal.records)
    writer.kill()


def _record(kind: int, track: int, arrival: int, body: bytes) -> bytes:
    checked = struct.pack("<BBHQ", kind, 0, track, arrival) + body
    return struct.pack("<II", len(body), zlib.crc32(checked)) + checked


def _pieces(data: bytes) -> Iterator[tuple[bytes, bool, bool]]:
    """The data in MTU-sized pieces, each with whether it is the first and the last."""
    for at in range(0, len(data), MTU):
        yield data[at : at + MTU], at == 0, at + MTU >= len(data)


def _h264(data: bytes, keyframe: bool) -> Iterator[bytes]:
    """RFC 6184: single NAL units, or FU-A."""
    for unit in data.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")[1:]:
        if len(unit) <= MTU:
            yield unit
            continue
        for piece, first, last in _pieces(unit[1:]):
            flags = (0x80 if first else 0) | (0x40 if last else 0)
            yield bytes((unit[0] & 0x60 | 28, unit[0] & 31 | flags)) + piece


def _vp8(data: bytes, keyframe: bool) -> Iterator[bytes]:
    """RFC 7741, 4.2: the S bit."""
    for piece, first, _ in _pieces(data):
        yield (b"\x10" if first else b"\x00") + piece


def _vp9(data: bytes, keyframe: bool) -> Iterator[bytes]:
    """RFC 9628, 4.2: the P, B and E bits."""
    for piece, first, last in _pieces(data):
        flags = (0 if keyframe else 0x40) | (8 if first else 0) | (4 if last else 0)
        yield bytes((flags,)) + piece


def _av1(data: bytes, keyframe: bool) -> Iterator[bytes]:
    """RTP payload format 1.0: one OBU element a packet, without its size field."""
    new = 0x08 if keyframe else 0
    for unit in _obus(data):
        for piece, first, last in _pieces(unit):
            yield bytes(((0 if first else 0x80) | (0 if last else 0x40) | 0x10 | new,)) + piece
            new = 0


def _obus(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        header, size, shift = data[at], 0, 0
        at += 1
        while True:
            size |= (data[at] & 127) << shift
            shift, at = shift + 7, at + 1
            if not data[at - 1] & 128:
                break
        yield bytes((header & ~2,)) + data[at : at + size]
        at += size


def _opus(data: bytes, keyframe: bool) -> Iterator[bytes]:
    yield data


_PAYLOADS = {"H264": _h264, "VP8": _vp8, "VP9": _vp9, "AV1": _av1, "opus": _opus}
