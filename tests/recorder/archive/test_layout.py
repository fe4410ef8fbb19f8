"""The folder on disk: whole files, nothing rewritten, a manifest that can be trusted."""

import json
from pathlib import Path

import pytest

from recorder.archive import layout as archive
from recorder.archive.layout import Entry, Gap, LessonFolder, Manifest, View, read_manifest, verify
from recorder.errors import ArchiveError
from recorder.pipeline.playlist import MediaPlaylist, Segment


@pytest.fixture
def lesson(folder: Path) -> LessonFolder:
    return LessonFolder(folder)


@pytest.fixture
def entry(folder: Path) -> Entry:
    return archive.entry_from_id(folder.name)


def test_a_published_file_is_written_once(lesson: LessonFolder):
    lesson.publish("camera/000001.m4s", b"segment")
    before = (lesson.media / "camera/000001.m4s").stat()
    lesson.publish("camera/000001.m4s", b"segment")
    after = (lesson.media / "camera/000001.m4s").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert lesson.bytes == 7


def test_a_file_torn_by_a_power_cut_is_mended(lesson: LessonFolder):
    lesson.publish("camera/000001.m4s", b"segment")
    (lesson.media / "camera/000001.m4s").write_bytes(b"seg\0\0\0\0")
    lesson.publish("camera/000001.m4s", b"segment")
    assert (lesson.media / "camera/000001.m4s").read_bytes() == b"segment"


@pytest.mark.damaged("manifests of its own making, without what they name")
def test_the_manifest_comes_back_and_verifies(lesson: LessonFolder, entry: Entry):
    lesson.publish("audio/000001.m4s", b"abc")
    view = View("camera", "H264", 1280, 720, hls="camera.m3u8")
    complete = Entry(**{**_fields(entry), "state": "complete", "views": (view,)})
    assert not lesson.finished
    lesson.write_manifest(Manifest(complete, gaps=[Gap("audio", 1.0, 2.0, "loss")]))
    assert lesson.finished
    manifest = read_manifest(lesson.path)
    assert manifest.entry == complete
    assert manifest.gaps == [Gap("audio", 1.0, 2.0, "loss")]
    assert manifest.files == {
        "audio/000001.m4s": {
            "size": 3,
            "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        }
    }
    assert verify(lesson.path) == []


@pytest.mark.parametrize("flip", ["content", "missing"])
def test_verify_names_the_file_that_changed(lesson: LessonFolder, entry: Entry, flip: str):
    lesson.publish("a.m4s", b"abc")
    lesson.write_manifest(Manifest(entry))
    if flip == "content":
        (lesson.media / "a.m4s").write_bytes(b"abd")
    else:
        (lesson.media / "a.m4s").unlink()
    (sentence,) = verify(lesson.path)
    assert sentence.startswith("media/a.m4s: ")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"entry": {}}', '{"entry": 3, "gaps": []}'])
@pytest.mark.damaged("manifests of its own making, without what they name")
def test_a_manifest_that_is_none_is_an_archive_error(lesson: LessonFolder, text: str):
    (lesson.path / "manifest.json").write_text(text)
    with pytest.raises(ArchiveError):
        read_manifest(lesson.path)


def test_no_manifest_is_no_file(lesson: LessonFolder):
    with pytest.raises(FileNotFoundError):
        read_manifest(lesson.path)


def test_a_playlist_on_disk_never_shrinks(lesson: LessonFolder):
    full, short = MediaPlaylist(0.0), MediaPlaylist(0.0)
    for number in range(3):
        full.append(Segment(f"{number}.m4s", "init", number * 2.0, 2.0, 9))
    lesson.replace_playlist("camera/index.m3u8", full)
    resumed = LessonFolder(lesson.path)
    short.append(Segment("0.m4s", "init", 0.0, 2.0, 9))
    resumed.replace_playlist("camera/index.m3u8", short)
    assert (lesson.media / "camera/index.m3u8").read_text().count("#EXTINF") == 3
    full.ended = True
    resumed.replace_playlist("camera/index.m3u8", full)
    assert "#EXT-X-ENDLIST" in (lesson.media / "camera/index.m3u8").read_text()


def test_nothing_is_made_again_in_a_folder_that_is_gone(tmp_path: Path):
    lesson = LessonFolder(tmp_path / "gone")
    with pytest.raises(FileNotFoundError):
        lesson.publish("camera/000001.m4s", b"x")
    assert not (tmp_path / "gone").exists()


def test_a_failed_write_leaves_what_was_there(lesson: LessonFolder, monkeypatch):
    lesson.replace("camera.m3u8", b"old")

    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        lesson.replace("camera.m3u8", b"new")
    assert (lesson.media / "camera.m3u8").read_bytes() == b"old"


def test_an_id_tells_the_lesson_and_its_start():
    entry = archive.entry_from_id("20260921-141320-数学-2-00aa")
    assert (entry.lesson, entry.started_at) == ("数学-2", 1_790_000_000.0)


@pytest.mark.parametrize(
    "name", ["", "math", "20260921-141320-math", "20261321-141320-math-00aa", "../x"]
)
def test_what_is_no_id_is_refused(name: str):
    with pytest.raises(ArchiveError):
        archive.entry_from_id(name)


def test_only_lesson_folders_are_listed(folder: Path):
    (folder.parent / "lost+found").mkdir()
    assert list(archive.lesson_folders(folder.parent.parent)) == [folder]
    assert list(archive.lesson_folders(folder)) == []


def _fields(entry: Entry) -> dict:
    return {name: getattr(entry, name) for name in Entry.__slots__}


def test_the_manifest_is_readable_json(lesson: LessonFolder, entry: Entry):
    lesson.write_manifest(Manifest(entry))
    value = json.loads((lesson.path / "manifest.json").read_text())
    assert value["version"] == 1
    assert value["entry"]["lesson"] == "math"
