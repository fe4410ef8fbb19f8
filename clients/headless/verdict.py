"""What a selftest must show: its figures and when they are good enough. Pure."""

import json
import math
from dataclasses import asdict, dataclass, field

from clients.headless.demo_media import CAMERA_RATE, SECONDS
from clients.headless.replay import Seen

_PACKETS_PER_SECOND = 50  # of sound: Opus in 20 ms packets

# What must hold, and why so much and not more.
MIN_SHARE = 0.95
"""Of the pictures and sound packets due while a school watched: its last ones are on the way."""
MAX_ABSENCE_S = 6.0
"""What a school may miss of the lesson: starting its Python takes seconds on a slow machine."""
MAX_FIRST_FRAME_MS = 3000
"""The file has a keyframe every second and cannot be asked for one; the rest is the handshake."""
MAX_DURATION_ERROR_S = 1.0
"""Of the archive against the time taught."""
MAX_UNRECORDED_FRAMES = 5
"""Sent in the moment of the bell. All others must be there, in order and once."""
MAX_SKEW_MS = 40.0
"""Late sound is noticed from 45 ms on (ITU-R BT.1359)."""
MAX_PLAYABLE_MS = 5000
"""After the bell: "a few seconds"."""


@dataclass(frozen=True)
class School:
    """What one school saw; the names are those of the JSON."""

    video_frames: int
    audio_packets: int
    lost: int
    first_frame_ms: int | None


@dataclass(frozen=True)
class Archive:
    """What the archive gave; the names are those of the JSON."""

    playable_after_ms: int
    duration_s: float
    video_frames: int
    av_skew_ms: float | None


@dataclass(frozen=True)
class Journal:
    """What the recorder read; the names are those of the JSON."""

    bytes: int
    errors: int


@dataclass
class Result:
    """The outcome: `problems` is empty when all holds."""

    schools: list[School]
    archive: Archive
    journal: Journal
    problems: list[str] = field(default_factory=list)

    def as_json(self) -> str:
        """The one line."""
        measured = asdict(self)
        problems = measured.pop("problems")
        shown = {"ok": not problems, **measured}
        return json.dumps({**shown, "problems": problems} if problems else shown)


@dataclass(frozen=True)
class Taught:
    """What the teacher did."""

    lesson_id: str
    seconds: float
    frames: int
    ended_at: float  # monotonic seconds: the bell


def judge_school(school: School, watched_s: float, taught: Taught) -> list[str]:
    """What is wrong with what a school saw."""
    problems = []
    frames_due = math.floor(MIN_SHARE * CAMERA_RATE * watched_s)
    packets_due = math.floor(MIN_SHARE * _PACKETS_PER_SECOND * watched_s)
    if school.first_frame_ms is None:
        return ["A school saw no picture."]
    if school.first_frame_ms > MAX_FIRST_FRAME_MS:
        problems.append(f"A school waited {school.first_frame_ms} ms for its first picture.")
    if watched_s < taught.seconds - MAX_ABSENCE_S:
        problems.append(f"A school saw {watched_s:.1f} s of {taught.seconds:.1f} s.")
    if school.video_frames < frames_due:
        problems.append(f"A school decoded {school.video_frames} pictures; {frames_due} were due.")
    if school.audio_packets < packets_due:
        problems.append(f"A school heard {school.audio_packets} packets; {packets_due} were due.")
    if school.lost:
        problems.append(f"A school lost {school.lost} packets on a path within this machine.")
    return problems


def judge_archive(archive: Archive, state: str, seen: Seen, taught: Taught) -> list[str]:
    """What is wrong with the archive."""
    problems = []
    if state != "complete":
        problems.append(f"The archive is {state}, not complete.")
    if archive.playable_after_ms > MAX_PLAYABLE_MS:
        problems.append(f"The archive was playable only after {archive.playable_after_ms} ms.")
    if abs(archive.duration_s - taught.seconds) > MAX_DURATION_ERROR_S:
        problems.append(f"The archive has {archive.duration_s:.1f} s of {taught.seconds:.1f} s.")
    if archive.video_frames < taught.frames - MAX_UNRECORDED_FRAMES:
        problems.append(f"The archive has {archive.video_frames} of {taught.frames} pictures.")
    if (wrong := _first_wrong(seen.taught)) is not None:
        problems.append(f"Picture {wrong} of the archive is not the one that was sent.")
    if archive.av_skew_ms is None:
        problems.append("The archive's flashes and tones were not found.")
    elif abs(archive.av_skew_ms) > MAX_SKEW_MS:
        problems.append(f"Sound and picture are {archive.av_skew_ms:.0f} ms apart in the archive.")
    return problems


def judge_journal(journal: Journal) -> list[str]:
    """What is wrong with the journal."""
    if not journal.bytes:
        return ["The journal is empty."]
    return [f"The journal has {journal.errors} damaged records."] if journal.errors else []


def _first_wrong(numbers: list[int | None]) -> int | None:
    """The place of the first picture that is not the successor of the one before it."""
    rounds = round(SECONDS * CAMERA_RATE)
    expected = numbers[0] if numbers else 0
    for place, number in enumerate(numbers):
        if number is None or number != expected:
            return place
        expected = (number + 1) % rounds
    return None
