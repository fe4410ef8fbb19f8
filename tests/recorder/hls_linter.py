"""A linter of LL-HLS: what a server says and serves, against RFC 8216bis and against the media.

`Linter.see` takes one rendition's playlist again and again, as it grows, and raises AssertionError
where it breaks its word: a part that is too long, media that leave a hole, a flag that is wrong, a
hint that does not come true, a line that is taken back.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from tests.recorder import hls

Fetch = Callable[[str], bytes]

SYNC, NOT_SYNC = 0x02000000, 0x00010000
_TAGS = {
    "EXTM3U", "EXT-X-VERSION", "EXT-X-TARGETDURATION", "EXT-X-SERVER-CONTROL", "EXT-X-PART-INF",
    "EXT-X-MEDIA-SEQUENCE", "EXT-X-PLAYLIST-TYPE", "EXT-X-INDEPENDENT-SEGMENTS", "EXT-X-SKIP",
    "EXT-X-MAP", "EXT-X-PROGRAM-DATE-TIME", "EXT-X-PART", "EXTINF", "EXT-X-PRELOAD-HINT",
    "EXT-X-RENDITION-REPORT", "EXT-X-ENDLIST",
}  # fmt: skip
_ROUNDING = 2e-6
"""Seconds that a duration of six decimals may be off, and a sum of two."""


@dataclass(frozen=True)
class Part:
    uri: str
    duration: float
    independent: bool


@dataclass
class Segment:
    """A segment; without `uri` it is still open."""

    init: str = ""
    date: float | None = None
    parts: list[Part] = field(default_factory=list)
    uri: str = ""
    duration: float = 0.0


@dataclass
class Playlist:
    """A media playlist, parsed."""

    target: int = 0
    part_target: float = 0.0
    control: dict[str, str] = field(default_factory=dict)
    segments: list[Segment] = field(default_factory=list)
    skipped: int = 0
    open: Segment | None = None
    hint: str = ""
    reports: dict[str, tuple[int, int]] = field(default_factory=dict)
    ended: bool = False

    @property
    def last(self) -> tuple[int, int]:
        """What a rendition report should say: the newest segment and its newest part."""
        if self.open:
            return len(self.segments), len(self.open.parts) - 1
        return len(self.segments) - 1, len(self.segments[-1].parts) - 1


def parse(text: str) -> Playlist:
    """Read it line by line; every line must be one that we know."""
    lines = text.splitlines()
    assert lines[0] == "#EXTM3U"
    assert text.endswith("\n")
    found, segment, init = Playlist(), Segment(), ""
    for line in lines:
        tag, _, value = line.removeprefix("#").partition(":")
        assert not line.startswith("#") or tag in _TAGS, line
        match tag if line.startswith("#") else "":
            case "EXT-X-TARGETDURATION":
                found.target = int(value)
            case "EXT-X-PART-INF":
                found.part_target = float(_attributes(value)["PART-TARGET"])
            case "EXT-X-SERVER-CONTROL":
                found.control = _attributes(value)
            case "EXT-X-SKIP":
                found.skipped = int(_attributes(value)["SKIPPED-SEGMENTS"])
            case "EXT-X-MAP":
                init = _attributes(value)["URI"]
            case "EXT-X-PROGRAM-DATE-TIME":
                segment.date = datetime.fromisoformat(value).timestamp()
            case "EXT-X-PART":
                segment.parts.append(_part(_attributes(value)))
            case "EXTINF":
                segment.duration = float(value.removesuffix(","))
            case "EXT-X-PRELOAD-HINT":
                attributes = _attributes(value)
                assert attributes["TYPE"] == "PART"
                found.hint = attributes["URI"]
            case "EXT-X-RENDITION-REPORT":
                attributes = _attributes(value)
                place = int(attributes["LAST-MSN"]), int(attributes.get("LAST-PART", -1))
                assert min(place) >= 0 or "LAST-PART" not in attributes, line
                found.reports[attributes["URI"]] = place
            case "EXT-X-ENDLIST":
                found.ended = True
            case "":
                segment.uri, segment.init = line, init
                found.segments.append(segment)
                segment = Segment()
    if segment.parts:
        segment.init = init
        found.open = segment
    return found


class Linter:
    """Watches one rendition; `fetch` gives the bytes of a URI beside its playlist."""

    def __init__(self, fetch: Fetch, rate: int) -> None:
        self.parts_seen = 0
        self.deltas_seen = 0
        self._fetch = fetch
        self._rate = rate
        self._before: Playlist | None = None
        self._media: dict[str, _Media] = {}
        self._date_slack = 0.0011
        """Seconds: dates are told to the millisecond."""
        self._ends: dict[int, int] = {}
        """Where each closed segment ends, in ticks."""

    def see(self, text: str, delta: str | None = None) -> Playlist:
        """The playlist as it is now, and a delta of it."""
        playlist = parse(text)
        assert not playlist.skipped, "nobody asked for a delta"
        self._check_head(text, playlist)
        self._check_growth(playlist)
        for number, segment in enumerate(playlist.segments):
            self._check_segment(playlist, number, segment)
        if playlist.open:
            self._check_parts(playlist, len(playlist.segments), playlist.open)
        if delta is not None:
            self._check_delta(text, delta)
        self._before = playlist
        return playlist

    def judge(self, text: str) -> Playlist:
        """A rendition of an archive, which is whole: it makes no promises, and has an end."""
        playlist = parse(text)
        assert int(re.search(r"#EXT-X-VERSION:(\d+)", text)[1]) >= 6, "EXT-X-MAP is of version 6"
        assert "#EXT-X-INDEPENDENT-SEGMENTS\n" in text
        assert re.search(r"#EXT-X-PLAYLIST-TYPE:(EVENT|VOD)\n", text)
        assert text.endswith("#EXT-X-ENDLIST\n"), "it has no end: players wait for more"
        assert not playlist.control, "nobody serves an archive's playlist by parts"
        assert playlist.open is None
        assert (playlist.hint, playlist.skipped, playlist.reports) == ("", 0, {})
        assert playlist.segments, "it is empty"
        first = self._load(playlist.segments[0].uri).start
        assert first / self._rate < 0.02, "the clock begins at 0; a packet of silence is 20 ms"
        self._ends[-1] = first
        self._date_slack += first / self._rate
        for number, segment in enumerate(playlist.segments):
            assert not segment.parts
            self._check_segment(playlist, number, segment)
        return playlist

    def _check_head(self, text: str, playlist: Playlist) -> None:
        control = playlist.control
        assert int(re.search(r"#EXT-X-VERSION:(\d+)", text)[1]) >= 9
        assert "#EXT-X-INDEPENDENT-SEGMENTS\n" in text
        assert control["CAN-BLOCK-RELOAD"] == "YES"
        assert float(control["HOLD-BACK"]) >= 3 * playlist.target
        assert float(control["PART-HOLD-BACK"]) >= 3 * playlist.part_target - 1e-9
        assert float(control["CAN-SKIP-UNTIL"]) >= 6 * playlist.target
        assert playlist.ended or playlist.hint

    def _check_growth(self, playlist: Playlist) -> None:
        """What was said stays said; the hint of last time is a part now, if there is more."""
        before = self._before
        if before is None:
            return
        assert not before.ended or playlist.ended
        for old, new in zip(before.segments, playlist.segments, strict=False):
            same = (old.uri, old.init, old.duration, old.date)
            assert same == (new.uri, new.init, new.duration, new.date)
            assert new.parts in ([], old.parts), "parts go all at once"
        assert len(playlist.segments) >= len(before.segments)
        if before.open:
            after = [*playlist.segments, *([playlist.open] if playlist.open else [])]
            now = after[len(before.segments)]
            assert now.parts[: len(before.open.parts)] == before.open.parts or not now.parts
            assert now.date == before.open.date
        self._check_hint(before, playlist)

    def _check_hint(self, before: Playlist, playlist: Playlist) -> None:
        number = len(before.segments)
        known = len(before.open.parts) if before.open else 0
        grown = [*playlist.segments, *([playlist.open] if playlist.open else [])][number:]
        told = [part.uri for segment in grown for part in segment.parts]
        if len(told) > known:
            assert told[known] == before.hint or len(grown[0].parts) == known, before.hint

    def _check_segment(self, playlist: Playlist, number: int, segment: Segment) -> None:
        if number in self._ends and not segment.parts:
            return
        assert segment.init
        assert round(segment.duration) <= playlist.target
        media = self._load(segment.uri)
        assert media.start == self._ends.get(number - 1, 0), f"{segment.uri}: a hole before it"
        assert media.sync, f"{segment.uri} begins with no keyframe"
        assert abs(media.length / self._rate - segment.duration) < _ROUNDING
        if segment.parts:
            assert sum(part.duration for part in segment.parts) <= segment.duration + 1e-4
        if segment.parts and number not in self._ends:
            self._check_parts(playlist, number, segment)
            joined = b"".join(self._load(part.uri).data for part in segment.parts)
            assert media.data.startswith(joined), "the parts are not the segment"
            whole = abs(sum(part.duration for part in segment.parts) - segment.duration) < 1e-4
            assert whole == (joined == media.data)
        self._ends[number] = media.start + media.length
        if segment.date is not None:
            self._check_date(playlist, media, segment.date)

    def _check_date(self, playlist: Playlist, media: "_Media", date: float) -> None:
        zero = playlist.segments[0].date
        assert zero is not None
        assert abs(date - zero - media.start / self._rate) < self._date_slack

    def _check_parts(self, playlist: Playlist, number: int, segment: Segment) -> None:
        expected = self._ends.get(number - 1, 0)
        assert segment.parts[0].independent
        for index, part in enumerate(segment.parts):
            known = part.uri in self._media
            media = self._load(part.uri)
            assert media.start == expected, f"{part.uri}: a hole before it"
            expected = media.start + media.length
            assert part.duration <= playlist.part_target, f"{part.uri} is too long"
            assert abs(media.length / self._rate - part.duration) < _ROUNDING
            assert part.independent == media.sync, f"{part.uri}: INDEPENDENT is not true"
            if index < len(segment.parts) - 1:
                following = segment.parts[index + 1]
                long_enough = part.duration >= 0.85 * playlist.part_target
                # a sample that would not have fitted ends a part early
                tight = part.duration + following.duration > playlist.part_target
                assert long_enough or tight, f"{part.uri} is too short"
            self.parts_seen += not known

    def _check_delta(self, text: str, delta: str) -> None:
        skipped = parse(delta).skipped
        if not skipped:
            assert delta == text
            return
        self.deltas_seen += 1
        assert len(delta) < len(text)
        head, rest = delta.split(f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}\n")
        assert text.startswith(head), "a delta has the same head"
        assert text.endswith(rest), "a delta is the end of the whole"
        gone = text[len(head) : len(text) - len(rest)]
        assert gone.count("#EXTINF:") == skipped
        assert not gone or gone.splitlines()[-1].endswith(".m4s"), "whole segments are skipped"
        kept = sum(segment.duration for segment in parse(delta).segments)
        assert kept + 0.001 >= float(parse(text).control["CAN-SKIP-UNTIL"])

    def _load(self, uri: str) -> "_Media":
        if uri not in self._media:
            self._media[uri] = _Media(self._fetch(uri))
        return self._media[uri]


def check_reports(playlists: dict[str, Playlist]) -> None:
    """Playlists of one moment, by rendition: each tells of the others, and tells the truth."""
    for name, playlist in playlists.items():
        if playlist.ended:
            continue
        others = {f"../{other}/index.m3u8" for other in playlists if other != name}
        assert set(playlist.reports) == others
        for other, found in playlists.items():
            if other != name:
                assert playlist.reports[f"../{other}/index.m3u8"] == found.last


class _Media:
    """Chunks in a row: where they start, how long they are, and if a decoder can begin there."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.start = self.length = -1
        for name, body in hls.boxes(data):
            assert name in ("moof", "mdat")
            if name == "moof":
                self._add(dict(hls.boxes(dict(hls.boxes(body))["traf"])))
        assert self.length > 0

    def _add(self, traf: dict[str, bytes]) -> None:
        start = hls.decode_time(traf["tfdt"])
        if self.start < 0:
            self.start, self.length = start, 0
            self.sync = not _first_flags(traf["tfhd"], traf["trun"]) & NOT_SYNC
        assert start == self.start + self.length, "a hole between chunks"
        self.length += hls.length(traf["tfhd"], traf["trun"])


def _first_flags(tfhd: bytes, trun: bytes) -> int:
    """The flags of a run's first sample: its own, or those of all (ISO/IEC 14496-12, 8.8.8)."""
    flags, count = struct.unpack_from(">II", trun)
    assert count > 0
    at = 8 + (4 if flags & 0x1 else 0)
    if flags & 0x4:
        return int(struct.unpack_from(">I", trun, at)[0])
    if flags & 0x400:
        before = 4 * sum(bool(flags & bit) for bit in (0x100, 0x200))
        return int(struct.unpack_from(">I", trun, at + before)[0])
    of_all = int.from_bytes(tfhd[:4], "big")
    if not of_all & 0x20:
        return SYNC  # as moov says, where only sound leaves it
    before = sum(size for bit, size in ((0x1, 8), (0x2, 4), (0x8, 4), (0x10, 4)) if of_all & bit)
    return int(struct.unpack_from(">I", tfhd, 8 + before)[0])


def _part(attributes: dict[str, str]) -> Part:
    assert attributes.keys() <= {"DURATION", "URI", "INDEPENDENT"}
    independent = attributes.get("INDEPENDENT") == "YES"
    return Part(attributes["URI"], float(attributes["DURATION"]), independent)


def _attributes(text: str) -> dict[str, str]:
    found = re.findall(r'([A-Z-]+)=("[^"]*"|[^",]*)(?:,|$)', text)
    return {name: value.strip('"') for name, value in found}
