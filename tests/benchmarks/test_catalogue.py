"""The catalogue's benchmark: a made-up archive, and questions that find something in it."""

import argparse
from pathlib import Path

from benchmarks import catalogue
from benchmarks.catalogue_corpus import Corpus
from recorder.archive.layout import read_manifest
from recorder.catalogue import Catalogue


def test_the_same_archive_every_time(tmp_path: Path) -> None:
    assert list(Corpus(20).entries()) == list(Corpus(20).entries())
    Corpus(20).write(tmp_path)
    first, _ = next(Corpus(20).entries())
    assert read_manifest(tmp_path / "lessons" / first.id).entry == first


def test_the_questions_find_something(tmp_path: Path) -> None:
    corpus = Corpus(60)
    corpus.write(tmp_path)
    shelf = Catalogue(tmp_path)
    shelf.reconcile(tmp_path)
    for kind, query in catalogue._questions(corpus, 3):
        found = shelf.search(query)
        assert found.total > 0, (kind, query)
        assert found.hits or query.offset, (kind, query)
    shelf.close()


def test_an_answer(tmp_path: Path) -> None:
    options = argparse.Namespace(lessons=30, questions=1, databases=["sqlite"])
    answer = catalogue.run(options)
    assert answer["lessons"] == 30
    assert 0 < answer["search_p95_ms"] == answer["sqlite"]["search_p95_ms"]
    assert {row["kind"] for row in answer["sqlite"]["kinds"]} == set(catalogue._KINDS)
    assert answer["sqlite"]["size_mb"] > 0
