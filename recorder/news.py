"""What the worker tells the node of a lesson while it is live: one JSON object a line.

The worker writes these between the lines of its state (`recorder.worker`), which never begin with
a brace. A worker that replays a journal tells everything again; who listens knows what is new.
Numbers of segments and parts begin at 0; times are seconds of the lesson.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from recorder.errors import RecorderError


class NewsError(RecorderError):
    """A line that is no news of ours."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A rendition begins, or goes on with another init segment."""

    lesson: str
    rendition: str
    init: str
    """The name of the init segment, in the rendition's folder."""
    codec: str
    """As RFC 6381 writes it."""
    zero: float
    """Unix time of lesson time 0."""
    part_target: float
    width: int = 0
    height: int = 0


class Part(NamedTuple):
    """A part is on disk: `size` bytes at `offset` of its segment's file."""

    lesson: str
    rendition: str
    segment: int
    number: int
    offset: int
    size: int
    duration: float
    independent: bool


@dataclass(frozen=True, slots=True)
class Closed:
    """A segment is whole."""

    lesson: str
    rendition: str
    segment: int
    uri: str
    size: int
    start: float
    duration: float


@dataclass(frozen=True, slots=True)
class Ended:
    """The lesson can be played to its end: nothing follows."""

    lesson: str


News = Opened | Part | Closed | Ended

_KINDS: dict[str, type[News]] = {
    "opened": Opened,
    "part": Part,
    "closed": Closed,
    "ended": Ended,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def encode(news: News) -> str:
    """The line, without its end."""
    if isinstance(
        news, Part
    ):  # five a second of each rendition: json would cost three times as much
        return (
            f'{{"news":"part","lesson":"{news.lesson}","rendition":"{news.rendition}",'
            f'"segment":{news.segment},"number":{news.number},"offset":{news.offset},'
            f'"size":{news.size},"duration":{news.duration!r},'
            f'"independent":{"true" if news.independent else "false"}}}'
        )
    return json.dumps({"news": _NAMES[type(news)], **asdict(news)}, separators=(",", ":"))


def decode(line: str) -> News:
    """What a line says. Raises NewsError."""
    try:
        value: dict[str, Any] = json.loads(line)
        return _KINDS[value.pop("news")](**value)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NewsError(f"a line of the recorder makes no sense: {error}") from error
