"""Catalogues to test, in SQLite and in PostgreSQL."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import create_engine, text

from benchmarks import postgres
from recorder.archive.layout import Entry, LessonFolder, Manifest, entry_from_id
from recorder.catalogue import Catalogue

Open = Callable[..., Catalogue]

_schemas = itertools.count()


def entry(number: int, lesson: str = "math", title: str = "", **fields: Any) -> Entry:
    """A lesson that began in this second of a minute."""
    made = entry_from_id(f"20260921-1413{number:02d}-{lesson}-00aa")
    return replace(made, title=title or lesson, **{"state": "complete", **fields})


def archived(data_dir: Path, made: Entry) -> Path:
    """Its folder, as the recorder leaves it."""
    folder = data_dir / "lessons" / made.id
    folder.mkdir(parents=True)
    LessonFolder(folder).write_manifest(Manifest(made))
    return folder


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a server's database."""
    programs = postgres.binaries()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: tests/tools.sh installs it")
    with postgres.server(programs) as url:
        yield url


@pytest.fixture
def fresh_schema(postgresql: str) -> str:
    """The URL of an empty part of it."""
    name = f"test{next(_schemas)}"
    engine = create_engine(postgresql)
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
    engine.dispose()
    return f"{postgresql}&options={quote(f'-csearch_path={name}')}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """What `Catalogue` takes as its database: each test is run with both."""
    if request.param == "sqlite":
        return ""
    found = request.getfixturevalue("fresh_schema")
    assert isinstance(found, str)
    return found


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens catalogues, which are closed with the test."""
    made: list[Catalogue] = []

    def open_catalogue(data_dir: Path, url: str = "") -> Catalogue:
        made.append(Catalogue(data_dir, url))
        return made[-1]

    yield open_catalogue
    for catalogue in made:
        catalogue.close()


@pytest.fixture
def catalogue(opened: Open, tmp_path: Path, url: str) -> Catalogue:
    """An empty one."""
    return opened(tmp_path, url)
