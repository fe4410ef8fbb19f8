"""What was seen and heard in one run, before anybody judges it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from benchmarks.linklab.profile import Script


class Sound(NamedTuple):
    """Counters of the sound that was played, at one moment."""

    at: float
    samples: int
    concealed: int
    silent: int
    """Of the concealed ones."""
    events: int


class Picture(NamedTuple):
    """One decoded picture."""

    at: float
    number: int | None
    """Of the camera's picture, or the slide's page; None if it could not be read."""
    width: int
    psnr: float | None = None
    """Decibels; None where nobody needed to know."""


class Said(NamedTuple):
    """A message on a data channel."""

    at: float
    label: str
    text: str | None


class Sample(NamedTuple):
    """Somebody's counters at one moment."""

    at: float
    counters: Mapping[str, Any]


@dataclass
class Observed:
    """One run. Times are seconds since the viewer asked to join."""

    seconds: float
    script: Script
    flip_s: float
    broadcast: bool = True
    """The teacher sends the same to everybody, whatever this link carries."""
    sound: Sequence[Sound] = ()
    camera: Sequence[Picture] = ()
    slides: Sequence[Picture] = ()
    said: Sequence[Said] = ()
    tracks: Sequence[Sample] = ()
    """Statistics of the viewer's browser, by `source`."""
    flips: Sequence[tuple[int, float]] = ()
    """Each page, and when the teacher turned to it."""
    drawn: Mapping[int, float] = field(default_factory=dict)
    """When each picture of the camera was drawn."""
    link: list[Sample] = field(default_factory=list)
    """The emulator's snapshots."""
    sender: list[Sample] = field(default_factory=list)
    """What the sender of the viewer's media tells of him."""
    published: list[Sample] = field(default_factory=list)
    """Bytes that the teacher has sent of the best quality of everything."""
    strong: list[Sample] = field(default_factory=list)
    """Bytes and losses of each school on the good side."""
    busy_cores: float = 0.0
    stolen_cpu: float = 0.0
    """Cores that worked, and that the hypervisor kept from us, while it ran."""
    failed: str | None = None
    """Why the viewer did not get in."""

    def note(self, notes: Mapping[str, Any], taught: Mapping[str, Any], began_ms: float) -> Self:
        """Take over what the two pages have noted."""

        def since(ms: float) -> float:
            return (ms - began_ms) / 1e3

        self.sound = [Sound(since(at), *rest) for at, *rest in notes["sound"]]
        self.camera = [Picture(since(at), *rest) for at, *rest in notes["camera"]]
        self.slides = [Picture(since(at), *rest) for at, *rest in notes["slides"]]
        self.said = [Said(since(at), label, text) for at, label, text in notes["said"]]
        self.tracks = [Sample(since(row["at"]), row) for row in notes["tracks"]]
        self.flips = [(page, since(at)) for page, at in taught["flips"]]
        drawn = enumerate(taught["cameraAt"])
        self.drawn = {number: since(at) for number, at in drawn if at is not None}
        return self
