"""The catalogue: found, searched, and made again from the archives."""

from dataclasses import replace
from pathlib import Path

import pytest

from recorder.archive import Audio, Entry, LessonFolder, Manifest, View, entry_from_id
from recorder.catalogue import FILE, Catalogue
from recorder.errors import CatalogueError


def entry(number: int, lesson: str = "math", title: str = "", state: str = "complete") -> Entry:
    made = entry_from_id(f"20260921-1413{number:02d}-{lesson}-00aa")
    return replace(made, title=title or lesson, state=state)


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue(tmp_path)


def test_an_entry_comes_back_as_it_was(catalogue: Catalogue):
    view = View("camera", "H264", 1280, 720, hls="camera.m3u8")
    full = replace(
        entry(1),
        duration_s=12.5,
        views=(view,),
        audio=Audio("opus", "audio.m3u8"),
        downloads=("a",),
    )
    catalogue.save(full)
    assert catalogue.find(full.id) == full
    assert catalogue.find("unknown") is None


def test_saving_again_replaces(catalogue: Catalogue):
    catalogue.save(entry(1, state="live"))
    catalogue.save(entry(1, state="complete"))
    assert [found.state for found in catalogue.search(limit=10)] == ["complete"]


def test_newest_first_by_pages(catalogue: Catalogue):
    for number in range(5):
        catalogue.save(entry(number))
    pages = [catalogue.search(limit=2, offset=offset) for offset in (0, 2, 4)]
    assert [found for page in pages for found in page] == [entry(n) for n in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", 3),
        ("fractions", 1),
        ("FRACTIONS grade", 1),
        ("分数", 1),
        ("数学", 1),
        ("100%", 0),
        ("_", 0),
        ("fractions 分数", 0),
    ],
)
def test_search_wants_every_word(catalogue: Catalogue, words: str, found: int):
    catalogue.save(entry(1, "math", "Fractions, grade 4"))
    catalogue.save(entry(2, "数学", "分数的加法"))
    catalogue.save(entry(3, "history", "1000 years"))
    assert len(catalogue.search(words, limit=10)) == found


def test_only_the_lessons_one_may_see(catalogue: Catalogue):
    catalogue.save(entry(1, "math"))
    catalogue.save(entry(2, "history"))
    assert [e.lesson for e in catalogue.search(lessons=["math"], limit=10)] == ["math"]
    assert catalogue.search(lessons=[], limit=10) == []
    assert sorted(catalogue.lessons()) == ["history", "math"]


def archived(data_dir: Path, made: Entry) -> Path:
    folder = data_dir / "lessons" / made.id
    folder.mkdir(parents=True)
    LessonFolder(folder).write_manifest(Manifest(made))
    return folder


@pytest.mark.parametrize("damage", ["lost", "garbage"])
def test_a_lost_or_damaged_catalogue_is_made_again(tmp_path: Path, damage: str):
    archived(tmp_path, entry(1))
    archived(tmp_path, entry(2, "history"))
    Catalogue(tmp_path).reconcile(tmp_path)
    if damage == "lost":
        (tmp_path / FILE).unlink()
    else:
        (tmp_path / FILE).write_bytes(b"this is no database" * 100)
    again = Catalogue(tmp_path)
    again.reconcile(tmp_path)
    assert {found.lesson for found in again.search(limit=10)} == {"math", "history"}


def test_a_lesson_whose_folder_is_gone_is_forgotten(tmp_path: Path, catalogue: Catalogue):
    catalogue.save(entry(1))
    catalogue.reconcile(tmp_path)
    assert catalogue.search(limit=10) == []


def test_a_lesson_that_was_finished_while_nobody_wrote_it_down(tmp_path: Path, catalogue):
    archived(tmp_path, entry(1))
    catalogue.save(entry(1, state="finishing"))
    catalogue.reconcile(tmp_path)
    assert catalogue.find(entry(1).id).state == "complete"


def test_a_damaged_manifest_does_not_stop_the_others(tmp_path: Path, catalogue: Catalogue):
    (archived(tmp_path, entry(1)) / "manifest.json").write_text("{")
    archived(tmp_path, entry(2))
    catalogue.reconcile(tmp_path)
    assert [found.id for found in catalogue.search(limit=10)] == [entry(2).id]


def test_a_folder_that_is_no_folder_is_one_sentence(tmp_path: Path):
    with pytest.raises(CatalogueError, match="cannot be opened"):
        Catalogue(tmp_path / "missing")


def test_two_processes_may_open_it_at_once(tmp_path: Path, catalogue: Catalogue):
    catalogue.save(entry(1))
    assert Catalogue(tmp_path).find(entry(1).id) == entry(1)
