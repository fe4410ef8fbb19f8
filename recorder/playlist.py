"""HLS playlists (RFC 8216) as text. Pure.

The playlist is EVENT from the first segment on, so that a live lesson can be rewound to its start,
and gets ENDLIST at the bell. All tracks of a lesson are on one clock that starts at 0 and has no
holes, so a change of parameters is a new EXT-X-MAP *without* EXT-X-DISCONTINUITY: the clock goes
on. A discontinuity (which RFC 8216, 4.3.2.3 asks for where timestamps break, and only suggests
where parameters change) would have to stand at the same place in the shared audio and in every
other view, else players cannot match them.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime

TARGET_SECONDS = 6
"""EXT-X-TARGETDURATION: a segment of under 2 s plus one more GOP of 4 s. Grows if a publisher
ignores the requests for keyframes."""

_AUDIO_GROUP = "audio"


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

    def append(self, segment: Segment) -> None:
        """Add the segment that follows the last."""
        if segment.init != self._init:
            self._init = segment.init
            self._lines.append(f'#EXT-X-MAP:URI="{segment.init}"')
            self._lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{_date_time(self.zero + segment.start)}")
        self._lines.append(f"#EXTINF:{segment.duration:.6f},")
        self._lines.append(segment.uri)
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

    @property
    def average(self) -> float:
        """Bits per second over all of it."""
        return self.size * 8 / self.duration if self.duration > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Stream:
    """What a master playlist says of one rendition."""

    uri: str
    codec: str
    playlist: MediaPlaylist
    width: int = 0
    height: int = 0


def master(video: Stream | None, audio: Stream | None) -> str:
    """A view's master playlist: its video with the lesson's audio; or the audio alone.

    The peak bit rate is what was measured so far; the average is told once all is known.
    """
    streams = [stream for stream in (video, audio) if stream is not None]
    attributes = [
        f"BANDWIDTH={round(sum(stream.playlist.peak for stream in streams))}",
        f'CODECS="{",".join(stream.codec for stream in streams)}"',
    ]
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS"]
    if all(stream.playlist.ended for stream in streams):
        average = sum(stream.playlist.average for stream in streams)
        attributes.append(f"AVERAGE-BANDWIDTH={round(average)}")
    if video is not None:
        attributes.append(f"RESOLUTION={video.width}x{video.height}")
    if video is not None and audio is not None:
        attributes.append(f'AUDIO="{_AUDIO_GROUP}"')
        lines.append(
            f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="{_AUDIO_GROUP}",NAME="microphone",'
            f'DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="{audio.uri}"'
        )
    lines += [f"#EXT-X-STREAM-INF:{','.join(attributes)}", streams[0].uri, ""]
    return "\n".join(lines)


def segments_listed(text: str) -> int:
    """How many segments a media playlist names."""
    return sum(line.startswith("#EXTINF:") for line in text.splitlines())


def end(text: str) -> str:
    """The playlist with ENDLIST at its end: players hang on one that never ends."""
    return text if "#EXT-X-ENDLIST" in text else text.rstrip("\n") + "\n#EXT-X-ENDLIST\n"


def _date_time(unix: float) -> str:
    moment = datetime.fromtimestamp(unix, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
