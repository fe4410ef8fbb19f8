"""A lesson on its way to the storage, with everything that can go wrong on the way.

The promise: at any moment the lesson is whole here, or whole in the storage; and what says that it
is in the storage says the truth.
"""

import hashlib
import json
import random
from pathlib import Path
from urllib.parse import quote

import pytest

from recorder.archive import storage as storage_module
from recorder.archive import sums, upload
from recorder.archive.extras.make import make
from recorder.archive.layout import verify
from recorder.archive.storage import Storage
from recorder.errors import ArchiveError, StorageError
from tests.recorder.journals import lesson
from tests.recorder.s3 import BUCKET, Way, ask

NOW = 1_790_010_000.0


class Crash(BaseException):
    """The process ends here."""


@pytest.fixture
def server(s3_server: str) -> str:
    return s3_server


@pytest.fixture
def storage(way: Way, tmp_path: Path) -> Storage:
    return Storage(f"s3://{BUCKET}/{tmp_path.name}", way.url, retries=0)


@pytest.fixture
def taught(folder: Path, record, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished lesson with a journal of three parts."""
    journal = lesson("H264", 4)
    record(journal)
    monkeypatch.setattr(storage_module, "PART", 5 << 20)
    big = random.Random(1).randbytes(11 << 20)
    (folder / "journal" / "000000.tbj").write_bytes(big)
    make(folder, journal.opener())
    (folder / "details.json").write_text('{"hold": false}')
    return folder


def there(server: str, storage: Storage, folder: Path, name: str) -> bytes | None:
    """An object, asked of the server itself."""
    prefix = storage.url.removeprefix("s3://")
    status, data = ask(server, "GET", quote(f"/{prefix}/lessons/{folder.name}/{name}"))
    return data if status == 200 else None


def stored_whole(server: str, storage: Storage, folder: Path, whole: dict[str, str]) -> bool:
    for name, digest in whole.items():
        data = there(server, storage, folder, name)
        if data is None or hashlib.sha256(data).hexdigest() != digest:
            return False
    return True


def safe(server: str, storage: Storage, folder: Path, whole: dict[str, str]) -> None:
    """What must hold at any moment."""
    remote = stored_whole(server, storage, folder, whole)
    assert remote or verify(folder) == []
    claims = (folder / "upload.json").exists()
    assert remote or not claims
    if there(server, storage, folder, "manifest.json") is not None:
        assert remote, "a manifest is there before what it lists"


def test_a_lesson_goes_to_the_storage_and_comes_back(server, way, storage, taught: Path):
    whole = sums.read(taught)
    assert not upload.is_stored(taught, storage)
    done = upload.store(taught, storage, NOW)
    assert upload.is_stored(taught, storage)
    assert stored_whole(server, storage, taught, whole)
    assert done.files["journal/000000.tbj"][1].endswith("-3"), "in three parts"
    assert upload.check(taught, storage, read_back=True) == []
    assert storage.lessons() == [taught.name]

    assert upload.free(taught, storage) > 11 << 20
    assert not (taught / "media" / "camera" / "000001.m4s").exists()
    assert (taught / "media" / "poster.jpg").exists()
    assert upload.read(taught).local == "removed"
    safe(server, storage, taught, whole)

    brought = upload.restore(taught, storage)
    assert "journal/000000.tbj" in brought
    assert verify(taught) == []
    assert upload.read(taught).local == "kept"


def test_the_manifest_is_put_last(way, storage, taught: Path):
    upload.store(taught, storage, NOW)
    puts = [path for method, path in way.seen if method in ("PUT", "POST")]
    assert puts[-1].endswith("/manifest.json")
    assert sum(path.endswith("/manifest.json") for path in puts) == 1


def test_what_is_there_already_is_not_sent_again(way, storage, taught: Path):
    way.plan = lambda method, path, number: "lost" if number > 12 else "pass"
    with pytest.raises(StorageError):
        upload.store(taught, storage, NOW)
    arrived = {path for method, path in way.seen[:12] if method == "PUT" and "?" not in path}
    way.plan, way.seen = lambda method, path, number: "pass", []
    upload.store(taught, storage, NOW)
    again = {path for method, path in way.seen if method == "PUT"}
    assert arrived
    assert not arrived & again


@pytest.mark.parametrize("fate", ["lost", "refused", "torn", "cut", "unheard"])
def test_upload_failure_deletes_the_only_copy(server, way, storage, taught: Path, fate: str):
    """The complaint it is named after, turned round: it must not."""
    whole = sums.read(taught)
    way.plan = lambda method, path, number: fate if number % 3 == 0 else "pass"
    for _ in range(6):
        try:
            upload.store(taught, storage, NOW)
            upload.free(taught, storage)
        except StorageError:
            pass
        safe(server, storage, taught, whole)
    way.plan = lambda method, path, number: "pass"
    upload.store(taught, storage, NOW)
    upload.free(taught, storage)
    assert stored_whole(server, storage, taught, whole)


def test_a_crash_at_any_point_loses_nothing(server, way, storage, taught: Path, monkeypatch):
    """Processes die after every so many steps, faults between; each goes on from the disk."""
    whole = sums.read(taught)
    random_ = random.Random(7)
    left = [0]

    def step(*_: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Crash

    write, unlink, put = upload._write, Path.unlink, Storage.put
    monkeypatch.setattr(upload, "_write", lambda *a: (step(), write(*a))[1])
    monkeypatch.setattr(Path, "unlink", lambda *a, **k: (step(), unlink(*a, **k))[1])
    monkeypatch.setattr(Storage, "put", lambda *a: (step(), put(*a), step())[1])
    fates = ["pass"] * 30 + ["lost", "refused", "torn", "cut", "unheard"]
    way.plan = lambda method, path, number: random_.choice(fates)
    for life in range(30):
        left[0] = 2 + life * 2
        try:
            upload.store(taught, storage, NOW)
            upload.free(taught, storage)
        except (Crash, StorageError):
            pass
        left[0] = 10**9
        safe(server, storage, taught, whole)
    way.plan = lambda method, path, number: "pass"
    upload.store(taught, storage, NOW)
    upload.free(taught, storage)
    assert upload.read(taught).local == "removed"
    safe(server, storage, taught, whole)


def test_a_storage_that_lies_about_etags_is_read_back(way, storage, taught: Path, monkeypatch):
    """As one does that encrypts with a key service: sizes are right, ETags are not MD5s."""
    listing = Storage.listing

    def others(self: Storage, lesson: str):
        found = listing(self, lesson)
        return {n: storage_module.Stored(s.size, s.etag[::-1]) for n, s in found.items()}

    monkeypatch.setattr(Storage, "listing", others)
    upload.store(taught, storage, NOW)
    reads = [path for method, path in way.seen if method == "GET" and "list-type" not in path]
    assert any(path.endswith("000001.m4s") for path in reads)
    assert upload.check(taught, storage) == []


@pytest.mark.damaged("it is what must not be stored")
def test_a_damaged_file_is_not_stored(server, storage, taught: Path):
    target = taught / "media" / "camera" / "000001.m4s"
    data = bytearray(target.read_bytes())
    data[100] ^= 1
    target.write_bytes(data)
    with pytest.raises(ArchiveError, match=r"camera/000001\.m4s is damaged"):
        upload.store(taught, storage, NOW)
    assert there(server, storage, taught, "manifest.json") is None


def test_nothing_goes_when_the_storage_has_lost_it(way, storage, taught: Path):
    upload.store(taught, storage, NOW)
    storage.delete(taught.name, ["media/camera/000001.m4s"])
    with pytest.raises(StorageError, match="stays here"):
        upload.free(taught, storage)
    assert verify(taught) == []
    assert upload.check(taught, storage) != []


def test_nothing_goes_that_was_not_stored(storage, taught: Path):
    with pytest.raises(StorageError, match="not in the storage"):
        upload.free(taught, storage)
    upload.store(taught, storage, NOW)
    sums.add(taught, ["details.json"])
    with pytest.raises(StorageError, match="has changed"):
        upload.free(taught, storage)


def test_a_vanished_folder_comes_back(storage, taught: Path):
    upload.store(taught, storage, NOW)
    gone = taught.with_name("gone")
    taught.rename(gone)
    upload.restore(taught, storage)
    assert verify(taught) == []
    assert (taught / "details.json").read_text() == '{"hold": false}'


def test_a_lesson_that_the_storage_never_had_is_told(storage, tmp_path: Path):
    with pytest.raises(StorageError, match="not whole in the storage"):
        upload.restore(tmp_path / "20260921-141320-math-00ab", storage)
    assert not (tmp_path / "20260921-141320-math-00ab" / "manifest.json").exists()


def test_details_that_change_later_are_stored_too(server, storage, taught: Path):
    upload.store(taught, storage, NOW)
    upload.free(taught, storage)
    (taught / "details.json").write_text('{"hold": true}')
    assert not upload.is_stored(taught, storage)
    upload.store(taught, storage, NOW)
    assert upload.is_stored(taught, storage)
    assert json.loads(there(server, storage, taught, "details.json") or b"") == {"hold": True}
    assert upload.check(taught, storage) == []


@pytest.mark.parametrize("url", ["", "bucket", "s3://", "https://x/y", "file:///tmp"])
def test_what_is_no_storage_is_told(url: str):
    with pytest.raises(StorageError, match="must be s3://bucket/prefix"):
        Storage(url)


def test_a_server_that_is_not_there_is_one_sentence(way, taught: Path):
    nowhere = Storage(f"s3://{BUCKET}/x", "http://127.0.0.1:9", retries=0)
    with pytest.raises(StorageError) as caught:
        upload.store(taught, nowhere, NOW)
    assert "\n" not in str(caught.value)
