"""The catalogue: found, edited, and made again from the archives."""

import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.exc import DatabaseError

from recorder.archive import details, talk
from recorder.archive.layout import Audio, View
from recorder.catalogue import FILE, Catalogue, Query, Sort
from recorder.errors import CatalogueError, DetailsError
from tests.recorder.catalogue.conftest import Open, archived, entry


def ids(catalogue: Catalogue, query: Query) -> list[str]:
    return [hit.entry.id for hit in catalogue.search(query).hits]


def test_an_entry_comes_back_as_it_was(catalogue: Catalogue):
    view = View("camera", "H264", 1280, 720, hls="camera.m3u8")
    full = replace(
        entry(1, school="山顶小学", tags=("a", "b"), notes="one\ntwo", keep_until=2e9),
        duration_s=12.5,
        views=(view,),
        audio=Audio("opus", "audio.m3u8"),
        downloads=("a",),
    )
    catalogue.save(full)
    assert catalogue.find(full.id) == full
    assert catalogue.find("unknown") is None


def test_saving_again_replaces(catalogue: Catalogue):
    catalogue.save(entry(1, title="before", state="live"))
    catalogue.save(entry(1, title="after", state="complete"))
    assert [hit.entry.state for hit in catalogue.search(Query()).hits] == ["complete"]
    assert ids(catalogue, Query("before")) == []
    assert ids(catalogue, Query("after")) == [entry(1).id]


def test_newest_first_by_pages(catalogue: Catalogue):
    for number in (3, 0, 4, 1, 2):
        catalogue.save(entry(number))
    pages = [catalogue.search(Query(limit=2, offset=offset)) for offset in (0, 2, 4)]
    found = [hit.entry for page in pages for hit in page.hits]
    assert found == [entry(number) for number in (4, 3, 2, 1, 0)]
    assert [page.total for page in pages] == [5, 5, 5]


def test_lessons_of_one_second_are_all_there(catalogue: Catalogue):
    names = ["a", "b", "c"]
    for name in names:
        catalogue.save(entry(1, name))
    assert sorted(catalogue.lessons()) == names
    assert catalogue.search(Query()).total == 3


def test_oldest_and_longest_first(catalogue: Catalogue):
    for number, length in ((1, 50.0), (2, 10.0), (3, 90.0)):
        catalogue.save(entry(number, title="分数", duration_s=length))
    for words in ("", "分数"):
        oldest = ids(catalogue, Query(words, sort=Sort.OLDEST))
        longest = ids(catalogue, Query(words, sort=Sort.LONGEST))
        assert oldest == [entry(number).id for number in (1, 2, 3)]
        assert longest == [entry(number).id for number in (3, 1, 2)]


def test_only_the_lessons_one_may_see(catalogue: Catalogue):
    catalogue.save(entry(1, "math"))
    catalogue.save(entry(2, "history"))
    assert ids(catalogue, Query(lessons=["math"])) == [entry(1, "math").id]
    assert ids(catalogue, Query(lessons=[])) == []
    assert sorted(catalogue.lessons()) == ["history", "math"]


def test_an_edit_outlives_what_the_recorder_says_later(tmp_path: Path, catalogue: Catalogue):
    (tmp_path / "lessons" / entry(1).id).mkdir(parents=True)
    catalogue.save(entry(1, title="recorded", state="live"))
    edited = catalogue.edit(entry(1).id, {"title": "Fractions", "school": "Hilltop", "hold": True})
    assert (edited.title, edited.school, edited.hold) == ("Fractions", "Hilltop", True)
    catalogue.save(entry(1, title="recorded"))
    assert catalogue.find(entry(1).id) == replace(edited, state="complete")
    assert ids(catalogue, Query("fractions hilltop")) == [entry(1).id]
    assert ids(catalogue, Query("recorded")) == []
    assert catalogue.edit(entry(1).id, {"title": None}).title == "recorded"
    assert ids(catalogue, Query("recorded")) == [entry(1).id]


def test_edits_that_cannot_be_change_nothing(tmp_path: Path, catalogue: Catalogue):
    folder = archived(tmp_path, entry(1))
    catalogue.save(entry(1))
    with pytest.raises(DetailsError, match="language must be a tag"):
        catalogue.edit(entry(1).id, {"title": "new", "language": "no tag!"})
    assert catalogue.find(entry(1).id) == entry(1)
    assert not (folder / details.FILE).exists()
    with pytest.raises(FileNotFoundError):
        catalogue.edit(entry(2).id, {"title": "new"})


def test_edits_at_the_same_time_are_all_kept(
    tmp_path: Path, catalogue: Catalogue, url: str, opened: Open
):
    archived(tmp_path, entry(1))
    catalogue.save(entry(1))
    names = ("school", "subject", "grade", "teacher", "series", "notes")

    def edit(name: str) -> None:
        opened(tmp_path, url).edit(entry(1).id, {name: f"the {name}"})

    threads = [threading.Thread(target=edit, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    found = catalogue.find(entry(1).id)
    assert found is not None
    assert [getattr(found, name) for name in names] == [f"the {name}" for name in names]


def test_what_was_written_is_found_and_shown(tmp_path: Path, catalogue: Catalogue):
    folder = archived(tmp_path, entry(1))
    said = talk.Talk()
    said.add(125.2, {"from": "s7", "name": "Hilltop", "text": "分母为什么是三？"})
    said.write(folder)
    catalogue.save(entry(1))
    (hit,) = catalogue.search(Query("分母")).hits
    (passage,) = hit.passages
    assert (passage.where, passage.t, passage.name) == ("chat", 125.2, "Hilltop")
    assert passage.parts == ("", "分母", "为什么是三？")
    assert [message.text for message in catalogue.talk(entry(1).id)] == ["分母为什么是三？"]
    assert catalogue.talk("unknown") == []


def test_a_lesson_whose_folder_is_gone_is_forgotten(tmp_path: Path, catalogue: Catalogue):
    catalogue.save(entry(1, title="gone"))
    catalogue.reconcile(tmp_path)
    assert catalogue.search(Query()).total == 0
    assert catalogue.search(Query("gone")).total == 0
    assert catalogue.find(entry(1).id) is None


def test_a_lesson_that_was_finished_while_nobody_wrote_it_down(tmp_path: Path, catalogue):
    archived(tmp_path, entry(1))
    catalogue.save(entry(1, state="finishing"))
    catalogue.reconcile(tmp_path)
    assert catalogue.find(entry(1).id).state == "complete"


@pytest.mark.damaged("its manifest ends after a byte")
def test_a_damaged_manifest_does_not_stop_the_others(tmp_path: Path, catalogue: Catalogue):
    (archived(tmp_path, entry(1)) / "manifest.json").write_text("{")
    archived(tmp_path, entry(2))
    catalogue.reconcile(tmp_path)
    assert ids(catalogue, Query()) == [entry(2).id]


def test_it_is_made_again_with_edits_and_chat(tmp_path: Path, catalogue: Catalogue):
    folder = archived(tmp_path, entry(1))
    details.edit(folder, {"title": "分数的加法", "hold": True})
    said = talk.Talk()
    said.add(1.0, {"text": "hello", "name": "a"})
    said.write(folder)
    catalogue.reconcile(tmp_path)
    assert [ids(catalogue, Query(words)) for words in ("加法", "hello")] == [[entry(1).id]] * 2
    assert catalogue.find(entry(1).id) == entry(1, title="分数的加法", hold=True)


@pytest.mark.parametrize("damage", ["lost", "garbage"])
def test_a_lost_or_damaged_file_is_made_again(tmp_path: Path, damage: str, opened: Open):
    archived(tmp_path, entry(1))
    archived(tmp_path, entry(2, "history"))
    opened(tmp_path).reconcile(tmp_path)
    if damage == "lost":
        (tmp_path / FILE).unlink()
    else:
        (tmp_path / FILE).write_bytes(b"this is no database" * 100)
    again = opened(tmp_path)
    again.reconcile(tmp_path)
    assert {hit.entry.lesson for hit in again.search(Query()).hits} == {"math", "history"}


@pytest.mark.parametrize("first_page", [1, 2, 20])
def test_damage_within_is_found_in_use_and_mended(tmp_path: Path, first_page: int, opened: Open):
    for number in range(30):
        archived(tmp_path, entry(number, notes="分数" * 200))
    first = opened(tmp_path)
    first.reconcile(tmp_path)
    first.close()
    path = tmp_path / FILE
    data = bytearray(path.read_bytes())
    for place in range(first_page * 4_096, len(data) - 4_096, 4_096):
        data[place : place + 64] = bytes(range(64))
    path.write_bytes(data)
    again = opened(tmp_path)
    again.reconcile(tmp_path)  # as the worker does at its start
    query = Query("分数", facets=True)
    with suppress(DatabaseError):  # it may have been found by then
        again.search(query)
    assert again.search(query).total == 30
    assert list(tmp_path.glob(FILE + "*.damaged"))


def test_a_file_that_vanishes_in_use_is_made_again(tmp_path: Path, opened: Open):
    archived(tmp_path, entry(1))
    catalogue = opened(tmp_path)
    catalogue.reconcile(tmp_path)
    for path in tmp_path.glob(FILE + "*"):
        path.unlink()
    with pytest.raises(DatabaseError):
        catalogue.search(Query())
    assert catalogue.search(Query()).total == 1


def test_a_file_that_another_process_replaced_is_followed(tmp_path: Path, opened: Open):
    archived(tmp_path, entry(1))
    reader = opened(tmp_path)
    assert reader.search(Query()).total == 0
    for path in tmp_path.glob(FILE + "*"):
        path.unlink()
    opened(tmp_path).reconcile(tmp_path)
    assert reader.search(Query()).total == 1


def test_a_shared_database_keeps_what_other_data_folders_have(
    tmp_path: Path, fresh_schema: str, opened: Open
):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    archived(ours, entry(1))
    archived(theirs, entry(2))
    first, second = opened(ours, fresh_schema), opened(theirs, fresh_schema)
    second.reconcile(theirs)
    first.reconcile(ours)
    assert ids(first, Query()) == [entry(2).id, entry(1).id]
    with pytest.raises(FileNotFoundError):
        first.edit(entry(2).id, {"title": "not ours"})


def test_a_folder_that_is_no_folder_is_one_sentence(tmp_path: Path):
    with pytest.raises(CatalogueError, match="cannot be opened"):
        Catalogue(tmp_path / "missing")


@pytest.mark.parametrize(
    "bad",
    ["postgresql+psycopg://u:secret@127.0.0.1:1/x", "mysql://u:secret@h/x", "x", "sqlite://"],
)
def test_a_database_that_is_none_is_one_sentence_without_its_password(tmp_path: Path, bad: str):
    with pytest.raises(CatalogueError) as caught:
        Catalogue(tmp_path, bad)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_processes_may_open_it_at_once(
    tmp_path: Path, catalogue: Catalogue, url: str, opened: Open
):
    catalogue.save(entry(1))
    assert opened(tmp_path, url).find(entry(1).id) == entry(1)
