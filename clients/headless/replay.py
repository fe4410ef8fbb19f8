"""An archived lesson as a player sees it: fetched by its playlists, decoded, measured.

Written from RFC 8216 alone, so that it is also a second opinion on the recorder's playlists.
"""

import io
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from posixpath import dirname, join

import av
import numpy as np
from av.audio.resampler import AudioResampler

from clients.headless.errors import MediaFileError
from clients.headless.marks import (
    CAMERA_STRIP,
    Luma,
    beep_onsets,
    lamp_is_lit,
    luma_of,
    skew_ms,
)

Fetch = Callable[[str], Awaitable[bytes]]

_AUDIO_RATE = 48000
_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^,]*)')


@dataclass(frozen=True)
class Rendition:
    """One media playlist with everything it names, fetched.

    `parts` are streams that a decoder can open: an initialisation segment and what follows it up
    to the next one.
    """

    complete: bool  # it has ENDLIST
    duration: float  # seconds, the sum of EXTINF
    parts: list[bytes]


@dataclass
class Seen:
    """What the decoder saw of a lesson."""

    frames: int = 0
    first_time: float | None = None  # seconds, of the first picture
    end_time: float = 0.0  # seconds, of the last picture
    longest_gap: float = 0.0  # seconds between two pictures
    numbers: list[int | None] = field(default_factory=list)
    flashes: list[float] = field(default_factory=list)
    beeps: list[float] = field(default_factory=list)

    @property
    def taught(self) -> list[int | None]:
        """The numbers of the pictures that were sent.

        The recorder shows the first picture from the lesson's zero on; when the sound began
        earlier, that picture stands there twice.
        """
        return self.numbers[1:] if self.numbers[:1] == self.numbers[1:2] else self.numbers

    @property
    def skew_ms(self) -> float | None:
        """How late the sound is against the picture."""
        return skew_ms(self.flashes, self.beeps)


async def fetch_view(master_path: str, fetch: Fetch) -> tuple[Rendition, Rendition | None]:
    """A view's picture and its sound, by the path of its master playlist."""
    video, audio = parse_master((await fetch(master_path)).decode())
    here = dirname(master_path)
    picture = await fetch_rendition(join(here, video), fetch)
    return picture, await fetch_rendition(join(here, audio), fetch) if audio else None


async def fetch_rendition(path: str, fetch: Fetch) -> Rendition:
    """A media playlist and its segments."""
    text = (await fetch(path)).decode()
    parts: list[bytearray] = []
    for kind, uri in _resources(text):
        data = await fetch(join(dirname(path), uri))
        if kind == "map":
            parts.append(bytearray(data))
        elif not parts:
            raise MediaFileError(f"{path} has a segment before its EXT-X-MAP.")
        else:
            parts[-1] += data
    seconds = [float(value) for value in re.findall(r"^#EXTINF:([\d.]+)", text, re.MULTILINE)]
    return Rendition("#EXT-X-ENDLIST" in text, sum(seconds), [bytes(part) for part in parts])


def parse_master(text: str) -> tuple[str, str | None]:
    """The addresses of the first variant and of the sound that goes with it."""
    lines = text.splitlines()
    groups: dict[str, str] = {}
    for line in lines:
        if line.startswith("#EXT-X-MEDIA:"):
            attributes = _attributes(line)
            if attributes.get("TYPE") == "AUDIO" and "URI" in attributes:
                groups[attributes.get("GROUP-ID", "")] = attributes["URI"]
    for line, following in pairwise(lines):
        if line.startswith("#EXT-X-STREAM-INF:"):
            return following, groups.get(_attributes(line).get("AUDIO", ""))
    raise MediaFileError("The master playlist names no stream.")


def look_at(picture: Rendition, sound: Rendition | None) -> Seen:
    """Decode everything; find the marks of the demo lesson where there are any."""
    seen = Seen()
    lit = True  # a lamp that is lit in the first picture may have been lit before
    for time, luma in pictures(picture):
        if seen.frames:
            seen.longest_gap = max(seen.longest_gap, time - seen.end_time)
        else:
            seen.first_time = time
        seen.frames += 1
        seen.end_time = time
        seen.numbers.append(CAMERA_STRIP.read(luma))
        was_lit, lit = lit, lamp_is_lit(luma)
        if lit and not was_lit:
            seen.flashes.append(time)
    if sound:
        seen.beeps = list(_beeps(sound))
    return seen


def pictures(rendition: Rendition) -> Iterator[tuple[float, Luma]]:
    """Every picture with its time in seconds, as luma."""
    for part in rendition.parts:
        with av.open(io.BytesIO(part), "r") as container:
            for frame in container.decode(video=0):
                assert frame.time is not None
                yield frame.time, luma_of(frame)


def _beeps(rendition: Rendition) -> Iterator[float]:
    """When the tones begin, in seconds of the lesson."""
    for part in rendition.parts:
        resampler = AudioResampler(format="fltp", layout="mono", rate=_AUDIO_RATE)
        blocks: list[tuple[float, np.ndarray]] = []
        with av.open(io.BytesIO(part), "r") as container:
            for frame in container.decode(audio=0):
                assert frame.time is not None
                time = frame.time
                for out in resampler.resample(frame):
                    blocks.append((time, out.to_ndarray()[0]))
                    time += out.samples / _AUDIO_RATE
        if blocks:
            start, samples = _joined(blocks)
            yield from (start + onset for onset in beep_onsets(samples, _AUDIO_RATE))


def _joined(blocks: list[tuple[float, np.ndarray]]) -> tuple[float, np.ndarray]:
    """Sound laid out by its times, so that a hole stays a hole."""
    start = blocks[0][0]
    end = max(time + len(block) / _AUDIO_RATE for time, block in blocks)
    samples = np.zeros(round((end - start) * _AUDIO_RATE) + 1, np.float32)
    for time, block in blocks:
        at = round((time - start) * _AUDIO_RATE)
        samples[at : at + len(block)] = block[: len(samples) - at]
    return start, samples


def _resources(text: str) -> Iterator[tuple[str, str]]:
    """("map" or "segment", address) in order."""
    for line in text.splitlines():
        if line.startswith("#EXT-X-MAP:"):
            yield "map", _attributes(line)["URI"]
        elif line and not line.startswith("#"):
            yield "segment", line


def _attributes(line: str) -> dict[str, str]:
    """An attribute list (RFC 8216, 4.2)."""
    listed = line.split(":", 1)[1]
    return {name: value.strip('"') for name, value in _ATTRIBUTE.findall(listed)}
