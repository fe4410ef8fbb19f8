"""Chapters of a lesson, from its slides and from what happened in it. Pure."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from recorder.archive.extras.webvtt import Cue, render

MOST = 500
"""Chapters of one lesson; further ones are left out, the last ones first."""

_APART = 4.0  # seconds between two chapters of a kind
_BREAK = 60.0  # seconds without the teacher that are worth a chapter
_FLOOR = "floor_granted"


@dataclass(frozen=True, slots=True)
class Happening:
    """An event of the lesson's journal, at `at` lesson seconds."""

    at: float
    event: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Chapter:
    """A part of a lesson, from `start` to `end` lesson seconds."""

    start: float
    end: float
    kind: str
    """start, slide, floor (a school has it, `title` is its name), break or end."""
    title: str
    number: int | None = None
    """Of a slide: the how many-th it is."""
    thumbnail: dict[str, Any] | None = None
    """Its picture: `file` (path in the media folder), and there `x`, `y`, `w`, `h`."""

    @property
    def identifier(self) -> str:
        """The WebVTT cue identifier by which a page can say the title in its own language."""
        return self.kind if self.number is None else f"{self.kind}-{self.number}"


def chapters(
    duration: float,
    title: str,
    slides: Sequence[float],
    happenings: Iterable[Happening],
    gaps: Iterable[dict[str, Any]] = (),
) -> list[Chapter]:
    """All chapters, in order, without holes from 0 to `duration`.

    `slides` are the times at which another slide appeared; `gaps` those of the manifest.
    """
    found = [Chapter(0.0, 0.0, "start", title or "Start")]
    found += [
        Chapter(at, 0.0, "slide", f"Slide {number}", number)
        for number, at in enumerate(slides, 2)
        if 0 < at < duration
    ]
    found += _floors(happenings, duration)
    found += _breaks(gaps, duration)
    found.sort(key=lambda chapter: chapter.start)
    kept = _apart(found)[:MOST]
    ends = [*(chapter.start for chapter in kept[1:]), duration]
    return [
        replace(chapter, end=max(end, chapter.start))
        for chapter, end in zip(kept, ends, strict=True)
    ]


def webvtt(found: Iterable[Chapter]) -> str:
    """The chapters as WebVTT (what `<track kind="chapters">` takes)."""
    return render(
        [Cue(chapter.start, chapter.end, chapter.title, chapter.identifier) for chapter in found]
    )


def as_json(found: Iterable[Chapter]) -> str:
    """The chapters with all that is known of them."""
    value = {"version": 1, "chapters": [asdict(chapter) for chapter in found]}
    return json.dumps(value, ensure_ascii=False, indent=1)


def _floors(happenings: Iterable[Happening], duration: float) -> list[Chapter]:
    """Each time that a school was given the floor."""
    names: dict[str, str] = {}
    found = []
    for happening in happenings:
        event = happening.event
        who = str(event.get("identity", ""))
        if isinstance(event.get("name"), str) and event["name"]:
            names[who] = event["name"]
        if event.get("type") == _FLOOR and 0 <= happening.at < duration:
            found.append(Chapter(happening.at, 0.0, "floor", names.get(who) or who or "?"))
    return found


def _breaks(gaps: Iterable[dict[str, Any]], duration: float) -> list[Chapter]:
    """Where the teacher's sound was away for long."""
    return [
        Chapter(gap["start_s"], 0.0, "break", "Break")
        for gap in gaps
        if gap["source"] == "audio"
        and gap["reason"] == "away"
        and gap["duration_s"] >= _BREAK
        and gap["start_s"] < duration
    ]


def _apart(found: list[Chapter]) -> list[Chapter]:
    """Without those that follow too soon on one of the same kind (and the same title)."""
    kept: list[Chapter] = []
    last: dict[tuple[str, str], float] = {}
    for chapter in found:
        key = chapter.kind, chapter.title if chapter.kind == "floor" else ""
        if chapter.start - last.get(key, -_APART) >= _APART:
            kept.append(chapter)
            last[key] = chapter.start
    return kept
