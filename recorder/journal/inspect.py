"""What a journal holds, counted record by record; and what it lacks.

A gap is `loss` where sequence numbers are missing, however late the packets before and behind it
came, and `silence` where none are missing but nothing came for a second: muted, or DTX.
"""

import json
import struct
from array import array
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from recorder.journal.read import (
    END,
    EVENT,
    RTP,
    SENDER_REPORT,
    OnProgress,
    Report,
    read_items,
    segments,
)
from recorder.pipeline.follow import is_locked
from sfu._media import Damage, RawRecord

SILENCE_US = 1_000_000
"""So long without packets is told."""
MAX_GAPS = 1_000
"""Gaps of a track that are told; all are counted."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of a track without media."""

    at_s: float
    """Since the journal's first record."""
    seconds: float
    packets: int
    """How many are missing."""
    reason: str
    """loss or silence."""


@dataclass(slots=True)
class TrackFacts:
    """A track of a journal. Times are seconds since the journal's first record."""

    track: int
    kind: str = ""
    source: str = ""
    codec: str = ""
    clock_rate: int = 0
    identity: str = ""
    role: str = ""
    ssrcs: list[int] = field(default_factory=list)
    packets: int = 0
    bytes: int = 0
    """Of payload."""
    lost: int = 0
    repeated: int = 0
    late: int = 0
    """Packets that stand behind later ones."""
    reports: int = 0
    measured_rate: float | None = None
    """Ticks of the RTP clock a second of the publisher's, from the first report to the last."""
    first_s: float | None = None
    last_s: float | None = None
    gaps: list[Gap] = field(default_factory=list)


@dataclass(slots=True)
class SegmentFacts:
    """A file of a journal."""

    segment: int
    bytes: int
    records: int = 0
    damaged: int = 0
    """Bytes that are no records."""


@dataclass(slots=True)
class JournalFacts:
    """All of it; `dataclasses.asdict` makes it JSON."""

    path: str
    state: str
    """live (somebody writes it), ended (in good order) or abandoned."""
    began_us: int | None = None
    """Arrival of the first record, Unix microseconds."""
    seconds: float = 0.0
    records: int = 0
    bytes: int = 0
    segments: list[SegmentFacts] = field(default_factory=list)
    tracks: list[TrackFacts] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    """Each as it was written, with `at_s`."""
    event_counts: dict[str, int] = field(default_factory=dict)
    damage: list[dict[str, int]] = field(default_factory=list)
    """Stretches that are no records: segment, offset, bytes; 0 bytes is a segment missing."""


def inspect(journal: Path, on_progress: OnProgress = lambda done: None) -> JournalFacts:
    """Read it all. Raises JournalError."""
    examiner = _Examiner(journal)
    for item in read_items(journal, on_progress):
        examiner.handle(item)
    return examiner.facts()


class _Examiner:
    def __init__(self, journal: Path) -> None:
        live = is_locked(journal)  # before reading: what is written meanwhile is no matter
        self._facts = JournalFacts(str(journal), "live" if live else "abandoned")
        self._segments = {n: SegmentFacts(n, size) for n, size in segments(journal).items()}
        self._tracks: dict[int, _Track] = {}
        self._last_us = 0

    def handle(self, item: RawRecord | Damage) -> None:
        facts = self._segments.setdefault(item.segment, SegmentFacts(item.segment, 0))
        if isinstance(item, Damage):
            facts.damaged += item.bytes
            stretch = {"segment": item.segment, "offset": item.offset, "bytes": item.bytes}
            self._facts.damage.append(stretch)
            return
        facts.records += 1
        self._facts.records += 1
        if self._facts.began_us is None:
            self._facts.began_us = item.arrival_us
        self._last_us = max(self._last_us, item.arrival_us)
        if item.kind == EVENT:
            self._event(item)
        elif item.kind == RTP:
            self._track(item.track).packet(item)
        elif item.kind == SENDER_REPORT:
            self._track(item.track).report(item)
        elif item.kind == END and self._facts.state == "abandoned":
            self._facts.state = "ended"

    def facts(self) -> JournalFacts:
        began = self._facts.began_us or 0
        self._facts.seconds = round(max(0, self._last_us - began) / 1e6, 3)
        self._facts.segments = sorted(self._segments.values(), key=lambda s: s.segment)
        self._facts.bytes = sum(segment.bytes for segment in self._facts.segments)
        self._facts.tracks = [track.facts(began) for _, track in sorted(self._tracks.items())]
        counts = Counter(str(event.get("type", "?")) for event in self._facts.events)
        self._facts.event_counts = dict(sorted(counts.items()))
        return self._facts

    def _event(self, record: RawRecord) -> None:
        at_s = round((record.arrival_us - (self._facts.began_us or 0)) / 1e6, 3)
        try:
            event = json.loads(record.body)
        except ValueError:
            event = None
        if not isinstance(event, dict):
            event = {"type": "?", "text": record.body.decode(errors="replace")}
        self._facts.events.append({"at_s": at_s, **event})
        if event.get("type") == "track_published" and isinstance(event.get("track"), int):
            self._track(event["track"]).published(event)

    def _track(self, number: int) -> "_Track":
        return self._tracks.setdefault(number, _Track(number))


class _Track:
    def __init__(self, number: int) -> None:
        self._facts = TrackFacts(number)
        self._sequences = array("q")
        self._arrivals = array("q")
        self._newest: int | None = None
        self._reports: tuple[tuple[Report, int], tuple[Report, int]] | None = None

    def published(self, event: dict[str, Any]) -> None:
        facts = self._facts
        facts.kind, facts.source = str(event.get("kind", "")), str(event.get("source", ""))
        facts.codec = str(event.get("codec", ""))
        rate = event.get("clock_rate")
        facts.clock_rate = rate if isinstance(rate, int) else 0
        facts.identity, facts.role = str(event.get("identity", "")), str(event.get("role", ""))

    def packet(self, record: RawRecord) -> None:
        sequence, _, ssrc = struct.unpack_from(">HII", record.body, 2)
        if ssrc not in self._facts.ssrcs:
            self._facts.ssrcs.append(ssrc)
        self._facts.packets += 1
        self._facts.bytes += len(record.body) - 12
        # In 64 bits, by its distance from the newest (RFC 3550, A.1).
        newest = sequence if self._newest is None else self._newest
        extended = newest + (sequence - newest + 0x8000) % 0x10000 - 0x8000
        self._facts.late += extended < newest
        self._newest = max(newest, extended)
        self._sequences.append(extended)
        self._arrivals.append(record.arrival_us)

    def report(self, record: RawRecord) -> None:
        self._facts.reports += 1
        told = (Report.parse(record.body), record.arrival_us)
        self._reports = (self._reports[0] if self._reports else told, told)

    def facts(self, began_us: int) -> TrackFacts:
        if self._facts.packets:
            self._measure(began_us)
        if self._reports:
            self._facts.measured_rate = _rate(self._reports[0][0], self._reports[1][0])
        return self._facts

    def _measure(self, began_us: int) -> None:
        facts = self._facts
        sequences, arrivals = np.array(self._sequences), np.array(self._arrivals)
        facts.first_s = round((int(arrivals.min()) - began_us) / 1e6, 3)
        facts.last_s = round((int(arrivals.max()) - began_us) / 1e6, 3)
        order = np.lexsort((arrivals, sequences))
        sequences, arrivals = sequences[order], np.maximum.accumulate(arrivals[order])
        missing, pauses = np.diff(sequences) - 1, np.diff(arrivals)
        facts.repeated = int((missing < 0).sum())
        facts.lost = int(missing[missing > 0].sum())
        for at in np.flatnonzero((missing > 0) | (pauses >= SILENCE_US))[:MAX_GAPS]:
            reason = "loss" if missing[at] > 0 else "silence"
            at_s = round((int(arrivals[at]) - began_us) / 1e6, 3)
            seconds = round(int(pauses[at]) / 1e6, 3)
            facts.gaps.append(Gap(at_s, seconds, max(0, int(missing[at])), reason))


def _rate(first: Report, last: Report) -> float | None:
    """Ticks a second; None where the reports are not a second apart."""
    seconds = (last.ntp - first.ntp) / 2**32
    return round((last.rtp - first.rtp) % 2**32 / seconds, 2) if seconds >= 1 else None
