"""What a coded frame tells without decoding it, and the tiny files that describe it to FFmpeg.

PyAV cannot set `extradata` on a stream it muxes, so Opus and VP9 would get an empty configuration
box in MP4. It can copy a stream it has demuxed: `template` wraps one keyframe in the codec's
simplest container, in memory, and opens that. FFmpeg then knows all it needs to write the box.
"""

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass

import av
from av.container import InputContainer

from recorder.errors import MediaError

FRAGMENTED_MP4 = frozenset({"H264", "VP9", "AV1"})
"""Video codecs that browsers play from fMP4, hence from HLS."""

OPUS_RATE = 48_000
"""Opus in RTP always counts at 48 kHz (RFC 7587, 4.1)."""

# Samples per frame at 48 kHz by the TOC's config number (RFC 6716, table 2).
_OPUS_FRAME = (
    *(480, 960, 1920, 2880) * 3,  # SILK: 10, 20, 40, 60 ms
    *(480, 960) * 2,  # hybrid: 10, 20 ms
    *(120, 240, 480, 960) * 4,  # CELT: 2.5, 5, 10, 20 ms
)

_OPUS_LONGEST = 5_760  # 120 ms (RFC 6716, 3.2.5)

# A CELT full-band frame whose first bit says "silence" (RFC 6716, 4.3), one per frame length.
_SILENCE = {960: b"\xf8\xff\xfe", 480: b"\xf0\xff\xfe", 240: b"\xe8\xff\xfe", 120: b"\xe0\xff\xfe"}

_OBU_SEQUENCE_HEADER = 1


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a decoder must be told anew when it changes."""

    codec: str
    tag: bytes
    """The bytes that carry them: SPS and PPS, a sequence header, or the frame's size fields."""


def opus_duration(packet: bytes) -> int:
    """Samples at 48 kHz in one Opus packet (RFC 6716, 3.1); 0 when it is not one."""
    if not packet:
        return 0
    toc = packet[0]
    if not toc & 3:  # one frame: nearly every packet
        return _OPUS_FRAME[toc >> 3]
    count = (1, 2, 2, packet[1] & 63 if len(packet) > 1 else 0)[toc & 3]
    duration = _OPUS_FRAME[toc >> 3] * count
    return duration if duration <= _OPUS_LONGEST else 0


def silence(samples: int) -> list[tuple[bytes, int]]:
    """Opus packets, each with its length, that are silent for `samples` less at most 119."""
    samples = max(samples, 0)
    packets = [(_SILENCE[960], 960)] * (samples // 960)
    rest = samples % 960
    for length in (480, 240, 120):
        if rest >= length:
            packets.append((_SILENCE[length], length))
            rest -= length
    return packets


def parameters(codec: str, keyframe: bytes) -> Parameters:
    """The parameters a keyframe carries.

    Raises MediaError when it carries none: such a frame cannot begin anything.
    """
    try:
        return Parameters(codec, _TAGS[codec](keyframe))
    except IndexError:
        raise MediaError(f"a {codec} keyframe is cut short") from None


def template(codec: str, keyframe: bytes) -> InputContainer:
    """An open container whose first stream has the parameters of `keyframe`; the caller closes it.

    Raises MediaError when FFmpeg cannot make sense of it.
    """
    wrap, container_format = _WRAPPERS[codec]
    try:
        source = av.open(io.BytesIO(wrap(keyframe)), mode="r", format=container_format)
    except av.FFmpegError as error:
        raise MediaError(f"a {codec} keyframe cannot be opened: {error}") from error
    if not source.streams:
        source.close()
        raise MediaError(f"a {codec} keyframe describes no stream")
    return source


def codec_string(init: bytes) -> str:
    """The RFC 6381 codec string for an init segment, read from its configuration box.

    Raises MediaError when there is no box of a codec known here.
    """
    for box, describe in _DESCRIPTIONS.items():
        at = init.find(box)
        if at >= 0:
            return describe(init[at + 4 :])
    raise MediaError("the init segment names no known codec")


def _nal_units(data: bytes) -> list[bytes]:
    """The NAL units of an Annex B frame, without start codes and trailing zeros."""
    units = [unit.rstrip(b"\0") for unit in data.split(b"\0\0\1")[1:]]
    return [unit for unit in units if unit]


def _h264_tag(keyframe: bytes) -> bytes:
    units = [unit for unit in _nal_units(keyframe) if unit[0] & 31 in (7, 8)]
    if {unit[0] & 31 for unit in units} != {7, 8}:
        raise MediaError("an H264 keyframe has no SPS or no PPS")
    return b"\0\0\1".join(dict.fromkeys(units))


def _vp8_tag(keyframe: bytes) -> bytes:
    """Width and height (RFC 6386, 9.1)."""
    if keyframe[3:6] != b"\x9d\x01\x2a" or len(keyframe) < 10:
        raise MediaError("a VP8 keyframe has no start code")
    return keyframe[6:10]


def _vp9_tag(keyframe: bytes) -> bytes:
    """Profile, colour and size: the fixed bits after the sync code of a profile 0 keyframe."""
    if keyframe[1:4] != b"\x49\x83\x42" or len(keyframe) < 9:
        raise MediaError("a VP9 keyframe has no sync code")
    return bytes((keyframe[0] & 0xF0, *keyframe[4:8], keyframe[8] & 0xF0))


def _av1_tag(keyframe: bytes) -> bytes:
    """The sequence header OBU (AV1 specification, 5.5)."""
    at = 0
    while at < len(keyframe):
        header = keyframe[at]
        start = at + (2 if header & 4 else 1)
        size, start = _leb128(keyframe, start) if header & 2 else (len(keyframe) - start, start)
        if header >> 3 & 15 == _OBU_SEQUENCE_HEADER:
            return keyframe[start : start + size]
        at = start + size
    raise MediaError("an AV1 keyframe has no sequence header")


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 56, 7):
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if not byte & 128:
            break
    return value, at


def _ivf(fourcc: bytes, keyframe: bytes) -> bytes:
    """One frame as an IVF file; FFmpeg takes the size from the frame itself."""
    header = struct.pack("<4sHH4sHHIIII", b"DKIF", 0, 32, fourcc, 0, 0, 90_000, 1, 1, 0)
    return header + struct.pack("<IQ", len(keyframe), 0) + keyframe


def _ogg_opus(_: bytes) -> bytes:
    """A stereo Opus stream without pre-skip: a decoder turns mono packets into stereo itself."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 2, 0, OPUS_RATE, 0, 0)
    tags = b"OpusTags" + struct.pack("<II", 0, 0)
    pages = ((head, 2, 0), (tags, 0, 0), (_SILENCE[960], 4, 960))
    return b"".join(_ogg_page(*page, number) for number, page in enumerate(pages))


def _ogg_page(payload: bytes, flags: int, granule: int, number: int) -> bytes:
    """One Ogg page of one short packet (RFC 3533, 6)."""
    page = struct.pack("<4sBBqIII", b"OggS", 0, flags, granule, 1, number, 0)
    page += bytes((1, len(payload))) + payload
    return page[:22] + struct.pack("<I", _ogg_crc(page)) + page[26:]


def _ogg_crc(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return crc


def _avc_string(box: bytes) -> str:
    """`avcC`: version, profile, compatibility, level (ISO/IEC 14496-15, 5.3.3)."""
    return f"avc1.{box[1]:02x}{box[2]:02x}{box[3]:02x}"


def _vp9_string(box: bytes) -> str:
    """`vpcC`: a full box; profile, level, then 4 bits of depth (VP codec ISO binding)."""
    return f"vp09.{box[4]:02d}.{box[5]:02d}.{box[6] >> 4:02d}"


def _av1_string(box: bytes) -> str:
    """`av1C`: profile and level, then tier and depth flags (AV1 ISO binding, 2.3)."""
    depth = (12 if box[2] & 0x20 else 10) if box[2] & 0x40 else 8
    return f"av01.{box[1] >> 5}.{box[1] & 31:02d}{'H' if box[2] & 0x80 else 'M'}.{depth:02d}"


_TAGS = {"H264": _h264_tag, "VP8": _vp8_tag, "VP9": _vp9_tag, "AV1": _av1_tag}
_WRAPPERS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "H264": (bytes, "h264"),
    "VP8": (lambda frame: _ivf(b"VP80", frame), "ivf"),
    "VP9": (lambda frame: _ivf(b"VP90", frame), "ivf"),
    "AV1": (lambda frame: _ivf(b"AV01", frame), "ivf"),
    "opus": (_ogg_opus, "ogg"),
}
_DESCRIPTIONS: dict[bytes, Callable[[bytes], str]] = {
    b"avcC": _avc_string,
    b"vpcC": _vp9_string,
    b"av1C": _av1_string,
    b"dOps": lambda _: "opus",
}
