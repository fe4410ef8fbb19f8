"""How fast is an archive of 50,000 lessons searched, and how long does it take to index it anew?

An archive is made up (`catalogue_corpus.py`), and its catalogue made from the manifests as after a
loss: `index_s`. Then lessons are looked for as people do, each kind of question many times over,
with words taken from the lessons themselves; a time is that of `Catalogue.search` for a page of
24, passages and total included. `search_p95_ms` is over all of them, `facets_p95_ms` over the same
questions where everything found is counted by school, subject, grade, teacher and series too.
"""

import argparse
import logging
import random
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

from benchmarks import postgres
from benchmarks.catalogue_corpus import Corpus
from benchmarks.machine import conditions
from benchmarks.span import percentile
from recorder.archive.layout import Entry
from recorder.catalogue import FILE, Catalogue, Query, Sort

_LOG = logging.getLogger("benchmarks.catalogue")

PAGE = 24
"""Lessons of a page, as the archive page asks for."""

_CHINESE = re.compile(r"[^\x00-\x7f]+")

Lesson = tuple[Entry, str]
"""An entry, and something that was written in it."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    parser.add_argument("--lessons", type=int, default=50_000)
    parser.add_argument("--questions", type=int, default=100, help="of each kind")
    parser.add_argument(
        "--databases", nargs="+", choices=_DATABASES, default=list(_DATABASES), metavar="NAME"
    )


def quick(options: argparse.Namespace) -> None:
    """Less of it, for a look."""
    options.lessons, options.questions = min(options.lessons, 3_000), min(options.questions, 10)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """One answer; PostgreSQL is left out where it is not installed."""
    with tempfile.TemporaryDirectory(prefix="tongbu-catalogue-") as folder:
        data_dir = Path(folder)
        corpus = Corpus(options.lessons)
        _LOG.info("writing %d manifests", options.lessons)
        corpus.write(data_dir)
        questions = list(_questions(corpus, options.questions))
        answers = {name: _DATABASES[name](data_dir, questions) for name in options.databases}
    found = {name: answer for name, answer in answers.items() if answer is not None}
    worst = max(found.values(), key=lambda answer: float(answer["search_p95_ms"]))
    return {
        "lessons": options.lessons,
        "questions": len(questions),
        "search_p95_ms": worst["search_p95_ms"],
        **found,
        "conditions": conditions(),
    }


def _sqlite(data_dir: Path, questions: list[tuple[str, Query]]) -> dict[str, Any]:
    answer = _measure("SQLite", data_dir, "", questions)
    size = sum(path.stat().st_size for path in data_dir.glob(f"{FILE}*"))
    return {**answer, "size_mb": round(size / 1e6, 1)}


def _postgresql(data_dir: Path, questions: list[tuple[str, Query]]) -> dict[str, Any] | None:
    programs = postgres.binaries()
    if programs is None:
        return None
    with postgres.server(programs) as url:
        answer = _measure("PostgreSQL", data_dir, url, questions)
        engine = create_engine(url)
        with engine.begin() as connection:
            size = connection.execute(text("SELECT pg_database_size(current_database())")).scalar()
        engine.dispose()
    return {**answer, "size_mb": round((size or 0) / 1e6, 1)}


_DATABASES: dict[str, Callable[[Path, list[tuple[str, Query]]], dict[str, Any] | None]] = {
    "sqlite": _sqlite,
    "postgresql": _postgresql,
}


def _measure(
    name: str, data_dir: Path, url: str, questions: list[tuple[str, Query]]
) -> dict[str, Any]:
    _LOG.info("%s: indexing", name)
    catalogue = Catalogue(data_dir, url)
    began = time.perf_counter()
    catalogue.reconcile(data_dir)
    index_s = time.perf_counter() - began
    _LOG.info("%s: %d questions", name, len(questions))
    by_kind: dict[str, list[float]] = {}
    for kind, query in _mixed(questions):
        by_kind.setdefault(kind, []).append(_time(catalogue, query))
    counted = [_time(catalogue, replace(query, facets=True)) for _, query in _mixed(questions)]
    catalogue.close()
    return {
        "index_s": round(index_s, 1),
        **_percentiles("search", (time for times in by_kind.values() for time in times)),
        **_percentiles("facets", counted),
        "kinds": [{"kind": kind, **_percentiles("", times)} for kind, times in by_kind.items()],
    }


def _time(catalogue: Catalogue, query: Query) -> float:
    """Milliseconds of a search."""
    began = time.perf_counter()
    catalogue.search(query)
    return (time.perf_counter() - began) * 1e3


def _percentiles(name: str, times: Iterable[float]) -> dict[str, float]:
    ordered = sorted(times)
    before = f"{name}_" if name else ""
    return {f"{before}p{p}_ms": round(percentile(ordered, p / 100), 2) for p in (50, 95, 100)}


def _mixed(questions: list[tuple[str, Query]]) -> list[tuple[str, Query]]:
    """Nobody asks the same kind of question a hundred times in a row."""
    return random.Random(2).sample(questions, len(questions))


def _questions(corpus: Corpus, each: int) -> Iterator[tuple[str, Query]]:
    """So many of each kind, about lessons that there are."""
    chance = random.Random(3)
    lessons = [
        (entry, chance.choice(said).text if said else entry.notes)
        for entry, said in corpus.entries()
    ]
    for kind, ask in _KINDS.items():
        for _ in range(each):
            yield kind, replace(ask(chance, chance.choice(lessons)), limit=PAGE)


def _cut(chance: random.Random, lesson: Lesson, length: int) -> str:
    """So many Chinese characters in a row, from the title, the notes or the chat."""
    entry, said = lesson
    titles = [entry.title, entry.title, entry.notes, said]
    chosen = next(text for text in chance.sample(titles, 4) if not text.isascii())
    text = str(max(_CHINESE.findall(chosen), key=len))
    place = chance.randint(0, max(0, len(text) - length))
    return text[place : place + length]


def _latin(chance: random.Random, lesson: Lesson) -> Query:
    words = [word for word in lesson[0].title.split() if word.isalpha()] or ["reading", "unit"]
    word = chance.choice(words)
    return Query(word[: chance.randint(3, max(3, len(word)))])


def _filtered(chance: random.Random, lesson: Lesson) -> Query:
    entry = lesson[0]
    filters = {
        name: [getattr(entry, name)]
        for name in chance.sample(["school", "subject", "grade", "teacher"], 2)
    }
    return Query(filters=filters, sort=chance.choice([Sort.NEWEST, Sort.LONGEST]))


def _of_a_year(chance: random.Random, lesson: Lesson) -> Query:
    began = lesson[0].started_at
    return Query(_cut(chance, lesson, 2), since=began, until=began + 365 * 86_400)


_KINDS: dict[str, Callable[[random.Random, Lesson], Query]] = {
    "no words": lambda chance, lesson: Query(offset=PAGE * chance.randint(0, 3)),
    "one character": lambda chance, lesson: Query(_cut(chance, lesson, 1)),
    "two characters": lambda chance, lesson: Query(_cut(chance, lesson, 2)),
    "four characters": lambda chance, lesson: Query(_cut(chance, lesson, 4)),
    "two words": lambda chance, lesson: Query(
        f"{_cut(chance, lesson, 2)} {_cut(chance, lesson, 2)}"
    ),
    "school and word": lambda chance, lesson: Query(
        f"{lesson[0].school[:2]} {_cut(chance, lesson, 2)}"
    ),
    "latin": _latin,
    "filters": _filtered,
    "filter and word": lambda chance, lesson: Query(
        _cut(chance, lesson, 2), filters={"subject": [lesson[0].subject]}
    ),
    "dates and word": _of_a_year,
    "deep page": lambda chance, lesson: Query(offset=chance.randint(1_000, 45_000)),
    "deep page of a word": lambda chance, lesson: Query(
        _cut(chance, lesson, 2), offset=chance.randint(100, 5_000)
    ),
    "longest of a word": lambda chance, lesson: Query(_cut(chance, lesson, 2), sort=Sort.LONGEST),
}
