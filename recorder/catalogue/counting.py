"""How many of what was found have which school, subject, grade ...: counted in memory.

A database counts by one column at a time, and reads all that was found for each of them: a third of
a second where 45,000 lessons have a word. Here each column is an array of small numbers, kept for
as long as nothing has changed that would be noticed, and ten seconds at most.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, func, select

from recorder.archive.details import FACETS
from recorder.catalogue.models import Lesson
from recorder.catalogue.search import FILTERS, Query

MOST_VALUES = 50
"""Values of a facet that are told, the most frequent ones."""
_NAMES = (*FILTERS, "lesson")
_LIFE = 10.0
"""Seconds: what another process changed of a lesson that was there is counted no later."""

Facets = dict[str, list[tuple[str, int]]]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Column:
    """The values of all lessons: which of the different ones each has."""

    values: list[str]
    codes: NDArray[np.int32]

    @classmethod
    def of(cls, values: Sequence[str]) -> "_Column":
        known: dict[str, int] = {}
        codes = [known.setdefault(value, len(known)) for value in values]
        return cls(list(known), np.array(codes, np.int32))

    def among(self, wanted: Sequence[str]) -> Mask:
        chosen = np.array([value in set(wanted) for value in self.values], np.bool_)
        return chosen[self.codes] if self.values else np.zeros(0, np.bool_)

    def count(self, mask: Mask) -> list[tuple[str, int]]:
        counts = np.bincount(self.codes[mask], minlength=len(self.values))
        found = [
            (value, int(count))
            for value, count in zip(self.values, counts, strict=True)
            if count and value
        ]
        return sorted(found, key=lambda counted: (-counted[1], counted[0]))[:MOST_VALUES]


@dataclass(frozen=True, slots=True)
class Columns:
    """All lessons, by number."""

    numbers: NDArray[np.int64]
    started_at: NDArray[np.float64]
    columns: dict[str, _Column]

    @classmethod
    def read(cls, connection: Connection) -> "Columns":
        """Raises DatabaseError."""
        wanted = [getattr(Lesson, name) for name in ("number", "started_at", *_NAMES)]
        rows = connection.execute(select(*wanted).order_by(Lesson.number)).all()
        numbers, started, *values = zip(*rows, strict=True) if rows else [()] * len(wanted)
        named = zip(_NAMES, map(_Column.of, values), strict=True)
        return cls(np.array(numbers, np.int64), np.array(started, np.float64), dict(named))

    def facets(self, query: Query, found: NDArray[np.int64] | None) -> Facets:
        """Of the lessons `found` (None: all), by each facet those that the other filters leave."""
        whole = self._within(query, found)
        masks = {name: self.columns[name].among(values) for name, values in query.filters.items()}
        told = {}
        for name in FACETS:
            mask = whole
            for other, chosen in masks.items():
                mask = mask if other == name else mask & chosen
            told[name] = self.columns[name].count(mask)
        return told

    def _within(self, query: Query, found: NDArray[np.int64] | None) -> Mask:
        mask = np.ones(len(self.numbers), np.bool_)
        if found is not None:
            mask = np.isin(self.numbers, found)
        if query.since is not None:
            mask &= self.started_at >= query.since
        if query.until is not None:
            mask &= self.started_at < query.until
        if query.lessons is not None:
            mask &= self.columns["lesson"].among(query.lessons)
        return mask


class Counting:
    """The columns as they are, read again when there is something new."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._columns: Columns | None = None
        self._version: tuple[Any, ...] = ()
        self._until = 0.0
        self._changes = 0

    def changed(self) -> None:
        """Something was written here."""
        self._changes += 1

    def columns(self, connection: Connection) -> Columns:
        """Raises DatabaseError."""
        numbers = func.count(), func.min(Lesson.number), func.max(Lesson.number)
        seen = connection.execute(select(*numbers).select_from(Lesson)).one()
        version = (self._changes, *seen)
        with self._lock:
            now = self._clock()
            if self._columns is None or version != self._version or now >= self._until:
                self._columns = Columns.read(connection)
                self._version, self._until = version, now + _LIFE
            return self._columns


def numbers_of(text: str | None) -> NDArray[np.int64]:
    """What `Index.together` tells."""
    return np.fromstring(text or "", np.int64, sep=",")
