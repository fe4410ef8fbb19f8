"""Where in a lesson's own words a search found something, cut out for a reader. Pure.

A passage's `parts` are the text in pieces: plain, found, plain, found ... (the first may be empty).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from recorder.archive.layout import Entry
from recorder.archive.talk import Message
from recorder.catalogue.words import Term, folded, plain

_NAMES = ("title", "lesson", "school", "subject", "grade", "teacher", "series")
_BEFORE, _WIDTH = 24, 120
"""Characters of a long text that are shown before what was found, and in all."""
_MESSAGES = 2
"""Messages that are shown of a lesson."""


@dataclass(frozen=True, slots=True)
class Passage:
    """Something that was found; `t` and `name` are a message's."""

    where: str
    """The name of the entry's field, or "chat"."""
    parts: tuple[str, ...]
    t: float | None = None
    name: str | None = None


def passages(entry: Entry, talk: Iterable[Message], terms: Sequence[Term]) -> list[Passage]:
    """All names that have one of the words, the beginning of the notes that do, some messages."""
    names = [(where, getattr(entry, where)) for where in _NAMES]
    names += [("tags", tag) for tag in entry.tags]
    found = []
    if _has("\n".join(name for _, name in names), terms):
        for where, name in names:
            if parts := marked(name, terms):
                found.append(Passage(where, parts))
    if parts := marked(entry.notes, terms, around=True):
        found.append(Passage("notes", parts))
    return [*found, *_messages(list(talk), terms)]


def marked(text: str, terms: Sequence[Term], *, around: bool = False) -> tuple[str, ...] | None:
    """The text in parts, or with `around` what is near the first find; None if nothing is found."""
    spans = _spans(text, terms) if _has(text, terms) else []
    if not spans:
        return None
    begin, end = (0, len(text))
    if around and len(text) > _WIDTH:
        begin = max(0, spans[0][0] - _BEFORE)
        end = min(len(text), begin + _WIDTH)
    parts, place = [], begin
    for start, stop in spans:
        if stop <= end:
            parts += [text[place:start], text[start:stop]]
            place = stop
    parts.append(text[place:end])
    if begin > 0:
        parts[0] = "…" + parts[0].lstrip()
    if end < len(text):
        parts[-1] = parts[-1].rstrip() + "…"
    return tuple(parts)


def _has(text: str, terms: Sequence[Term]) -> bool:
    """Whether to look closer: it costs little, and nearly all that is asked has none."""
    compared = folded(text)
    return any(term.text in compared for term in terms)


def _messages(talk: list[Message], terms: Sequence[Term]) -> list[Passage]:
    found: list[Passage] = []
    if not _has("\n".join(message.text for message in talk), terms):
        return found
    for message in talk:
        if len(found) == _MESSAGES:
            break
        if parts := marked(message.text, terms, around=True):
            found.append(Passage("chat", parts, message.t, message.name))
    return found


def _spans(text: str, terms: Sequence[Term]) -> list[tuple[int, int]]:
    """Where the words stand in the text as it is, in order, none overlapping."""
    pieces = list(map(_plain, text))
    compared = "".join(pieces)
    if max(map(len, pieces), default=1) == 1 == min(map(len, pieces), default=1):
        origin: Sequence[int] = range(len(text))
    else:
        origin = [place for place, piece in enumerate(pieces) for _ in piece]
    found = sorted(
        (origin[match.start()], origin[match.end() - 1] + 1)
        for term in terms
        for match in term.pattern().finditer(compared)
    )
    merged: list[tuple[int, int]] = []
    for start, stop in found:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged


@lru_cache(maxsize=8192)
def _plain(character: str) -> str:
    return plain(character)
