"""WebVTT (W3C) as text. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cue:
    """Text from `start` to `end` seconds."""

    start: float
    end: float
    text: str
    identifier: str = ""


def render(cues: Iterable[Cue]) -> str:
    """The file. What no cue may hold (`-->`, empty lines, markup) is replaced or escaped."""
    blocks = ["WEBVTT\n"]
    for cue in cues:
        head = f"{_one_line(cue.identifier)}\n" if cue.identifier else ""
        times = f"{_time(cue.start)} --> {_time(cue.end)}"
        blocks.append(f"{head}{times}\n{_escaped(_one_line(cue.text))}\n")
    return "\n".join(blocks)


def _time(seconds: float) -> str:
    milliseconds = max(0, round(seconds * 1000))
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("-->", "->")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
