"""`tongbu archive` as a user types it: answers, sentences, exit codes."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from recorder.archive import policy, upload
from recorder.archive.extras.make import make
from recorder.archive.layout import read_entry, verify
from recorder.archive.policy import Policy, Rule
from recorder.archive.storage import Storage
from recorder.catalogue import Catalogue
from recorder.pipeline.lesson import LessonRecorder
from sfu._media import JournalReader
from signaling.cli import main
from tests.recorder import s3, tbj
from tests.recorder.importing.films import film
from tests.recorder.journals import Journal, lesson

IDS = ("20260921-141320-math-00aa", "20260921-141320-art-00bb")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with two lessons."""
    for name, codec in zip(IDS, ("H264", "VP8"), strict=True):
        folder = tmp_path / "lessons" / name
        folder.mkdir(parents=True)
        title = name.split("-")[2]
        journal = lesson(codec, 4, journal=Journal().start(title, title))
        tbj.write(journal, folder / "journal")
        recorder = LessonRecorder(folder, JournalReader)
        while not recorder.over:
            recorder.step(2_000)
        recorder.finish()
        make(folder, JournalReader)
        Catalogue(tmp_path).save(read_entry(folder))
    return tmp_path


def tongbu(data: Path, *words: str) -> Result:
    result = CliRunner().invoke(main, ["archive", "--data-dir", str(data), *words])
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def refused(data: Path, *words: str) -> str:
    result = tongbu(data, *words)
    assert result.exit_code == 2, result.output
    sentence = result.output.strip().splitlines()[-1]
    assert sentence.startswith("Error: ")
    return sentence


def test_lessons_are_listed(data: Path):
    result = tongbu(data, "list")
    assert result.exit_code == 0
    assert all(name in result.output for name in IDS)
    assert "0:00:04" in result.output
    found = [json.loads(line) for line in tongbu(data, "list", "--json").output.splitlines()]
    assert {entry["id"] for entry in found} == set(IDS)
    assert tongbu(data, "list", "--state", "degraded", "--json").output == ""
    assert tongbu(data, "list", "nothing-of-this-name", "--json").output == ""


def test_a_lesson_is_shown_by_its_id_or_a_part_of_it(data: Path):
    assert "camera (H264 320x180)" in tongbu(data, "show", IDS[0]).output
    value = json.loads(tongbu(data, "show", "math", "--json").output)
    assert (value["id"], value["where"], value["stored_at"]) == (IDS[0], "here", None)


@pytest.mark.parametrize("name", ["", "..", "../lessons", "/etc", "20260921", "nothing"])
def test_what_names_no_lesson_is_a_sentence(data: Path, name: str):
    for command in (("show", name), ("verify", name), ("repair", name), ("export", name, "x.tar")):
        assert "lesson" in refused(data, *command)


def test_a_flipped_bit_is_found_and_mended(data: Path):
    assert "2 of 2 lessons are whole." in tongbu(data, "verify").output
    target = data / "lessons" / IDS[0] / "media" / "camera" / "000001.m4s"
    changed = bytearray(target.read_bytes())
    changed[99] ^= 1
    target.write_bytes(changed)
    result = tongbu(data, "verify")
    assert result.exit_code == 1
    assert f"{IDS[0]}: media/camera/000001.m4s: the content has changed" in result.output
    result = tongbu(data, "verify", IDS[0], "--json")
    assert len(json.loads(result.output)["wrong"]) == 1
    result = tongbu(data, "repair", "math")
    assert (result.exit_code, result.output) == (0, f"{IDS[0]}: 1 files mended.\n")
    assert tongbu(data, "verify").exit_code == 0


def test_what_cannot_be_mended_is_told(data: Path):
    folder = data / "lessons" / IDS[0]
    journal = next((folder / "journal").glob("[!l]*"))
    changed = bytearray(journal.read_bytes())
    changed[len(changed) // 2] ^= 1
    journal.write_bytes(changed)
    result = tongbu(data, "repair", IDS[0])
    assert result.exit_code == 1
    assert f"journal/{journal.name}: the content has changed" in result.output


def test_the_catalogue_is_made_anew(data: Path):
    (data / "catalogue.sqlite").unlink()
    assert "The catalogue has 2 lessons." in tongbu(data, "repair", "--catalogue").output
    assert IDS[0] in tongbu(data, "list").output
    assert "Name the lessons" in refused(data, "repair")


def test_lessons_are_exported(data: Path, tmp_path: Path):
    for name in ("x.mp4", "x.tar", "folder"):
        result = tongbu(data, "export", "math", str(tmp_path / name))
        assert result.exit_code == 0, result.output
        assert (tmp_path / name).exists()
    assert verify(tmp_path / "folder") == []
    assert "ends with .webm" in refused(data, "export", "art", str(tmp_path / "y.mp4"))
    assert "no such view" in refused(data, "export", "math", str(tmp_path / "z.mp4"), "--view", "x")
    assert "No such file" in refused(data, "export", "math", str(tmp_path / "none" / "x.mp4"))


def test_films_are_imported(data: Path, tmp_path: Path):
    path = film(tmp_path / "old.mp4", seconds=2)
    result = tongbu(data, "import", str(path), "--title", "旧课", "--date", "2024-05-06T07:08:09Z")
    assert result.exit_code == 0, result.output
    lesson_id = result.output.strip().splitlines()[-1]
    assert lesson_id.startswith("20240506-070809-old-")
    assert "旧课" in tongbu(data, "list").output
    assert tongbu(data, "verify", lesson_id).exit_code == 0
    assert "not a date" in refused(data, "import", str(path), "--date", "soon")
    assert "--lesson must be" in refused(data, "import", str(path), "--lesson", "../x")
    assert "is no file" in refused(data, "import", str(tmp_path / "none.mp4"))
    (tmp_path / "bad.mp4").write_text("no film")
    assert "no video file" in refused(data, "import", str(tmp_path / "bad.mp4"))


def test_rules_are_shown_before_they_are_carried_out(data: Path, monkeypatch):
    policy.write(data, Policy(retention=(Rule(30, lesson="math"),)))
    monkeypatch.setattr("signaling.archive_cli.time.time", lambda: 1_790_000_000.0 + 31 * 86_400)
    shown = tongbu(data, "prune")
    assert f"delete  {IDS[0]}  older than 30 days (lesson math)" in shown.output
    assert "1 of 2 lessons would be deleted or freed." in shown.output
    assert (data / "lessons" / IDS[0]).exists()
    (line,) = tongbu(data, "prune", "--json").output.splitlines()
    assert json.loads(line)["action"] == "delete"
    assert "1 of 2 lessons deleted or freed." in tongbu(data, "prune", "--yes").output
    assert not (data / "lessons" / IDS[0]).exists()
    assert (data / "lessons" / IDS[1]).exists()


def test_a_data_folder_that_is_not_there_is_told(tmp_path: Path):
    assert "no data folder" in refused(tmp_path / "none", "list")


def test_without_a_storage_there_is_nothing_to_check_in_it(data: Path):
    assert "no storage is configured" in refused(data, "verify", "--remote")


def test_a_damaged_manifest_is_a_sentence(data: Path):
    (data / "lessons" / IDS[0] / "manifest.json").write_text('{"entry": 3}')
    assert "manifest cannot be read" in refused(data, "show", IDS[0])
    assert tongbu(data, "verify").exit_code == 1


def test_a_lesson_in_the_storage_is_checked_and_exported(data: Path, tmp_path: Path, monkeypatch):
    for name, value in s3.CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with s3.moto() as url:
        policy.write(data, Policy(f"s3://{s3.BUCKET}/cli", url))
        storage = Storage(f"s3://{s3.BUCKET}/cli", url)
        upload.store(data / "lessons" / IDS[0], storage, 1.0)
        upload.free(data / "lessons" / IDS[0], storage)
        assert "storage" in tongbu(data, "list").output
        assert tongbu(data, "verify", "--remote", "--read-back", "math").exit_code == 0
        result = tongbu(data, "verify", "--remote")
        assert result.exit_code == 1
        assert f"{IDS[1]}: It is not in the storage." in result.output
        assert tongbu(data, "export", "math", str(tmp_path / "x.mp4")).exit_code == 0
        assert (tmp_path / "x.mp4").stat().st_size > 10_000


def test_a_lesson_on_hold_is_not_pruned(data: Path, monkeypatch):
    policy.write(data, Policy(retention=(Rule(1),)))
    monkeypatch.setattr("signaling.archive_cli.time.time", lambda: 1_790_000_000.0 + 9 * 86_400)
    assert tongbu(data, "hold", "math").output == f"{IDS[0]}: on hold\n"
    assert "yes" in tongbu(data, "show", "math").output.split("hold")[1]
    assert "1 of 2 lessons deleted" in tongbu(data, "prune", "--yes").output
    assert (data / "lessons" / IDS[0]).exists()
    tongbu(data, "hold", "math", "--release")
    assert "1 of 1 lessons deleted" in tongbu(data, "prune", "--yes").output
