"""The supervisor with workers of its own making: they die, they hang, they talk."""

import asyncio
import itertools
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from recorder.news import Ended, News
from recorder.supervisor import Backoff, Supervisor

GOOD = "print('ok', flush=True); signal.sigwait([signal.SIGTERM])"
DEAF = "import time; print('deaf', flush=True); time.sleep(60)"


class Ear:
    """Remembers states, and wakes who waits for one."""

    def __init__(self) -> None:
        self.states: list[str] = []
        self._heard = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, state: str) -> None:
        self.states.append(state)
        task = asyncio.ensure_future(self._tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self) -> None:
        async with self._heard:
            self._heard.notify_all()

    async def wait_for(self, state: str, times: int = 1) -> None:
        async with asyncio.timeout(30), self._heard:
            await self._heard.wait_for(lambda: self.states.count(state) >= times)


def command(script: str) -> list[str]:
    """A process that runs the script with SIGTERM blocked, as the worker does."""
    block = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n"
    return [sys.executable, "-c", block + script]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_worker_is_started_heard_and_ended(tmp_path: Path):
    ear = Ear()
    supervisor = Supervisor(tmp_path, ear, command(GOOD))
    await supervisor.start()
    await ear.wait_for("ok")
    pid = supervisor.pid
    assert pid is not None
    await supervisor.stop(5)
    assert ear.states == ["ok", "off"]
    assert supervisor.pid is None
    assert not alive(pid)
    await supervisor.stop(5)
    assert ear.states == ["ok", "off"]


async def test_news_is_told_apart_from_states(tmp_path: Path):
    ear, heard = Ear(), list[News]()
    talk = """
print('{"news":"ended","lesson":"math"}')
print('{"news":"nonsense"}')
print('ok', flush=True); signal.sigwait([signal.SIGTERM])"""
    supervisor = Supervisor(tmp_path, ear, command(talk), heard.append)
    await supervisor.start()
    await ear.wait_for("ok")
    await supervisor.stop(30)
    assert heard == [Ended("math")]
    assert ear.states == ["ok", "off"]


async def test_a_killed_worker_is_back_within_half_a_second(tmp_path: Path):
    ear = Ear()
    supervisor = Supervisor(tmp_path, ear, command(GOOD))
    await supervisor.start()
    await ear.wait_for("ok")
    before = supervisor.pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    killed = time.monotonic()
    await ear.wait_for("failing: the recorder is starting again")
    await ear.wait_for("ok", times=2)
    assert time.monotonic() - killed < 0.5
    assert supervisor.pid not in (None, before)
    assert supervisor.restarts == 1
    await supervisor.stop(5)


async def test_a_worker_that_cannot_live_is_started_ever_more_slowly(tmp_path: Path):
    supervisor = Supervisor(tmp_path, None, [sys.executable, "-c", "raise SystemExit(2)"])
    await supervisor.start()
    await asyncio.sleep(1.5)
    assert 1 <= supervisor.restarts <= 4
    await supervisor.stop(1)


@pytest.mark.parametrize(
    ("worked", "waits"),
    [
        ([0.0] * 9, [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0, 10.0]),
        ([1.0, 1.0, 5.0, 1.0], [0.2, 0.4, 0.2, 0.4]),
        ([2.0] * 9, [0.2] * 9),
    ],
)
def test_waits_grow_until_a_worker_has_worked(worked: list[float], waits: list[float]):
    backoff = Backoff()
    assert [backoff.wait(seconds) for seconds in worked] == pytest.approx(waits)


async def test_crashes_in_a_row_after_some_work_each_do_not_delay_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    ear, waits, wait = Ear(), list[float](), Backoff.wait

    def noted(self: Backoff, worked: float) -> float:
        waits.append(wait(self, worked))
        return 0.0

    monkeypatch.setattr(Backoff, "wait", noted)
    clock = itertools.count(0.0, 3.0).__next__  # each worker works for three seconds of it
    supervisor = Supervisor(tmp_path, ear, command("print('ok', flush=True)"), clock=clock)
    await supervisor.start()
    for times in range(1, 6):
        await ear.wait_for("ok", times)
    await supervisor.stop(5)
    assert waits[:4] == [0.2] * 4


async def test_a_worker_that_does_not_listen_is_killed(tmp_path: Path):
    ear = Ear()
    supervisor = Supervisor(tmp_path, ear, command(DEAF))
    await supervisor.start()
    await ear.wait_for("deaf")
    pid = supervisor.pid
    assert pid is not None
    began = time.monotonic()
    await supervisor.stop(0.3)
    assert time.monotonic() - began < 2
    assert not alive(pid)


async def test_stopping_while_it_waits_to_start_again(tmp_path: Path):
    ear = Ear()
    supervisor = Supervisor(tmp_path, ear, [sys.executable, "-c", ""])
    await supervisor.start()
    await ear.wait_for("failing: the recorder is starting again")
    await supervisor.stop(1)
    assert supervisor.pid is None


async def test_a_command_that_is_not_there_is_told_at_once(tmp_path: Path):
    with pytest.raises(OSError, match="No such file"):
        await Supervisor(tmp_path, None, [str(tmp_path / "nothing")]).start()
