"""Following a journal: live, ended, abandoned."""

import fcntl
from pathlib import Path

import pytest

from recorder.errors import JournalError
from recorder.pipeline.follow import Follower, State, is_locked
from tests.recorder.journals import FakeReader, Journal


def read_all(follower: Follower, turns: int = 20) -> list:
    return [record for _ in range(turns) for record in follower.read(10)]


@pytest.fixture
def locked(folder: Path):
    with (folder / "journal" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


def test_a_journal_with_an_end_has_ended(folder: Path, locked):
    follower = Follower(folder / "journal", Journal().start().end(1).opener())
    assert len(read_all(follower)) == 3
    assert follower.state is State.ENDED
    assert follower.read(10) == []


def test_while_the_writer_lives_there_may_be_more(folder: Path, locked):
    journal = Journal().start()
    follower = Follower(folder / "journal", journal.opener())
    assert len(read_all(follower, 50)) == 1
    assert follower.state is State.LIVE
    journal.end(5)
    assert len(read_all(follower)) == 2
    assert follower.state is State.ENDED


def test_a_free_lock_means_that_the_writer_was_killed(folder: Path, locked):
    last_words = Journal().event(2, "held back").records
    journal = Journal().start()

    class Holding(FakeReader):
        def flush(self) -> list:
            return last_words

    follower = Follower(folder / "journal", lambda path: Holding(journal, path))
    read_all(follower)
    locked.close()
    assert read_all(follower) == last_words
    assert follower.state is State.ABANDONED


def test_what_was_written_just_before_the_death_is_read_first(folder: Path):
    journal = Journal().start()
    follower = Follower(folder / "journal", journal.opener())
    follower.read(10)
    for _ in range(4):
        follower.read(10)
    journal.end(3)
    assert len(read_all(follower)) == 2
    assert follower.state is State.ENDED


def test_probing_the_lock_does_not_take_it(folder: Path):
    assert not is_locked(folder / "journal")
    (folder / "journal" / "lock").touch()
    assert not is_locked(folder / "journal")
    with (folder / "journal" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert is_locked(folder / "journal")


def test_what_is_no_journal_is_a_journal_error(folder: Path):
    def broken(path: str) -> FakeReader:
        raise ValueError("bad magic")

    with pytest.raises(JournalError, match="bad magic"):
        Follower(folder / "journal", broken)
