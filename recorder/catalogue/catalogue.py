"""The catalogue of a data folder: lessons saved, edited, found and forgotten.

It holds nothing that the archive folders do not: one that is lost or damaged is made again from
the manifests, what people changed (`details.json`) and what was written (`chat.jsonl`).
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import DatabaseError, IntegrityError

from recorder import details, talk
from recorder.archive import LESSON_ID, Entry, lesson_folders, read_entry
from recorder.catalogue import words
from recorder.catalogue.database import Database
from recorder.catalogue.index import MOST_TALK, PostgresqlIndex, SqliteIndex, Texts
from recorder.catalogue.marks import passages
from recorder.catalogue.models import Lesson, Record
from recorder.catalogue.search import Hit, Query, find
from recorder.errors import ArchiveError
from recorder.talk import Message

_OF_A_SECOND = 1 << 16
"""Lessons that may begin in one second."""
_BATCH = 200
"""Lessons in a transaction, where there are many: others get their turn between two."""
_UNFINISHED = ("live", "finishing")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    """A part of what was found; `facets` has how many of `total` have which school, subject ..."""

    hits: list[Hit]
    total: int
    facets: dict[str, list[tuple[str, int]]]


class Catalogue:
    """The catalogue of a data folder. Raises `sqlalchemy.exc.DatabaseError` when the disk fails."""

    def __init__(self, data_dir: Path, url: str = "") -> None:
        """Opens it, or begins a new one: SQLite's unless a URL is given. Raises CatalogueError."""
        self._data_dir = data_dir
        self._database = Database(data_dir, url, on_lost=self._restore_all)
        self._index = SqliteIndex() if self._database.is_sqlite else PostgresqlIndex()
        _twice(self._index_anew)

    def save(self, entry: Entry) -> None:
        """Insert the entry as the recorder has it, or replace the one with its id."""
        self._save([entry])

    def find(self, lesson_id: str) -> Entry | None:
        """The entry with this id, as people have changed it."""
        query = select(Record.entry, Record.edits).join(Lesson, Lesson.number == Record.number)
        with self._database.reading() as connection:
            row = connection.execute(query.where(Lesson.id == lesson_id)).first()
        return None if row is None else _applied(row.entry, row.edits)

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
            rows = {
                row.number: row
                for row in connection.execute(
                    select(Record.number, Record.entry, Record.edits, Record.talk).where(
                        Record.number.in_(found.page)
                    )
                )
            }
        hits = []
        for number in found.page:
            row = rows[number]
            entry = _applied(row.entry, row.edits)
            marks = passages(entry, _messages(row.talk), found.terms) if found.terms else []
            hits.append(Hit(entry, marks))
        return Page(hits, found.total, found.facets)

    def edit(self, lesson_id: str, changes: Mapping[str, Any]) -> Entry:
        """Change what is said of a lesson, in its folder and here.

        Raises DetailsError for a change that cannot be, FileNotFoundError for a lesson that is not
        in this data folder.
        """
        details.edit(self._folder(lesson_id), changes)
        with self._database.writing() as connection:
            row = connection.execute(
                select(Record.number, Record.entry)
                .join(Lesson, Lesson.number == Record.number)
                .where(Lesson.id == lesson_id)
                .with_for_update()
            ).first()
            if row is None:
                raise FileNotFoundError(lesson_id)
            self._put(connection, row.number, Entry.from_json(row.entry))
        entry = self.find(lesson_id)
        if entry is None:
            raise FileNotFoundError(lesson_id)
        return entry

    def lessons(self) -> list[str]:
        """The names of all lessons, each once."""
        with self._database.reading() as connection:
            return list(connection.execute(select(Lesson.lesson).distinct()).scalars())

    def remove(self, lesson_id: str) -> None:
        """Forget a lesson; one that is not there is no error."""
        with self._database.writing() as connection:
            number = connection.execute(
                select(Lesson.number).where(Lesson.id == lesson_id)
            ).scalar()
            if number is not None:
                self._index.remove(connection, number)
                for model in (Record, Lesson):
                    connection.execute(delete(model).where(model.number == number))

    def reconcile(self, data_dir: Path) -> None:
        """Make the rows agree with the archive folders: run it before any lesson is recorded."""
        assert data_dir == self._data_dir
        _twice(self._database.check)
        _twice(self._restore_all)

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def _restore_all(self) -> None:
        query = select(Lesson.id, Lesson.state).where(Lesson.store == self._database.store)
        with self._database.reading() as connection:
            states = {row.id: row.state for row in connection.execute(query)}
        folders = {path.name: path for path in lesson_folders(self._data_dir)}
        for gone in states.keys() - folders.keys():
            self.remove(gone)
        missing = [
            path for name, path in folders.items() if states.get(name) in (None, *_UNFINISHED)
        ]
        for first in range(0, len(missing), _BATCH):
            self._save(list(_finished(missing[first : first + _BATCH])))

    def _save(self, entries: list[Entry]) -> None:
        try:
            self._save_once(entries)
        except IntegrityError:  # another process took the number in PostgreSQL
            self._save_once(entries)

    def _save_once(self, entries: list[Entry]) -> None:
        with self._database.writing() as connection:
            for entry in entries:
                number = connection.execute(
                    select(Lesson.number).where(Lesson.id == entry.id).with_for_update()
                ).scalar()
                self._put(connection, number, entry)

    def _put(self, connection: Connection, number: int | None, entry: Entry) -> None:
        """Write the rows of a lesson; its folder has what people say of it."""
        folder = self._folder(entry.id)
        edits = details.edited(folder)
        said = talk.read(folder) if entry.state not in _UNFINISHED else []
        lesson = _columns(replace(entry, **edits), self._database.store)
        record = {"entry": asdict(entry), "edits": edits, "talk": _rows(said)}
        if number is None:
            number = _new_number(connection, entry)
            connection.execute(insert(Lesson).values(number=number, indexed="", **lesson))
            connection.execute(insert(Record).values(number=number, **record))
        else:
            connection.execute(update(Lesson).where(Lesson.number == number).values(**lesson))
            connection.execute(update(Record).where(Record.number == number).values(**record))
        self._find_by(connection, number, replace(entry, **edits), said)

    def _find_by(
        self, connection: Connection, number: int, entry: Entry, said: list[Message]
    ) -> None:
        """Have it found by its words, unless it is already."""
        texts = Texts.of(entry, said)
        indexed = select(Lesson.indexed).where(Lesson.number == number)
        if connection.execute(indexed).scalar() != texts.digest:
            self._index.write(connection, number, texts)
            connection.execute(
                update(Lesson).where(Lesson.number == number).values(indexed=texts.digest)
            )

    def _index_anew(self) -> None:
        """Index what came from an older version of us, or by other rules."""
        rules = f"{words.VERSION}:"
        stale = select(Lesson.number).where(Lesson.indexed.not_like(f"{rules}%")).limit(_BATCH)
        while True:
            with self._database.writing() as connection:
                numbers = list(connection.execute(stale).scalars())
                if not numbers:
                    return
                rows = connection.execute(select(Record).where(Record.number.in_(numbers)))
                for row in rows.all():
                    entry = _applied(row.entry, row.edits)
                    self._find_by(connection, row.number, entry, _messages(row.talk))

    def _folder(self, lesson_id: str) -> Path:
        return self._data_dir / "lessons" / lesson_id


def _twice(step: Callable[[], None]) -> None:
    """Once more after a failure: whatever finds a file damaged has begun a new one by then."""
    try:
        step()
    except DatabaseError:
        step()


def _finished(folders: list[Path]) -> Iterator[Entry]:
    """What the manifests say; a lesson without one is the worker's to record."""
    for folder in folders:
        with suppress(FileNotFoundError):
            try:
                yield read_entry(folder)
            except ArchiveError as error:
                _log.warning("%s", error)


def _new_number(connection: Connection, entry: Entry) -> int:
    """The second at which it began, by its id, and its place among those of that second."""
    match = LESSON_ID.fullmatch(entry.id)
    try:
        moment = datetime.strptime(match[1] if match else "", "%Y%m%d-%H%M%S")
        second = int(moment.replace(tzinfo=UTC).timestamp())
    except ValueError:
        second = int(entry.started_at)
    first = max(0, second) * _OF_A_SECOND
    last = select(func.max(Lesson.number)).where(
        Lesson.number >= first, Lesson.number < first + _OF_A_SECOND
    )
    taken = connection.execute(last).scalar()
    return first if taken is None else int(taken) + 1


def _columns(entry: Entry, store: str) -> dict[str, Any]:
    names = ("id", "lesson", "state", "started_at", "duration_s", "bytes", *details.FACETS)
    values = {name: getattr(entry, name) for name in (*names, *details.RULES)}
    return {**values, "store": store}


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
