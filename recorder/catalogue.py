"""The list of lessons, in SQLite: the worker writes it, the web reads it.

It holds nothing that the archive folders do not: one that is lost or damaged is made again from
the manifests. Each call uses a connection of its own, so the file may be replaced at any time.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Engine, NullPool, create_engine, delete, event, select
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from recorder.archive import Entry, lesson_folders, read_manifest
from recorder.errors import ArchiveError, CatalogueError

FILE = "catalogue.sqlite"

_log = logging.getLogger(__name__)


class _Base(DeclarativeBase):
    type_annotation_map = {dict[str, Any]: JSON}  # noqa: RUF012  (SQLAlchemy's own name)


class _Lesson(_Base):
    """A row: what is searched and sorted by, and the entry as it is."""

    __tablename__ = "lessons"

    id: Mapped[str] = mapped_column(primary_key=True)
    lesson: Mapped[str] = mapped_column(index=True)
    words: Mapped[str]
    """Title and name in lower case, as searched."""
    state: Mapped[str]
    started_at: Mapped[float] = mapped_column(index=True)
    entry: Mapped[dict[str, Any]]


class Catalogue:
    """The catalogue of a data folder. Raises `sqlalchemy.exc.DatabaseError` when the disk fails."""

    def __init__(self, data_dir: Path) -> None:
        """Opens it, or begins a new one. Raises CatalogueError."""
        self._path = data_dir / FILE
        self._engine = _engine(self._path)
        try:
            self._create()
        except DatabaseError as error:
            if isinstance(error, OperationalError):
                raise CatalogueError(f"{self._path} cannot be opened: {error.orig}") from error
            self._set_aside()
            self._create()

    def save(self, entry: Entry) -> None:
        """Insert the entry, or replace the one with its id."""
        words = f"{entry.title}\n{entry.lesson}".lower()
        row = _Lesson(
            id=entry.id,
            lesson=entry.lesson,
            words=words,
            state=entry.state,
            started_at=entry.started_at,
            entry=asdict(entry),
        )
        with self._session() as session:
            session.merge(row)

    def find(self, lesson_id: str) -> Entry | None:
        """The entry with this id."""
        with self._session() as session:
            row = session.get(_Lesson, lesson_id)
            return Entry.from_json(row.entry) if row else None

    def search(
        self, words: str = "", *, lessons: Iterable[str] | None = None, limit: int, offset: int = 0
    ) -> list[Entry]:
        """Entries whose title or name has every word, newest first; only of `lessons` if given."""
        query = select(_Lesson.entry).order_by(_Lesson.started_at.desc(), _Lesson.id.desc())
        for word in words.lower().split():
            query = query.where(_Lesson.words.contains(word, autoescape=True))
        if lessons is not None:
            query = query.where(_Lesson.lesson.in_(list(lessons)))
        with self._session() as session:
            return [
                Entry.from_json(row) for row in session.scalars(query.limit(limit).offset(offset))
            ]

    def lessons(self) -> list[str]:
        """The names of all lessons, each once."""
        with self._session() as session:
            return list(session.scalars(select(_Lesson.lesson).distinct()))

    def remove(self, lesson_id: str) -> None:
        """Forget a lesson; one that is not there is no error."""
        with self._session() as session:
            session.execute(delete(_Lesson).where(_Lesson.id == lesson_id))

    def reconcile(self, data_dir: Path) -> None:
        """Make the rows agree with the archive folders: run it before any lesson is recorded."""
        with self._session() as session:
            states = {
                row.id: row.state for row in session.execute(select(_Lesson.id, _Lesson.state))
            }
        folders = {path.name: path for path in lesson_folders(data_dir)}
        for gone in states.keys() - folders.keys():
            self.remove(gone)
        for name, path in folders.items():
            if states.get(name) in (None, "live", "finishing"):
                self._restore(path)

    def _restore(self, folder: Path) -> None:
        with suppress(FileNotFoundError):  # no manifest: the worker will record it
            try:
                self.save(read_manifest(folder).entry)
            except ArchiveError as error:
                _log.warning("%s", error)

    def _create(self) -> None:
        try:
            _Base.metadata.create_all(self._engine)
        except OperationalError as error:
            if "already exists" not in str(error):  # another process was as quick
                raise

    def _set_aside(self) -> None:
        """What is there is no database: keep it for whoever wants to look, and begin anew."""
        _log.warning("%s is damaged and is made again from the manifests", self._path)
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                damaged = self._path.with_name(self._path.name + suffix)
                damaged.replace(damaged.with_name(damaged.name + ".damaged"))

    @contextmanager
    def _session(self) -> Iterator[Session]:
        with Session(self._engine) as session, session.begin():
            yield session


def _engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _: Any) -> None:
        """Readers never wait for the writer; a lost last second is rebuilt from the manifests."""
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000"):
            connection.execute(f"PRAGMA {pragma}")

    return engine
