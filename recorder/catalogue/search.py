"""What is asked of the catalogue, and how the database is asked.

The best come first: lessons that have all words in their title or name, then those that need
school, teacher and the like, then those that need notes or chat; in each the newest first. Each
kind is counted and paged by itself, so that no page, however deep, has all that was found sorted.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import CTE, ColumnElement, Connection, Select, func, literal, select, union_all

from recorder.archive.details import FACETS
from recorder.archive.layout import Entry
from recorder.catalogue.index import Index, Scope
from recorder.catalogue.marks import Passage
from recorder.catalogue.models import Lesson
from recorder.catalogue.words import Term, terms

FILTERS = (*FACETS, "state")
"""What lessons are chosen by, besides words and dates."""
MOST_VALUES = 50
"""Values of a facet that are counted, the most frequent ones."""


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
    """What was found: a page of lessons' numbers, how many there are in all, and of what kinds."""

    page: list[int]
    total: int
    facets: dict[str, list[tuple[str, int]]]
    terms: list[Term]


@dataclass(frozen=True, slots=True)
class Hit:
    """A lesson that was found, and where its words have what was looked for."""

    entry: Entry
    passages: list[Passage]


def find(connection: Connection, index: Index, query: Query) -> Numbers:
    """Look for it."""
    wanted = terms(query.words)
    if query.words.strip() and not wanted:  # nothing but signs: no lesson has them
        return Numbers([], 0, {}, [])
    chosen = _Chosen(index, wanted, query)
    total = chosen.count(connection, Scope.ALL)
    page = chosen.page(connection, total) if total > query.offset else []
    facets = chosen.facets(connection) if query.facets else {}
    return Numbers(page, total, facets, wanted)


class _Chosen:
    """The lessons that a query means."""

    def __init__(self, index: Index, wanted: list[Term], query: Query) -> None:
        self._index = index
        self._terms = wanted
        self._query = query
        self._conditions = list(_conditions(query, Lesson))
        self._found = self._all_found() if wanted else None

    def count(self, connection: Connection, scope: Scope) -> int:
        """How many there are."""
        found = self._numbers(scope).subquery()
        return int(connection.execute(select(func.count()).select_from(found)).scalar_one())

    def page(self, connection: Connection, total: int) -> list[int]:
        """The numbers of the page that was asked for."""
        query = self._query
        if self._terms and query.sort is Sort.BEST:
            return self._best(connection, total)
        if self._terms:
            found = self._index.matching(self._terms, Scope.ALL).scalar_subquery()
            statement = select(Lesson.number).where(Lesson.number.in_(found), *self._conditions)
        else:
            statement = select(Lesson.number).where(*self._conditions)
        ordered = statement.order_by(*_ORDERS[query.sort])
        return list(connection.execute(ordered.limit(query.limit).offset(query.offset)).scalars())

    def facets(self, connection: Connection) -> dict[str, list[tuple[str, int]]]:
        """How many there are of each value, whatever is chosen among the values beside it."""
        counted = union_all(*(select(self._counted(name).subquery()) for name in FACETS))
        found: dict[str, list[tuple[str, int]]] = {name: [] for name in FACETS}
        for name, value, count in connection.execute(counted):
            found[name].append((str(value), int(count)))
        for values in found.values():
            values.sort(key=lambda counted: (-counted[1], counted[0]))
        return found

    def _counted(self, name: str) -> Select[Any]:
        """The most frequent values of one facet."""
        rows: Any = Lesson if self._found is None else self._found.c
        value, number = getattr(rows, name), func.count()
        return (
            select(literal(name).label("facet"), value.label("value"), number.label("count"))
            .where(value != "", *_conditions(self._query, rows, but=name))
            .group_by(value)
            .order_by(number.desc(), value)
            .limit(MOST_VALUES)
        )

    def _best(self, connection: Connection, total: int) -> list[int]:
        """Scope after scope, each without what the scope before it has."""
        page: list[int] = []
        skip, before, seen = self._query.offset, None, 0
        for scope in Scope:
            reached = total if scope is Scope.ALL else self.count(connection, scope)
            size, missing = reached - seen, self._query.limit - len(page)
            if size > skip:
                statement = self._numbers(scope, without=before)
                ordered = statement.order_by(statement.selected_columns[0].desc())
                page += connection.execute(ordered.limit(missing).offset(skip)).scalars()
            if len(page) == self._query.limit:
                break
            skip, before, seen = max(0, skip - size), scope if reached else None, reached
        return page

    def _all_found(self) -> CTE:
        """All lessons that have the words: looked for once, counted several times."""
        statement = self._index.matching(self._terms, Scope.ALL)
        joined = statement.join(Lesson, _is(statement.selected_columns[0]))
        columns = [getattr(Lesson, name) for name in (*FILTERS, "number", "started_at", "lesson")]
        return joined.with_only_columns(*columns).cte("found")

    def _numbers(self, scope: Scope, without: Scope | None = None) -> Select[Any]:
        if not self._terms:
            return select(Lesson.number).where(*self._conditions)
        statement = self._index.matching(self._terms, scope)
        number = statement.selected_columns[0]
        if without is not None:
            known = self._index.matching(self._terms, without).scalar_subquery()
            statement = statement.where(number.not_in(known))
        if self._conditions:
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


def _conditions(query: Query, rows: Any, but: str = "") -> Iterable[ColumnElement[bool]]:
    """What the filters demand of `rows`, those of one name left out."""
    for name, values in query.filters.items():
        if name not in FILTERS:
            raise ValueError(f"{name} is no filter")
        if name != but:
            yield getattr(rows, name).in_(list(values))
    if query.since is not None:
        yield rows.started_at >= query.since
    if query.until is not None:
        yield rows.started_at < query.until
    if query.lessons is not None:
        yield rows.lesson.in_(list(query.lessons))
