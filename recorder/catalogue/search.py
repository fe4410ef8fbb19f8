"""What is asked of the catalogue, and how the database is asked.

The best come first: lessons that have all words in their title or name, then those that need
school, teacher and the like, then those that need notes or chat; in each the newest first. Each
kind is counted and paged by itself, so that no page, however deep, has all that was found sorted.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select

from recorder.archive.details import FACETS
from recorder.archive.layout import Entry
from recorder.catalogue.index import Index, Scope
from recorder.catalogue.marks import Passage
from recorder.catalogue.models import Lesson
from recorder.catalogue.words import Term, terms

FILTERS = (*FACETS, "state")
"""What lessons are chosen by, besides words and dates."""


class Sort(StrEnum):
    """Which lessons come first."""

    BEST = "best"
    NEWEST = "newest"
    OLDEST = "oldest"
    LONGEST = "longest"


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for."""

    words: str = ""
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By a name of FILTERS: one of these values."""
    since: float | None = None
    """Begun at this time or later, Unix seconds; `until`: before this."""
    until: float | None = None
    lessons: Sequence[str] | None = None
    """Only those of these names; None for all."""
    sort: Sort = Sort.BEST
    limit: int = 100
    offset: int = 0
    facets: bool = False


@dataclass(frozen=True, slots=True)
class Numbers:
    """What was found: a page of lessons' numbers, how many there are in all, and by which words."""

    page: list[int]
    total: int
    terms: list[Term]


@dataclass(frozen=True, slots=True)
class Hit:
    """A lesson that was found, and where its words have what was looked for."""

    entry: Entry
    passages: list[Passage]


def find(connection: Connection, index: Index, query: Query) -> Numbers:
    """Look for it."""
    wanted = terms(query.words)
    if is_vain(query):
        return Numbers([], 0, wanted)
    chosen = _Chosen(index, wanted, query)
    total = chosen.count(connection, Scope.ALL)
    page = chosen.page(connection) if total > query.offset else []
    return Numbers(page, total, wanted)


def numbers(index: Index, query: Query) -> Select[Any] | None:
    """All lessons that have the words, whatever else is demanded; None when there are none."""
    wanted = terms(query.words)
    return index.matching(wanted, Scope.ALL) if wanted else None


def is_vain(query: Query) -> bool:
    """Whether it asks for nothing but signs: no lesson has them."""
    return bool(query.words.strip()) and not terms(query.words)


class _Chosen:
    """The lessons that a query means."""

    def __init__(self, index: Index, wanted: list[Term], query: Query) -> None:
        self._index = index
        self._terms = wanted
        self._query = query
        self._conditions = list(_conditions(query))

    def count(self, connection: Connection, scope: Scope, without: Scope | None = None) -> int:
        """How many there are."""
        found = self._numbers(scope, without).subquery()
        return int(connection.execute(select(func.count()).select_from(found)).scalar_one())

    def page(self, connection: Connection) -> list[int]:
        """The numbers of the page that was asked for."""
        query = self._query
        if self._terms and query.sort is Sort.BEST:
            return self._best(connection)
        statement = self._numbers(Scope.ALL)
        if self._terms and not self._conditions:
            statement = statement.join(Lesson, _is(statement.selected_columns[0]))
        ordered = statement.order_by(*_ORDERS[query.sort])
        return list(connection.execute(ordered.limit(query.limit).offset(query.offset)).scalars())

    def _best(self, connection: Connection) -> list[int]:
        """Scope after scope, each without what the scope before it has."""
        page: list[int] = []
        skip, before = self._query.offset, None
        for scope in Scope:
            missing = self._query.limit - len(page)
            statement = self._numbers(scope, before)
            number = statement.selected_columns[0]
            narrowed = bool(self._conditions) or before is not None
            ordered = statement.order_by(self._index.newest(number, self._terms, narrowed))
            found = connection.execute(ordered.limit(missing).offset(skip)).scalars().all()
            page += found
            if len(found) == missing:
                break
            if skip:  # how many were passed over is counted only where none was left
                skip = 0 if found else max(0, skip - self.count(connection, scope, before))
            before = scope
        return page

    def _numbers(self, scope: Scope, without: Scope | None = None) -> Select[Any]:
        if not self._terms:
            return select(Lesson.number).where(*self._conditions)
        statement = self._index.matching(self._terms, scope, without)
        if self._conditions:
            number = statement.selected_columns[0]
            statement = statement.join(Lesson, _is(number)).where(*self._conditions)
        return statement


_ORDERS = {
    Sort.BEST: (Lesson.number.desc(),),
    Sort.NEWEST: (Lesson.number.desc(),),
    Sort.OLDEST: (Lesson.number.asc(),),
    Sort.LONGEST: (Lesson.duration_s.desc(), Lesson.number.desc()),
}


def _is(number: ColumnElement[Any]) -> ColumnElement[bool]:
    """Joins lessons to what was found. `+ 0` keeps SQLite from looking up each lesson there."""
    return Lesson.number == number + 0


def _conditions(query: Query) -> Iterable[ColumnElement[bool]]:
    """What is demanded of a lesson beside its words."""
    for name, values in query.filters.items():
        if name not in FILTERS:
            raise ValueError(f"{name} is no filter")
        yield getattr(Lesson, name).in_(list(values))
    if query.since is not None:
        yield Lesson.started_at >= query.since
    if query.until is not None:
        yield Lesson.started_at < query.until
    if query.lessons is not None:
        yield Lesson.lesson.in_(list(query.lessons))
