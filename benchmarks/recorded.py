"""Journals for benchmarks: a camera and a microphone, coded once and written as the engine does.

The clip is coded by x264 as a browser would (constrained baseline, no B frames) and said again and
again; the RTP packets, their records and the segment around them are told in
`sfu/media/src/journal/mod.rs`.
"""

import fcntl
import itertools
import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from recorder.pipeline.codecs import template

FPS = 30
GOP_SECONDS = 2
CLIP_SECONDS = 4
EPOCH_US = 1_790_000_000_000_000
FLUSH_SECONDS = 0.05
"""The engine's writer hands to the kernel what it has so often."""

_MTU = 1_200
_EVENT, _RTP, _SENDER_REPORT, _END = 1, 2, 3, 4
_NTP_UNIX = 2_208_988_800
_AUDIO, _VIDEO, _SLIDES = 1, 2, 3
_RATES = {_AUDIO: 48_000, _VIDEO: 90_000, _SLIDES: 90_000}


@dataclass(frozen=True)
class Coded:
    """A coded frame of a clip: when, and what."""

    seconds: Fraction
    data: bytes


@dataclass(frozen=True)
class Clip:
    """`CLIP_SECONDS` of camera and microphone."""

    video: list[Coded]
    audio: list[Coded]

    @property
    def bits_per_second(self) -> int:
        """Of the video."""
        return sum(len(frame.data) for frame in self.video) * 8 // CLIP_SECONDS


def clip(width: int = 1280, height: int = 720, bits_per_second: int = 1_500_000) -> Clip:
    """Code it: a noisy picture that moves, so that the bits are really spent; a tone and Opus."""
    return Clip(_video(width, height, bits_per_second), _audio())


def write(directory: Path, clip: Clip, seconds: float) -> None:
    """A whole journal of so many seconds; its writer is gone."""
    directory.mkdir(parents=True)
    with (
        (directory / "lock").open("wb") as lock,
        (directory / "00000001.tbj").open("wb", buffering=1 << 20) as file,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        for _, record in timed(clip, seconds):
            file.write(record)
        file.write(end(seconds))


def batches(clip: Clip, seconds: float, epoch_us: int = EPOCH_US) -> Iterator[tuple[float, bytes]]:
    """The journal as it reaches the kernel: when, and what."""
    due = 0.0
    waiting: list[bytes] = []
    for at, record in timed(clip, seconds, epoch_us):
        if at >= due + FLUSH_SECONDS:
            yield due + FLUSH_SECONDS, b"".join(waiting)
            due, waiting = due + FLUSH_SECONDS, []
        waiting.append(record)
    yield due + FLUSH_SECONDS, b"".join(waiting)


def timed(
    clip: Clip, seconds: float, epoch_us: int = EPOCH_US, *, slides: bool = False
) -> Iterator[tuple[float, bytes]]:
    """The journal, record by record, each with its time; the first is the segment's header.

    `slides`: the camera's pictures are also sent as slides, beside them.
    """
    head = struct.pack("<8sHHIQI", b"TONGBUJ1", 1, 32, 1, epoch_us, 0)
    yield 0, head + struct.pack("<I", zlib.crc32(head))
    yield 0, _event(epoch_us, type="lesson_started", lesson="bench", title="Bench", id="")
    yield 0, _event(epoch_us, **_track(_AUDIO, "audio", "microphone", "opus"))
    yield 0, _event(epoch_us, **_track(_VIDEO, "video", "camera", "H264"))
    if slides:
        yield 0, _event(epoch_us, **_track(_SLIDES, "video", "slides", "H264"))
    sequences = {track: itertools.count() for track in (_AUDIO, _VIDEO, _SLIDES)}
    for turn in range(int(seconds // CLIP_SECONDS) + 1):
        for track, frame, at in _in_order(clip, turn * CLIP_SECONDS):
            if at >= seconds:
                continue
            seen = (_VIDEO, _SLIDES) if slides else (_VIDEO,)
            for sender in seen if track == _VIDEO else (track,):
                for packet in _packets(sender, frame.data, at, sequences[sender], epoch_us):
                    yield at, packet
            if track == _VIDEO and at.is_integer():
                for report in _reports(at, epoch_us, (_AUDIO, *seen)):
                    yield at, report


def end(seconds: float) -> bytes:
    """The record that ends a journal in good order."""
    return _record(_END, 0, EPOCH_US + _us(seconds), b"")


def as_mp4(clip: Clip, path: Path) -> None:
    """The clip as a file that a teacher can publish."""
    with (
        av.open(str(path), "w", format="mp4") as out,
        template("H264", clip.video[0].data) as picture,
        template("opus", b"") as sound,
    ):
        streams = {
            kind: out.add_stream_from_template(source.streams[0], opaque=True)
            for kind, source in ((_VIDEO, picture), (_AUDIO, sound))
        }
        out.start_encoding()
        for track, frame, at in _in_order(clip, 0):
            packet = av.Packet(frame.data)
            packet.stream = streams[track]
            packet.time_base = Fraction(1, 90_000)
            packet.pts = packet.dts = round(at * 90_000)
            packet.is_keyframe = track == _AUDIO or at % GOP_SECONDS == 0
            out.mux_one(packet)


def _in_order(clip: Clip, offset: int) -> list[tuple[int, Coded, float]]:
    frames = [(_VIDEO, frame, offset + float(frame.seconds)) for frame in clip.video]
    frames += [(_AUDIO, frame, offset + float(frame.seconds)) for frame in clip.audio]
    return sorted(frames, key=lambda frame: frame[2])


def _track(number: int, kind: str, source: str, codec: str) -> dict[str, Any]:
    return {
        "type": "track_published",
        "track": number,
        "kind": kind,
        "source": source,
        "codec": codec,
        "clock_rate": _RATES[number],
        "parameters": {},
    }


def _event(epoch_us: int, **fields: Any) -> bytes:
    return _record(_EVENT, 0, epoch_us, json.dumps(fields).encode())


def _reports(at: float, epoch_us: int, tracks: tuple[int, ...]) -> Iterator[bytes]:
    ntp = round((epoch_us / 1e6 + _NTP_UNIX + at) * 2**32)
    for track in tracks:
        body = struct.pack("<QI", ntp, _timestamp(track, at))
        yield _record(_SENDER_REPORT, track, epoch_us + _us(at + 0.03), body)


def _packets(
    track: int, data: bytes, at: float, sequence: Iterator[int], epoch_us: int
) -> Iterator[bytes]:
    """RFC 7587: a packet; RFC 6184: single NAL units, or FU-A."""
    payloads = [data] if track == _AUDIO else list(_payloads(data))
    for number, payload in enumerate(payloads, 1):
        marker = 0x80 if number == len(payloads) else 0
        head = (0x80, 96 | marker, next(sequence) & 0xFFFF, _timestamp(track, at), track)
        body = struct.pack(">BBHII", *head) + payload
        yield _record(_RTP, track, epoch_us + _us(at + 0.03), body)


def _payloads(data: bytes) -> Iterator[bytes]:
    for unit in data.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")[1:]:
        if len(unit) <= _MTU:
            yield unit
            continue
        for at in range(1, len(unit), _MTU):
            first, last = at == 1, at + _MTU >= len(unit)
            flags = (0x80 if first else 0) | (0x40 if last else 0)
            yield bytes((unit[0] & 0x60 | 28, unit[0] & 31 | flags)) + unit[at : at + _MTU]


def _record(kind: int, track: int, arrival: int, body: bytes) -> bytes:
    checked = struct.pack("<BBHQ", kind, 0, track, arrival) + body
    return struct.pack("<II", len(body), zlib.crc32(checked)) + checked


def _timestamp(track: int, at: float) -> int:
    return round(at * _RATES[track]) & 0xFFFFFFFF


def _us(at: float) -> int:
    return round(at * 1e6)


def _video(width: int, height: int, bits_per_second: int) -> list[Coded]:
    encoder: Any = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, FPS), FPS
    encoder.gop_size, encoder.max_b_frames = FPS * GOP_SECONDS, 0
    encoder.bit_rate, encoder.thread_count = bits_per_second, 1
    encoder.options = {
        "profile": "baseline", "tune": "zerolatency", "preset": "ultrafast",
        "x264-params": f"vbv-maxrate={bits_per_second // 1000}:vbv-bufsize="
        f"{bits_per_second // 1000}:nal-hrd=none:scenecut=0:filler=0",
    }  # fmt: skip
    packets = []
    for number in range(CLIP_SECONDS * FPS):
        frame = av.VideoFrame.from_ndarray(_picture(number, width, height), "gray")
        frame = frame.reformat(format="yuv420p")
        frame.pts, frame.time_base = number, encoder.time_base
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    return [Coded(Fraction(packet.pts, FPS), bytes(packet)) for packet in packets]


def _picture(number: int, width: int, height: int) -> np.ndarray[Any, Any]:
    noise = np.random.default_rng(number).integers(0, 24, (height // 8 + 1, width // 8 + 1))
    rows, columns = np.ogrid[:height, :width]
    drift = (rows + columns * 2 + number * 5) // 3 % 160
    picture: np.ndarray[Any, Any] = drift + noise.repeat(8, 0).repeat(8, 1)[:height, :width] + 40
    return picture.astype(np.uint8)


def _audio() -> list[Coded]:
    encoder: Any = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "mono", "s16"
    encoder.bit_rate, encoder.time_base = 32_000, Fraction(1, 48_000)
    times = np.arange(CLIP_SECONDS * 48_000) / 48_000
    tone = np.sin(times * 2 * np.pi * (300 + 200 * np.sin(times * 3))) * 9_000
    samples = tone.astype(np.int16)
    packets = []
    for at in range(0, len(samples), 960):
        frame = av.AudioFrame.from_ndarray(samples[None, at : at + 960], "s16", "mono")
        frame.sample_rate, frame.pts = 48_000, at
        packets += encoder.encode(frame)
    return [Coded(Fraction(number, 50), bytes(packet)) for number, packet in enumerate(packets)]
