"""`tongbu journal`: what it finds, shows, writes, and how it refuses."""

import json
import struct
import zlib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from signaling.cli import main
from tests.recorder import tbj
from tests.recorder.journals import lesson

OLDER, NEWER = "20260921-141320-math-00aa", "20260922-141320-math-00bb"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Two lessons of one name."""
    for name, seconds in ((OLDER, 2), (NEWER, 4)):
        tbj.write(lesson("H264", seconds), tmp_path / "lessons" / name / "journal")
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["journal", *map(str, arguments)])


def inspected(*arguments: object) -> dict[str, object]:
    result = run("inspect", *arguments, "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert isinstance(facts, dict)
    return facts


def test_a_lesson_is_found_by_its_id_its_name_and_its_folders(data_dir: Path) -> None:
    older = data_dir / "lessons" / OLDER
    for where in (OLDER, older, older / "journal", older / "journal" / "00000001.tbj"):
        assert inspected(where, "--data-dir", data_dir)["path"] == str(older / "journal")
    newest = inspected("math", "--data-dir", data_dir)
    assert newest["path"] == str(data_dir / "lessons" / NEWER / "journal")


def test_the_data_folder_may_come_from_the_environment(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TONGBU_DATA_DIR", str(data_dir))
    assert inspected(NEWER)["state"] == "ended"


def test_a_person_sees_tables(data_dir: Path) -> None:
    result = run("inspect", NEWER, "--data-dir", data_dir)
    assert result.exit_code == 0
    for word in ("ended", "H264", "opus", "camera", "lesson_started", "SR"):
        assert word in result.stdout
    assert "damage" not in result.stdout


def test_damage_is_shown_and_is_exit_code_1(data_dir: Path) -> None:
    segment = data_dir / "lessons" / NEWER / "journal" / "00000001.tbj"
    segment.write_bytes(segment.read_bytes()[:-7])
    result = run("inspect", NEWER, "--data-dir", data_dir)
    assert result.exit_code == 1
    assert "damage" in result.stdout


@pytest.mark.parametrize("form", ["pcapng", "rtpdump"])
def test_export_writes_a_file(data_dir: Path, form: str, tmp_path: Path) -> None:
    out = tmp_path / f"lesson.{form}"
    result = run("export", "math", "--data-dir", data_dir, "--format", form, "-o", out)
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith(f"packets in {out}\n")
    heads = {"pcapng": b"\x0a\x0d\x0d\x0a", "rtpdump": b"#!rtpplay1.0 "}
    assert out.read_bytes().startswith(heads[form])


def test_an_export_that_fails_leaves_what_was_there(data_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "lesson.pcapng"
    out.write_text("mine")
    arguments = ("math", "--data-dir", data_dir, "--format", "pcapng", "-o", out)
    result = run("export", *arguments, "--track", 9)
    assert result.exit_code == 2
    assert "holds no packets of track 9." in result.stderr
    assert out.read_text() == "mine"
    assert list(tmp_path.glob(".*")) == []


@pytest.mark.parametrize("where", ["physics", "..", "../math", "", "/nowhere"])
def test_what_is_no_journal_is_told_in_one_sentence(data_dir: Path, where: str) -> None:
    result = run("inspect", where, "--data-dir", data_dir)
    assert result.exit_code == 2
    assert "is neither a journal nor a lesson" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_journal_of_a_later_version_is_told_in_one_sentence(data_dir: Path) -> None:
    head = struct.pack("<8sHHIQI", b"TONGBUJ1", 2, 32, 1, 0, 0)
    path = data_dir / "lessons" / NEWER / "journal" / "00000001.tbj"
    path.write_bytes(head + struct.pack("<I", zlib.crc32(head)))
    result = run("inspect", NEWER, "--data-dir", data_dir)
    assert result.exit_code == 2
    assert "has format 2, not 1" in result.stderr


def test_a_folder_that_cannot_be_written_is_told(data_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "missing" / "lesson.pcapng"
    arguments = ("math", "--data-dir", data_dir, "--format", "pcapng", "-o", out)
    result = run("export", *arguments)
    assert result.exit_code == 2
    assert "No such file or directory" in result.stderr
