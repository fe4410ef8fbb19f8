"""A feed's process: what it is told, what it tells, and what happens when it dies or hangs."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from signaling.errors import LimitExceeded
from signaling.feeds import attempts, feed
from signaling.feeds.address import PULLED, parse
from signaling.feeds.feed import Feed, Spec
from signaling.feeds.feeds import MAX_OF_LESSON, Feeds

URL = "rtsp://me:geheim@127.0.0.1/x"
_PRELUDE = """
import json, os, sys, time, signal, resource
job = json.loads(sys.stdin.readline())
def say(**report): print(json.dumps(report), flush=True)
def wait(): sys.stdin.read()
"""
LIVE = 'say(state="live", video="H264", bytes=7); wait(); say(state="ended", reason="")'


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "WAITS", (0.01,))


Job = Callable[[], dict[str, str]]


def spec(script: str, job: Job | None = None) -> Spec:
    return Spec(
        "math",
        parse(URL, PULLED),
        ("-c", _PRELUDE + script),
        job or (lambda: {"url": URL}),
        {"source": "camera"},
        "the pull",
    )


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(0.01)


@pytest.fixture
async def begin() -> AsyncIterator[Callable[[str], Feed]]:
    """Starts feeds; they end with the test."""
    begun: list[Feed] = []

    def start(script: str, job: Job | None = None) -> Feed:
        begun.append(Feed(spec(script, job=job), on_end=lambda ended: None))
        begun[-1].start()
        return begun[-1]

    yield start
    for one in begun:
        await one.stop()


async def test_it_tells_how_it_is(begin: Callable[..., Feed]) -> None:
    one = begin(
        'say(state="live", video=json.dumps([job, sys.argv]), bytes=7, key="geheim"); wait()'
    )
    await until(lambda: one.state == "live")
    described = one.describe()
    job, *others = json.loads(str(described.pop("video")))
    assert job == {"url": URL}
    assert "geheim" not in str(others)
    assert described == {
        "id": one.id,
        "url": "rtsp://127.0.0.1/x",
        "source": "camera",
        "state": "live",
        "restarts": 0,
        "bytes": 7,
    }
    await one.stop()
    assert one.state == "ended"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ('say(state="failing", reason="It is dark.")', "It is dark."),
        ('say(state="live"); os.kill(os.getpid(), 9)', "The process died (SIGKILL)."),
        ("signal.alarm(1); time.sleep(60)", "The other side keeps us waiting."),
        ("sys.exit(3)", "The process died (3)."),
        ('print("no json"); print("[1]"); say(reason=7, state="failing")', "It broke off."),
        ('say(state="failing", reason="a\\nb" + "c" * 900)', "a?b" + "c" * 197),
        ('sys.stdout.write("x" * 100_000); sys.stdout.flush(); wait()', "The process died (0)."),
        ("bytearray(3 << 30)", "The process died (1)."),
        ('os.write(os.open("written", os.O_CREAT | os.O_WRONLY), b"x")', "The process died (1)."),
    ],
)
async def test_what_fails_is_told_and_tried_again(
    begin: Callable[..., Feed], script: str, reason: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    one = begin(script)
    await until(lambda: one.state == f"failing: {reason}")
    await until(lambda: int(str(one.describe()["restarts"])) > 1)


async def test_each_attempt_has_a_job_of_its_own(begin: Callable[..., Feed]) -> None:
    jobs = iter(range(100))
    one = begin('say(state="failing", reason=str(job["n"]))', job=lambda: {"n": str(next(jobs))})
    await until(lambda: one.state == "failing: 3")


async def test_who_says_nothing_is_killed(
    begin: Callable[..., Feed], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "SILENCE", 0.5)
    one = begin("signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)")
    await until(lambda: one.state == "failing: The process hung.")


async def test_who_does_not_end_is_ended(begin: Callable[..., Feed]) -> None:
    one = begin('say(state="live")\nwhile True: say(note="again"); time.sleep(0.001)')
    await until(lambda: one.state == "live")
    process = one._process
    assert process is not None
    await one.stop(0.2)
    assert process.returncode == -9


async def test_a_good_end_is_the_end() -> None:
    over: list[Feed] = []
    one = Feed(spec('say(state="live"); say(state="ended", reason="")'), over.append)
    one.start()
    await until(lambda: over == [one])
    assert one.state == "ended"


async def test_there_are_no_more_than_there_may_be() -> None:
    many = Feeds()
    try:
        made = [many.add(spec(LIVE)) for _ in range(MAX_OF_LESSON)]
        with pytest.raises(LimitExceeded):
            many.add(spec(LIVE))
        assert not many.remove("other", made[0].id)
        assert many.remove("math", made[0].id)
        assert not many.remove("math", made[0].id)
        assert [one.id for one in many.of("math")] == [one.id for one in made[1:]]
        many.add(spec(LIVE))
    finally:
        await many.close()
    assert many.of("math") == []
    assert {one.state for one in made} == {"ended"}


async def test_who_may_end_by_himself_does() -> None:
    many = Feeds()
    one = many.add(spec('say(state="live"); time.sleep(0.3); say(state="ended", reason="")'))
    await until(lambda: one.state == "live")
    process = one._process
    assert process is not None
    many.remove("math", one.id, 60.0)
    await until(lambda: one.state == "ended")
    assert process.returncode == 0
    await many.close()
