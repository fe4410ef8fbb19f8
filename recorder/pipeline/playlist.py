"""HLS playlists (RFC 8216) as text. Pure.

The playlist is EVENT from the first segment on, so that a live lesson can be rewound to its start,
and gets ENDLIST at the bell. All tracks of a lesson are on one clock that starts at 0 and has no
holes, so a change of parameters is a new EXT-X-MAP *without* EXT-X-DISCONTINUITY: the clock goes
on. A discontinuity (which RFC 8216, 4.3.2.3 asks for where timestamps break, and only suggests
where parameters change) would have to stand at the same place in the shared audio and in every
other view, else players cannot match them.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

TARGET_SECONDS = 6
"""EXT-X-TARGETDURATION: a segment of under 2 s plus one more GOP of 4 s. Grows if a publisher
ignores the requests for keyframes."""

_AUDIO_GROUP = "audio"

_OPUS = re.compile(r'(?<=[",])opus(?=[",])')


@dataclass(frozen=True, slots=True)
class Segment:
    """One media segment; `init` is the EXT-X-MAP it needs, times in seconds of the lesson."""

    uri: str
    init: str
    start: float
    duration: float
    size: int

    @property
    def bits_per_second(self) -> float:
        """Its bit rate."""
        return self.size * 8 / self.duration if self.duration > 0 else 0.0


@dataclass(slots=True)
class MediaPlaylist:
    """A growing media playlist; `zero` is the Unix time of lesson time 0."""

    zero: float
    ended: bool = False
    count: int = 0
    duration: float = 0.0
    size: int = 0
    peak: float = 0.0
    """Bits per second of the fullest segment of at least half a second."""
    target: int = TARGET_SECONDS
    _init: str = ""
    _lines: list[str] = field(default_factory=list)
    _ends: list[int] = field(default_factory=list)
    """How many lines there were with each segment."""

    def append(self, segment: Segment) -> None:
        """Add the segment that follows the last."""
        if segment.init != self._init:
            self._init = segment.init
            self._lines.append(f'#EXT-X-MAP:URI="{segment.init}"')
            self._lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{date_time(self.zero + segment.start)}")
        self._lines.append(f"#EXTINF:{segment.duration:.6f},")
        self._lines.append(segment.uri)
        self._ends.append(len(self._lines))
        self.count += 1
        self.duration += segment.duration
        self.size += segment.size
        self.target = max(self.target, round(segment.duration))
        if segment.duration >= 0.5:
            self.peak = max(self.peak, segment.bits_per_second)

    def render(self) -> str:
        """The playlist file."""
        head = [
            "#EXTM3U",
            "#EXT-X-VERSION:7",
            f"#EXT-X-TARGETDURATION:{self.target}",
            "#EXT-X-MEDIA-SEQUENCE:0",
            "#EXT-X-PLAYLIST-TYPE:EVENT",
            "#EXT-X-INDEPENDENT-SEGMENTS",
        ]
        tail = ["#EXT-X-ENDLIST"] if self.ended else []
        return "\n".join([*head, *self._lines, *tail, ""])

    def growth(self, listed: int) -> str:
        """What `render` gives beyond what it gave with so many segments and the same target."""
        return "\n".join([*self._lines[self._ends[listed - 1] :], ""])

    @property
    def average(self) -> float:
        """Bits per second over all of it."""
        return self.size * 8 / self.duration if self.duration > 0 else 0.0


class Measured(Protocol):
    """What a master playlist must know of a media playlist; rates in bits per second."""

    ended: bool

    @property
    def peak(self) -> float:
        """Of the fullest segment so far."""

    @property
    def average(self) -> float:
        """Over all of it."""


@dataclass(frozen=True, slots=True)
class Stream:
    """What a master playlist says of one rendition."""

    uri: str
    codec: str
    playlist: Measured
    width: int = 0
    height: int = 0


def master(video: Stream | None, audio: Stream | None) -> str:
    """A view's master playlist: its video with the lesson's audio; or the audio alone.

    A view has a variant without pictures, for links that do not carry them. The peak bit rate is
    what was measured so far; the average is told once all is known.
    """
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS"]
    group = []
    if video is not None and audio is not None:
        group = [f'AUDIO="{_AUDIO_GROUP}"']
        lines.append(
            f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="{_AUDIO_GROUP}",NAME="microphone",'
            f'DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="{audio.uri}"'
        )
    if video is not None:
        size = [f"RESOLUTION={video.width}x{video.height}"]
        lines += _variant([video, *([audio] if audio else [])], [*size, *group])
    if audio is not None:
        lines += _variant([audio], group)
    return "\n".join([*lines, ""])


def _variant(streams: list[Stream], more: list[str]) -> list[str]:
    attributes = [
        f"BANDWIDTH={round(sum(stream.playlist.peak for stream in streams))}",
        f'CODECS="{",".join(stream.codec for stream in streams)}"',
    ]
    if all(stream.playlist.ended for stream in streams):
        average = sum(stream.playlist.average for stream in streams)
        attributes.append(f"AVERAGE-BANDWIDTH={round(average)}")
    return [f"#EXT-X-STREAM-INF:{','.join([*attributes, *more])}", streams[0].uri]


def for_safari(text: str) -> str:
    """A master playlist that names Opus by its MP4 object type, as only Safari wants it."""
    return _OPUS.sub("mp4a.ad", text)


def segments_listed(text: str) -> int:
    """How many segments a media playlist names."""
    return sum(line.startswith("#EXTINF:") for line in text.splitlines())


def end(text: str) -> str:
    """The playlist with ENDLIST at its end: players hang on one that never ends."""
    return text if "#EXT-X-ENDLIST" in text else text.rstrip("\n") + "\n#EXT-X-ENDLIST\n"


def date_time(unix: float) -> str:
    """ISO 8601 in UTC, with milliseconds, as EXT-X-PROGRAM-DATE-TIME wants it."""
    moment = datetime.fromtimestamp(unix, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
