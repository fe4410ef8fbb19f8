"""When the processes for finished lessons are started, and when again."""

from pathlib import Path

import pytest

from recorder.archive import policy
from recorder.archive.helpers import HOURLY, Helpers
from recorder.archive.policy import Policy, Rule


class Process:
    """One that ends when it is told."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.code: int | None = None
        self.terminated = False

    def poll(self) -> int | None:
        return self.code

    def terminate(self) -> None:
        self.terminated, self.code = True, -15

    def wait(self, timeout: float | None = None) -> int | None:
        return self.code


class Office:
    def __init__(self, data_dir: Path) -> None:
        self.now = 0.0
        self.started: list[Process] = []
        self.helpers = Helpers(data_dir, lambda: self.now, self.start)
        self.archived = 0

    def start(self, kind: str) -> Process:
        self.started.append(Process(kind))
        return self.started[-1]

    def tick(self, seconds: float = 0.0) -> list[str]:
        """Time goes on; the kinds that were started."""
        self.now += seconds
        before = len(self.started)
        self.helpers.tick(self.archived)
        return [process.kind for process in self.started[before:]]

    def end(self, code: int = 0) -> None:
        self.started[-1].code = code


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def test_nothing_runs_while_nothing_is_archived(office: Office):
    assert office.tick() == []
    assert office.tick(2 * HOURLY) == []


def test_a_finished_lesson_has_its_extras_made_at_once(office: Office):
    office.archived = 1
    assert office.tick() == ["extras"]
    assert office.tick(1.0) == []
    office.end()
    assert office.tick(1.0) == []
    office.archived = 2
    assert office.tick() == ["extras"]


def test_a_lesson_that_ends_meanwhile_is_not_forgotten(office: Office):
    office.archived = 1
    office.tick()
    office.archived = 2
    assert office.tick(1.0) == []
    office.end()
    assert office.tick(0.2) == ["extras"]


def test_the_storage_is_tended_to_only_where_there_is_a_policy(office: Office, tmp_path: Path):
    policy.write(tmp_path, Policy(retention=(Rule(30),)))
    office.archived = 1
    assert office.tick() == ["extras", "storage"]
    for process in office.started:
        process.code = 0
    assert office.tick(HOURLY + 1) == ["extras", "storage"]


def test_what_failed_is_tried_again_ever_later(office: Office):
    office.archived = 1
    office.tick()
    waits = []
    for _ in range(8):
        office.end(75)
        office.tick()
        waited = 0.0
        while not office.tick(1.0):
            waited += 1.0
        waits.append(waited + 1)
    assert waits == [2, 5, 15, 60, 300, 900, 900, 900]
    office.end()
    office.archived = 2
    assert office.tick() == ["extras"]


def test_they_end_with_the_worker(office: Office):
    office.archived = 1
    office.tick()
    office.helpers.close()
    assert office.started[0].terminated


def test_a_policy_comes_back(tmp_path: Path):
    wanted = Policy("s3://b/p", "http://x", "redirect", 3.5, 2, (Rule(7, state="degraded"), Rule()))
    policy.write(tmp_path, wanted)
    assert policy.read(tmp_path) == wanted
    assert policy.read(tmp_path / "none") == Policy()


@pytest.mark.parametrize("text", ["", "[]", '{"x": 1}', '{"retention": [{"day": 1}]}'])
def test_what_is_no_policy_is_told(tmp_path: Path, text: str):
    from recorder.errors import ArchiveError

    (tmp_path / "archive.json").write_text(text)
    with pytest.raises(ArchiveError):
        policy.read(tmp_path)
