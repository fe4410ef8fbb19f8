"""A catalogue that lacks many lessons: the page lists what is there while the rest is made."""

import logging
from pathlib import Path

import pytest

from recorder.archive import aftercare, details
from recorder.catalogue import FILE, Catalogue, Query, restoring
from recorder.worker import Worker
from tests.recorder.archive.test_helpers import Office
from tests.recorder.catalogue.conftest import Open, archived, entry
from tests.recorder.catalogue.test_migrations import write_old

MANY = 12


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve lessons are many here, of which four are a batch."""
    monkeypatch.setattr(restoring, "FEW", 3)
    monkeypatch.setattr(restoring, "BATCH", 4)


@pytest.fixture
def shelf(tmp_path: Path) -> list[str]:
    """Twelve lessons on disk, the newest first."""
    for number in range(MANY):
        archived(tmp_path, entry(number, title="分数"))
    return [entry(number).id for number in reversed(range(MANY))]


def ids(catalogue: Catalogue, words: str = "") -> list[str]:
    return [hit.entry.id for hit in catalogue.search(Query(words)).hits]


def nobody(directory: str) -> object:
    raise AssertionError(f"{directory} is no journal to be read")


def test_the_page_lists_the_newest_while_the_rest_is_made(
    tmp_path: Path, shelf: list[str], catalogue: Catalogue
):
    catalogue.begin()
    assert ids(catalogue) == []
    listed: list[list[str]] = []

    def meanwhile(seconds: float) -> None:
        listed.append(ids(catalogue))
        assert ids(catalogue, "分数") == listed[-1]

    assert restoring.wanted(tmp_path)
    assert restoring.restore(catalogue, tmp_path, sleep=meanwhile)
    assert listed[:3] == [shelf[:4], shelf[:8], shelf]
    assert not restoring.wanted(tmp_path)


def test_a_worker_begins_at_once_and_a_helper_makes_up_for_many(
    tmp_path: Path, shelf: list[str], opened: Open
):
    worker = Worker(tmp_path, nobody)  # type: ignore[arg-type]
    worker.round()
    assert worker.archived == MANY
    assert ids(worker.catalogue) == []
    office = Office(tmp_path)
    assert office.tick() == ["catalogue"]
    assert aftercare.restore_catalogue(tmp_path)
    assert ids(worker.catalogue) == shelf
    office.end()
    assert office.tick(1.0) == []
    worker.catalogue.close()


def test_a_few_are_made_up_for_at_once(tmp_path: Path, catalogue: Catalogue):
    for number in range(3):
        archived(tmp_path, entry(number))
    catalogue.begin()
    assert len(ids(catalogue)) == 3
    assert not restoring.wanted(tmp_path)


def test_how_far_it_is_can_be_read_in_the_log(
    tmp_path: Path, shelf: list[str], catalogue: Catalogue, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    now = iter(range(0, 600, 6)).__next__
    restoring.restore(catalogue, tmp_path, clock=lambda: float(now()))
    said = [record.getMessage() for record in caplog.records]
    assert said == [f"the catalogue is made anew: {n} of {MANY} lessons" for n in (4, 8, 12)]


def test_a_lesson_without_its_row_is_shown_and_edited(
    tmp_path: Path, shelf: list[str], catalogue: Catalogue
):
    catalogue.begin()
    details.edit(tmp_path / "lessons" / shelf[5], {"school": "Hilltop"})
    found = catalogue.find(shelf[5])
    assert found is not None
    assert (found.title, found.school) == ("分数", "Hilltop")
    assert catalogue.edit(shelf[5], {"title": "Halves"}).school == "Hilltop"
    assert ids(catalogue, "halves") == [shelf[5]]
    assert catalogue.find("../" + shelf[5]) is None


def test_lessons_are_written_meanwhile_and_what_is_deleted_stays_away(
    tmp_path: Path, shelf: list[str], catalogue: Catalogue, url: str, opened: Open
):
    live = entry(59, "art", state="live")
    (tmp_path / "lessons" / live.id).mkdir()
    other = opened(tmp_path, url)

    def meanwhile(seconds: float) -> None:
        other.save(live)
        doomed = tmp_path / "lessons" / shelf[-1]
        if doomed.exists():
            other.remove(shelf[-1])
        if ids(catalogue)[-1] == shelf[-1] and doomed.exists():  # its row came just before it went
            doomed.rename(doomed.with_name("gone"))

    assert restoring.restore(catalogue, tmp_path, sleep=meanwhile)
    assert ids(catalogue) == [live.id, *shelf[:-1]]


def test_what_is_broken_off_goes_on_where_it_was(
    tmp_path: Path, shelf: list[str], catalogue: Catalogue
):
    catalogue.begin()
    left = iter([False, True]).__next__
    assert not restoring.restore(catalogue, tmp_path, left)
    assert ids(catalogue) == shelf[:4]
    assert restoring.wanted(tmp_path)
    assert restoring.restore(catalogue, tmp_path)
    assert ids(catalogue) == shelf


def test_who_asks_meanwhile_is_heard(tmp_path: Path, shelf: list[str], catalogue: Catalogue):
    catalogue.begin()
    mark = tmp_path / restoring.FILE

    def meanwhile(seconds: float) -> None:
        mark.unlink(missing_ok=True)
        catalogue.remove(shelf[0])
        catalogue.remove(shelf[1])
        mark.touch()

    restoring.restore(catalogue, tmp_path, sleep=meanwhile)
    assert restoring.wanted(tmp_path)


def test_a_catalogue_of_the_first_version_opens_at_once_and_is_indexed_later(
    tmp_path: Path, shelf: list[str], opened: Open
):
    write_old(tmp_path / FILE, [entry(number, title="分数") for number in range(MANY)])
    catalogue = opened(tmp_path)
    assert ids(catalogue) == shelf
    assert ids(catalogue, "分数") == []
    catalogue.begin()
    assert restoring.wanted(tmp_path)
    assert aftercare.restore_catalogue(tmp_path)
    assert ids(catalogue, "分数") == shelf


def test_a_catalogue_lost_in_use_is_made_again_beside_those_who_look(
    tmp_path: Path, shelf: list[str], opened: Open
):
    catalogue = opened(tmp_path)
    catalogue.reconcile(tmp_path)
    for path in tmp_path.glob(FILE + "*"):
        path.unlink()
    with pytest.raises(Exception, match="no such table"):
        catalogue.search(Query())
    assert catalogue.find(shelf[0]) is not None
    assert restoring.wanted(tmp_path)
    assert restoring.restore(catalogue, tmp_path)
    assert ids(catalogue) == shelf
