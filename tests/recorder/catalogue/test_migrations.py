"""The schema: brought up to date with what is in it, whoever comes first."""

import json
import sqlite3
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

import recorder.catalogue
from recorder.archive.layout import Entry
from recorder.catalogue import FILE, Catalogue, Query, words
from recorder.catalogue.database import HEAD, revision
from recorder.catalogue.models import Base
from recorder.errors import CatalogueError
from tests.recorder.catalogue.conftest import Open, archived, entry

_DETAILS = ("school", "subject", "grade", "teacher", "series", "language", "notes", "tags")
_OPEN = """
import pathlib, sys
from recorder.catalogue import Catalogue
catalogue = Catalogue(pathlib.Path(sys.argv[1]), sys.argv[2])
catalogue.reconcile(pathlib.Path(sys.argv[1]))
"""
_BEFORE = """
CREATE TABLE lessons (
    id VARCHAR NOT NULL, lesson VARCHAR NOT NULL, words VARCHAR NOT NULL, state VARCHAR NOT NULL,
    started_at FLOAT NOT NULL, entry JSON NOT NULL, PRIMARY KEY (id)
);
CREATE INDEX ix_lessons_lesson ON lessons (lesson);
CREATE INDEX ix_lessons_started_at ON lessons (started_at);
"""


def write_old(path: Path, entries: list[Entry]) -> None:
    """A catalogue as the first version of Tongbu made it."""
    connection = sqlite3.connect(path)
    connection.executescript(_BEFORE)
    for made in entries:
        value = asdict(made)
        for name in (*_DETAILS, "hold", "keep_until"):
            del value[name]
        row = (made.id, made.lesson, made.title.lower(), made.state, made.started_at)
        connection.execute("INSERT INTO lessons VALUES (?,?,?,?,?,?)", (*row, json.dumps(value)))
    connection.commit()
    connection.close()


def test_a_catalogue_of_the_first_version_is_upgraded_with_what_it_has(
    tmp_path: Path, opened: Open
):
    old = [entry(1, title="分数的加法"), entry(2, "history", state="live"), entry(2, "art")]
    write_old(tmp_path / FILE, old)
    catalogue = opened(tmp_path)
    assert [catalogue.find(made.id) for made in old] == old
    assert catalogue.search(Query()).total == 3
    assert [hit.entry for hit in catalogue.search(Query("加法")).hits] == [old[0]]
    catalogue.close()
    assert opened(tmp_path).search(Query()).total == 3
    assert not list(tmp_path.glob("*.damaged"))


def test_other_rules_for_words_index_anew(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch, opened: Open
):
    catalogue = opened(tmp_path, url)
    monkeypatch.setattr(words, "tokens", lambda text: ["nonsense"])
    catalogue.save(entry(1, title="分数"))
    catalogue.close()
    monkeypatch.undo()
    assert opened(tmp_path, url).search(Query("分数")).total == 0
    monkeypatch.setattr(words, "VERSION", words.VERSION + 1)
    assert opened(tmp_path, url).search(Query("分数")).total == 1


def test_the_models_are_what_the_revisions_make(catalogue: Catalogue):
    with catalogue._database.reading() as connection:
        context = MigrationContext.configure(
            connection,
            opts={"include_name": lambda name, kind, _: not str(name).startswith("search")},
        )
        assert compare_metadata(context, Base.metadata) == []


def test_the_newest_revision_is_the_one_that_is_looked_for(catalogue: Catalogue):
    config = Config()
    folder = Path(recorder.catalogue.__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]
    with catalogue._database.reading() as connection:
        assert revision(connection) == HEAD


def test_a_newer_catalogue_is_one_sentence(tmp_path: Path, url: str):
    catalogue = Catalogue(tmp_path, url)
    with catalogue._database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    catalogue.close()
    with pytest.raises(CatalogueError, match="newer version of Tongbu"):
        Catalogue(tmp_path, url)


def test_a_fresh_database_has_no_table_of_older_ones(tmp_path: Path, opened: Open):
    opened(tmp_path).close()
    engine = create_engine(f"sqlite:///{tmp_path / FILE}")
    assert "lessons_before" not in inspect(engine).get_table_names()
    engine.dispose()


def test_several_processes_may_be_the_first(tmp_path: Path, url: str, opened: Open):
    for number in range(3):
        archived(tmp_path, entry(number, f"lesson{number}"))
    if not url:
        write_old(tmp_path / FILE, [entry(9)])
        archived(tmp_path, entry(9))
    command = [sys.executable, "-c", _OPEN, str(tmp_path), url]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate(timeout=100)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], said
    assert opened(tmp_path, url).search(Query()).total == (3 if url else 4)
