"""The tables. `lessons` is narrow, as all of it may be counted; `records` has the rest of each.

The words are in a table `search` beside them, an FTS5 one in SQLite and one with tsvectors in
PostgreSQL: see `index.py`. Alembic makes all of them (`migrations/`); a test compares.
"""

from typing import Any

from sqlalchemy import JSON, BigInteger, Float, Index, Integer
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

_Number = BigInteger().with_variant(Integer(), "sqlite")  # SQLite's rowid is an INTEGER


class Base(DeclarativeBase):
    """All tables but `search`."""

    type_annotation_map = {  # noqa: RUF012  (SQLAlchemy's own name)
        dict[str, Any]: JSON,
        list[Any]: JSON,
        float: Float,
    }


class Lesson(Base):
    """What lessons are chosen, sorted and counted by, with all edits applied."""

    __tablename__ = "lessons"

    number: Mapped[int] = mapped_column(_Number, primary_key=True, autoincrement=False)
    """Grows with the time at which the lesson began: the newest is the highest."""
    id: Mapped[str] = mapped_column(unique=True)
    store: Mapped[str]
    """The data folder it is in, where several share a database."""
    lesson: Mapped[str]
    state: Mapped[str]
    school: Mapped[str]
    subject: Mapped[str]
    grade: Mapped[str]
    teacher: Mapped[str]
    series: Mapped[str]
    language: Mapped[str]
    started_at: Mapped[float]
    duration_s: Mapped[float]
    bytes: Mapped[int] = mapped_column(BigInteger)
    hold: Mapped[bool]
    keep_until: Mapped[float | None]
    indexed: Mapped[str]
    """Which text `search` has of it, and by which rules."""

    __table_args__ = (
        *(
            Index(f"lessons_by_{name}", name, "number")
            for name in ("lesson", "school", "subject", "grade", "teacher", "series", "language")
        ),
        Index("lessons_by_duration", "duration_s", "number"),
        Index("lessons_by_start", "started_at"),
        Index("lessons_by_state", "state"),
    )


class Record(Base):
    """The rest of a lesson."""

    __tablename__ = "records"

    number: Mapped[int] = mapped_column(_Number, primary_key=True, autoincrement=False)
    entry: Mapped[dict[str, Any]]
    """As the recorder says it."""
    edits: Mapped[dict[str, Any]]
    """What people changed of it."""
    talk: Mapped[list[Any]]
    """`[[t, name, text], ...]`: what was written in it."""
