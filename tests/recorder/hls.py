"""A strict player of HLS: reads an archive as a browser would, and complains of what is wrong."""

import io
import itertools
import re
import struct
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np


@dataclass(frozen=True)
class Segment:
    path: Path
    init: Path
    duration: float


@dataclass(frozen=True)
class Playlist:
    """A media playlist with its segments."""

    segments: list[Segment]
    target: int
    ended: bool

    @property
    def duration(self) -> float:
        return sum(segment.duration for segment in self.segments)

    @property
    def inits(self) -> list[Path]:
        return list(dict.fromkeys(segment.init for segment in self.segments))

    def joined(self) -> bytes:
        """One file, as MSE would be given it; of a single init only."""
        (init,) = self.inits
        return init.read_bytes() + b"".join(s.path.read_bytes() for s in self.segments)


def read(path: Path) -> Playlist:
    """Parse a media playlist and check what RFC 8216 demands of it."""
    lines = path.read_text().splitlines()
    assert lines[0] == "#EXTM3U"
    assert "#EXT-X-INDEPENDENT-SEGMENTS" in lines
    target = int(_value(lines, "#EXT-X-TARGETDURATION:"))
    init, duration, segments = None, None, []
    for line in lines:
        if line.startswith("#EXT-X-MAP:"):
            init = path.parent / re.fullmatch(r'#EXT-X-MAP:URI="(.+)"', line)[1]
        elif line.startswith("#EXTINF:"):
            duration = float(line[8:-1])
            assert round(duration) <= target
        elif line and not line.startswith("#"):
            segments.append(Segment(path.parent / line, init, duration))
    return Playlist(segments, target, lines[-1] == "#EXT-X-ENDLIST")


def master(path: Path) -> tuple[str, Path, Path | None]:
    """A master playlist: CODECS, the stream's playlist, the audio group's."""
    lines = path.read_text().splitlines()
    attributes = _value(lines, "#EXT-X-STREAM-INF:")
    audio = re.search(r'TYPE=AUDIO.*URI="(.+?)"', path.read_text())
    codecs = re.search(r'CODECS="(.+?)"', attributes)[1]
    assert int(re.search(r"BANDWIDTH=(\d+)", attributes)[1]) > 0
    stream = next(line for line in lines if line and not line.startswith("#"))
    return codecs, path.parent / stream, audio and path.parent / audio[1]


def check(playlist: Playlist, rate: int) -> None:
    """Each segment decodes alone; times run on without hole or overlap, and add up to EXTINF."""
    expected = 0
    for segment in playlist.segments:
        data = segment.path.read_bytes()
        for start, length in fragments(data):
            assert start == expected, f"{segment.path}: tfdt {start}, not {expected}"
            expected = start + length
        frames = decode(segment.init.read_bytes() + data)
        assert frames, f"{segment.path} does not decode alone"
        if rate == 48_000:
            heard = sum(frame.samples for frame in frames) / rate
            assert abs(heard - segment.duration) < 0.021, f"{segment.path} has a hole"
    assert abs(playlist.duration - expected / rate) < 0.001


def fragments(data: bytes) -> list[tuple[int, int]]:
    """(tfdt, sum of the sample durations) of each fragment of a segment."""
    found = []
    for name, body in boxes(data):
        assert name in ("moof", "mdat", "styp"), name
        if name == "moof":
            traf = dict(boxes(dict(boxes(body))["traf"]))
            found.append((decode_time(traf["tfdt"]), length(traf["tfhd"], traf["trun"])))
    return found


def boxes(data: bytes) -> list[tuple[str, bytes]]:
    at, found = 0, []
    while at < len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        assert 8 <= size <= len(data) - at
        found.append((name.decode(), data[at + 8 : at + size]))
        at += size
    return found


def decode(data: bytes, kind: str = "") -> list:
    """Every frame of an MP4 in memory."""
    with av.open(io.BytesIO(data)) as source:
        return list(source.decode(source.streams[0]))


def flashes(frames: list) -> list[float]:
    """When the picture turns white, in seconds."""
    bright = [
        (float(frame.pts * frame.time_base), np.mean(frame.to_ndarray(format="gray")) > 180)
        for frame in frames
    ]
    return [now[0] for before, now in itertools.pairwise(bright) if now[1] and not before[1]]


def beeps(frames: list) -> list[float]:
    """When the sound begins, in seconds, to about a millisecond."""
    onsets, quiet_since = [], None
    for frame in frames:
        start = float(frame.pts * frame.time_base)
        loud = np.abs(_mono(frame)) > 0.1
        for index in np.flatnonzero(loud):
            time = start + index / frame.sample_rate
            if quiet_since is None or time - quiet_since > 0.3:
                onsets.append(time)
            quiet_since = time
    return onsets


def skews(video: list, audio: list) -> list[float]:
    """Beep minus flash, in seconds, for each flash that has a beep within half a second."""
    sounds = beeps(audio)
    pairs = [(min(sounds, key=lambda s: abs(s - flash)), flash) for flash in flashes(video)]
    return [sound - flash for sound, flash in pairs if abs(sound - flash) < 0.5]


def _mono(frame: av.AudioFrame) -> np.ndarray:
    samples = frame.to_ndarray()
    return samples[0].astype(np.float32) / (32768 if samples.dtype == np.int16 else 1)


def decode_time(box: bytes) -> int:
    return struct.unpack_from(">Q" if box[0] else ">I", box, 4)[0]


def length(tfhd: bytes, trun: bytes) -> int:
    """The sum of a run's sample durations, from `trun` or else `tfhd`'s default."""
    flags, count = struct.unpack(">II", trun[:8])
    if not flags & 0x100:
        return count * _default_duration(tfhd)
    at = 8 + (4 if flags & 1 else 0) + (4 if flags & 4 else 0)
    step = 4 * sum(bool(flags & bit) for bit in (0x100, 0x200, 0x400, 0x800))
    return sum(struct.unpack_from(">I", trun, at + n * step)[0] for n in range(count))


def _default_duration(tfhd: bytes) -> int:
    flags = int.from_bytes(tfhd[:4], "big")
    at = 8 + (8 if flags & 1 else 0) + (4 if flags & 2 else 0)
    assert flags & 8
    return struct.unpack_from(">I", tfhd, at)[0]


def _value(lines: list[str], tag: str) -> str:
    return next(line for line in lines if line.startswith(tag)).removeprefix(tag)
