"""CMAF chunks: samples of one track in, one `moof` and its `mdat` out. Pure, and quick.

A chunk is what ISO/IEC 23000-19, 7.3.2.3 calls one; its boxes are those of ISO/IEC 14496-12, 8.8:

    moof
      mfhd            the chunk's number
      traf
        tfhd          offsets count from this moof (default-base-is-moof)
        tfdt          where the first sample starts, 64 bits
        trun          for each sample: how long, how big, and whether it can be a start
    mdat              the samples in a row

There is no `styp`: HLS needs none (RFC 8216, 3.3), and so a segment is just its chunks in a row.
The init segments that these belong to are `recorder.pipeline.mux`'s.
"""

import struct

SYNC = 0x02000000
"""Flags of a sample that depends on no other (ISO/IEC 14496-12, 8.8.3.1)."""
DELTA = 0x01010000
"""Flags of a sample that depends on others and is no place to start."""

_MOOF = struct.Struct(">I4sI4sIII4sI4sIII4sIQI4sIIi")
_BEFORE_SAMPLES = _MOOF.size
_PER_SAMPLE = 12
_TRAF_AT = 8 + 16
_TRUN_AT = _BEFORE_SAMPLES - 20
_TRACK = 1
_BASE_IS_MOOF = 0x020000
_VERSION_1 = 1 << 24
_TRUN_HAS = 0x000701  # data offset; duration, size and flags of each sample
_START_CODE = b"\0\0\1"
_LEFT_OUT = (7, 8, 9)  # SPS, PPS, access unit delimiter


def chunk(number: int, start: int, samples: list[bytes], table: list[int]) -> bytes:
    """One chunk that starts at `start`, in ticks of the track.

    `table` has three numbers a sample: its duration in ticks, its size, and SYNC or DELTA.
    """
    count = len(samples)
    moof = _BEFORE_SAMPLES + _PER_SAMPLE * count
    head = _MOOF.pack(
        moof, b"moof",
        16, b"mfhd", 0, number,
        moof - _TRAF_AT, b"traf",
        16, b"tfhd", _BASE_IS_MOOF, _TRACK,
        20, b"tfdt", _VERSION_1, start,
        moof - _TRUN_AT, b"trun", _TRUN_HAS, count, moof + 8,
    )  # fmt: skip
    body = sum(table[1::3]) + 8
    entries = struct.pack(f">{3 * count}II4s", *table, body, b"mdat")
    return b"".join((head, entries, *samples))


def length_prefixed(frame: bytes) -> bytes:
    """An H264 frame in Annex B as an `avc1` sample (ISO/IEC 14496-15, 5.3.2).

    Each NAL unit gets its length before it, four bytes, instead of a start code. Parameter sets and
    delimiters are left out: the init segment has the sets.
    """
    if frame.startswith(b"\0\0\0\1") and len(frame) > 4 and frame.find(_START_CODE, 4) < 0:
        return (len(frame) - 4).to_bytes(4) + frame[4:]  # nearly every frame: one slice
    units = [unit.rstrip(b"\0") for unit in frame.split(_START_CODE)[1:]]
    kept = [unit for unit in units if unit and unit[0] & 31 not in _LEFT_OUT]
    return b"".join(part for unit in kept for part in (len(unit).to_bytes(4), unit))
