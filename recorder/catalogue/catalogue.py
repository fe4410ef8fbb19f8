"""The catalogue of a data folder: lessons saved, edited, found and forgotten.

It holds nothing that the archive folders do not: one that is lost or damaged is made again from
the manifests, what people changed (`details.json`) and what was written (`chat.jsonl`).
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, exists, func, select, update
from sqlalchemy.exc import DatabaseError

from recorder.archive import details, talk
from recorder.archive.layout import LESSON_ID, Entry, read_entry
from recorder.archive.talk import Message
from recorder.catalogue import restoring, words
from recorder.catalogue.counting import Counting, Facets, numbers_of
from recorder.catalogue.database import Database
from recorder.catalogue.index import MOST_TALK, PostgresqlIndex, SqliteIndex, Texts
from recorder.catalogue.marks import passages
from recorder.catalogue.models import Base, Lesson, Record
from recorder.catalogue.search import Hit, Query, find, is_vain, numbers
from recorder.errors import ArchiveError

_OF_A_SECOND = 1 << 16
"""Numbers of one second: as many as four hexadecimal digits tell apart."""

_LESSONS, _RECORDS = (Base.metadata.tables[name] for name in ("lessons", "records"))
_INDEXED = (
    _LESSONS.update()
    .where(_LESSONS.c.number == bindparam("at"))
    .values(indexed=bindparam("digest"))
)


@dataclass(frozen=True, slots=True)
class Page:
    """A part of what was found; `facets` has how many of `total` have which school, subject ..."""

    hits: list[Hit]
    total: int
    facets: Facets


class Catalogue:
    """The catalogue of a data folder. Raises `sqlalchemy.exc.DatabaseError` when the disk fails."""

    def __init__(self, data_dir: Path, url: str = "") -> None:
        """Opens it, or begins a new one: SQLite's unless a URL is given. Raises CatalogueError."""
        self._data_dir = data_dir
        self._database = Database(data_dir, url, on_lost=self.begin)
        self._index = SqliteIndex() if self._database.is_sqlite else PostgresqlIndex()
        self._counting = Counting()
        _twice(lambda: restoring.index_few(self))

    def save(self, entry: Entry) -> None:
        """Insert the entry as the recorder has it, or replace the one with its id."""
        self.save_all([entry])

    def find(self, lesson_id: str) -> Entry | None:
        """The entry with this id, as people have changed it."""
        query = select(Record.entry, Record.edits).join(Lesson, Lesson.number == Record.number)
        with self._database.reading() as connection:
            row = connection.execute(query.where(Lesson.id == lesson_id)).first()
        return self._in_its_folder(lesson_id) if row is None else _applied(row.entry, row.edits)

    def talk(self, lesson_id: str) -> list[Message]:
        """What was written in a lesson, as far as it is known here."""
        query = select(Record.talk).join(Lesson, Lesson.number == Record.number)
        with self._database.reading() as connection:
            found = connection.execute(query.where(Lesson.id == lesson_id)).scalar()
        return _messages(found or [])

    def search(self, query: Query) -> Page:
        """What is asked for."""
        with self._database.reading() as connection:
            found = find(connection, self._index, query)
            wanted = [Record.number, Record.entry, Record.edits]
            wanted += [Record.talk] if found.terms else []
            read = select(*wanted).where(Record.number.in_(found.page))
            rows = {row.number: row for row in connection.execute(read)} if found.page else {}
            facets = self._facets(connection, query) if query.facets else {}
        hits = []
        for row in (rows[number] for number in found.page if number in rows):
            entry = _applied(row.entry, row.edits)
            marks = passages(entry, _messages(row.talk), found.terms) if found.terms else []
            hits.append(Hit(entry, marks))
        return Page(hits, found.total, facets)

    def _facets(self, connection: Connection, query: Query) -> Facets:
        """How many there are of each value, whatever is chosen among the values beside it."""
        if is_vain(query):
            return {}
        columns = self._counting.columns(connection)
        statement = numbers(self._index, query)
        if statement is None:
            return columns.facets(query, None)
        together = connection.execute(self._index.together(statement)).scalar()
        return columns.facets(query, numbers_of(together))

    def edit(self, lesson_id: str, changes: Mapping[str, Any]) -> Entry:
        """Change what is said of a lesson, in its folder and here.

        Raises DetailsError for a change that cannot be, FileNotFoundError for a lesson that is not
        in this data folder.
        """
        folder = self._folder(lesson_id)
        details.edit(folder, changes)
        with self._writing() as connection:
            query = select(Record.number, Record.entry, Record.talk)
            row = connection.execute(
                query.join(Lesson, Lesson.number == Record.number).where(Lesson.id == lesson_id)
            ).first()
            if row is not None:
                edits = details.edited(
                    folder
                )  # now: of two edits, the later one writes all of both
                return self._write_edits(connection, row, edits)
        entry = read_entry(folder)  # its row is still to be made
        self.save(entry)
        return self.find(lesson_id) or entry

    def lessons(self) -> list[str]:
        """The names of all lessons, each once."""
        with self._database.reading() as connection:
            return list(connection.execute(select(Lesson.lesson).distinct()).scalars())

    def remove(self, lesson_id: str) -> None:
        """Forget a lesson; one that is not there is no error."""
        with self._writing() as connection:
            number = connection.execute(
                select(Lesson.number).where(Lesson.id == lesson_id)
            ).scalar()
            if number is not None:
                self._index.remove(connection, [number])
                for model in (Record, Lesson):
                    connection.execute(delete(model).where(model.number == number))

    def begin(self) -> None:
        """Make the rows agree with the archive folders: a few now, more of them by `aftercare`.

        Run it before any lesson is recorded.
        """
        _twice(lambda: restoring.begin(self, self._data_dir))

    def reconcile(self, data_dir: Path) -> None:
        """Make all rows agree with the archive folders, however long that takes."""
        assert data_dir == self._data_dir
        _twice(lambda: restoring.restore(self, data_dir))

    def states(self) -> dict[str, str]:
        """The states of this data folder's lessons, by their ids."""
        query = select(Lesson.id, Lesson.state).where(Lesson.store == self._database.store)
        with self._database.reading() as connection:
            return {row.id: row.state for row in connection.execute(query)}

    def stale(self, limit: int) -> int:
        """How many lessons are indexed by other rules than ours; at most `limit`."""
        counted = select(func.count()).select_from(_stale().limit(limit).subquery())
        with self._database.reading() as connection:
            return int(connection.execute(counted).scalar_one())

    def index_anew(self, limit: int) -> int:
        """Index so many of them, the newest first; returns how many it were."""
        with self._writing() as connection:
            old = list(connection.execute(_stale().limit(limit)).scalars())
            rows = connection.execute(select(Record).where(Record.number.in_(old)))
            texts = {
                row.number: Texts.of(_applied(row.entry, row.edits), _messages(row.talk))
                for row in rows.all()
            }
            if texts:
                self._index.write(connection, texts)
                digests = [{"at": at, "digest": text.digest} for at, text in texts.items()]
                connection.execute(_INDEXED, digests)
        return len(texts)

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def save_all(self, entries: list[Entry]) -> None:
        """Write the rows of lessons; their folders have what people say of them."""
        if not entries:
            return
        with self._writing() as connection:
            made = [self._material(entry) for entry in entries]  # here: nobody edits meanwhile
            known = _known(connection, [entry.id for entry in entries])
            replaced = {row.number for row in known.values()}
            for model in (Lesson, Record):
                connection.execute(delete(model).where(model.number.in_(replaced)))
            taken = replaced | _taken(connection, entries)
            lessons, records, texts = [], [], {}
            for material in made:
                before = known.get(material.entry.id)
                number = before.number if before else _free(connection, material.entry, taken)
                taken.add(number)
                found = Texts.of(material.applied, material.said)
                if before is None or before.indexed != found.digest:
                    texts[number] = found
                lessons.append({"number": number, "indexed": found.digest, **material.columns})
                records.append({"number": number, **material.record})
            connection.execute(_LESSONS.insert(), lessons)
            connection.execute(_RECORDS.insert(), records)
            self._index.write(connection, texts)

    def _write_edits(self, connection: Connection, row: Any, edits: dict[str, Any]) -> Entry:
        material = _Material(
            Entry.from_json(row.entry), edits, _messages(row.talk), self._database.store
        )
        texts = Texts.of(material.applied, material.said)
        values = {**material.columns, "indexed": texts.digest}
        connection.execute(update(Lesson).where(Lesson.number == row.number).values(**values))
        connection.execute(update(Record).where(Record.number == row.number).values(edits=edits))
        self._index.write(connection, {row.number: texts})
        return material.applied

    def _material(self, entry: Entry) -> "_Material":
        folder = self._folder(entry.id)
        said = talk.read(folder) if entry.state not in restoring.UNFINISHED else []
        return _Material(entry, details.edited(folder), said, self._database.store)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._database.writing() as connection:
            yield connection
        self._counting.changed()

    def _in_its_folder(self, lesson_id: str) -> Entry | None:
        """A finished lesson whose row is still to be made: it can be watched meanwhile."""
        folder = self._folder(lesson_id)
        if not LESSON_ID.fullmatch(lesson_id) or not folder.is_dir():
            return None
        try:
            return _applied(asdict(read_entry(folder)), details.edited(folder))
        except (FileNotFoundError, ArchiveError):
            return None

    def _folder(self, lesson_id: str) -> Path:
        return self._data_dir / "lessons" / lesson_id


def _twice(step: Callable[[], object]) -> None:
    """Once more after a failure: whatever finds a file damaged has begun a new one by then."""
    try:
        step()
    except DatabaseError:
        step()


def _stale() -> Select[int]:
    """Lessons that are indexed by other rules than ours, the newest first."""
    other = Lesson.indexed.not_like(f"{words.VERSION}:%")
    return select(Lesson.number).where(other).order_by(Lesson.number.desc())


@dataclass(frozen=True, slots=True)
class _Material:
    """What the rows of a lesson are made of."""

    entry: Entry
    edits: dict[str, Any]
    said: list[Message]
    store: str

    @property
    def applied(self) -> Entry:
        """The entry as people have changed it."""
        return replace(self.entry, **self.edits) if self.edits else self.entry

    @property
    def columns(self) -> dict[str, Any]:
        """The row of `lessons`, but for its number and what is indexed."""
        entry = self.applied
        names = ("id", "lesson", "state", "started_at", "duration_s", "bytes", *details.FACETS)
        values = {name: getattr(entry, name) for name in (*names, *details.RULES)}
        return {**values, "store": self.store}

    @property
    def record(self) -> dict[str, Any]:
        """The row of `records`, but for its number."""
        return {"entry": asdict(self.entry), "edits": self.edits, "talk": _rows(self.said)}


def _known(connection: Connection, ids: list[str]) -> dict[str, Any]:
    """The numbers of those that are there, and what is indexed of them."""
    query = select(Lesson.id, Lesson.number, Lesson.indexed).where(Lesson.id.in_(ids))
    return {row.id: row for row in connection.execute(query)}


def _taken(connection: Connection, entries: list[Entry]) -> set[int]:
    """Which of the numbers that these would like are another's."""
    wanted = select(Lesson.number).where(Lesson.number.in_(list(map(_number, entries))))
    return set(connection.execute(wanted).scalars())


def _free(connection: Connection, entry: Entry, taken: set[int]) -> int:
    """Its number, or the next that no other lesson has."""
    number = _number(entry)
    there = exists().where(Lesson.number == bindparam("number"))
    while number in taken:
        number += 1
        if connection.execute(select(there), {"number": number}).scalar():
            taken.add(number)
    return number


def _number(entry: Entry) -> int:
    """The second at which it began and its digits, both from its id."""
    match = LESSON_ID.fullmatch(entry.id)
    try:
        moment = datetime.strptime(match[1] if match else "", "%Y%m%d-%H%M%S")
        second = int(moment.replace(tzinfo=UTC).timestamp())
    except ValueError:
        second = int(entry.started_at)
    return max(0, second) * _OF_A_SECOND + (int(entry.id[-4:], 16) if match else 0)


def _applied(entry: Mapping[str, Any], edits: Mapping[str, Any]) -> Entry:
    return Entry.from_json({**entry, **edits})


def _rows(messages: list[Message]) -> list[list[Any]]:
    """What is kept of a lesson's chat, so that it can be shown without its folder."""
    kept, left = [], MOST_TALK
    for message in messages:
        left -= len(message.text) + 1
        if left < 0:
            break
        kept.append([message.t, message.name, message.text])
    return kept


def _messages(rows: list[Any]) -> list[Message]:
    return [Message(*row) for row in rows]
