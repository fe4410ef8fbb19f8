"""Sends a lesson to another platform while it goes on: RTMP, or MPEG-TS over SRT.

    python -m recorder.push.sender

is how the node starts it: the job as one line of JSON on standard input, whose end is the job's;
states as lines of JSON on standard output, the last one says why it is over.

It is a reader of the journal like the recorder, so that the live lesson knows nothing of it, and a
platform that is slow keeps nobody waiting: who falls too far behind goes on at a newer keyframe.
One process is one attempt. What hangs in FFmpeg is ended by the kernel (SIGALRM): FFmpeg opens an
RTMP connection without asking whether it should stop.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import av

from recorder.errors import MediaError, RecorderError
from recorder.pipeline.follow import Follower, OpenReader, State
from recorder.push.edge import Interleaver, LiveEdge, Placed
from recorder.push.output import Output

PATIENCE = 15
"""Seconds that a platform may keep us waiting, for a connection or to take what we send."""
MAX_BEHIND_US = 10_000_000
"""Who is further behind the lesson skips to where it is."""
REPORT_EVERY = 2.0
"""Seconds between two lines of a job that goes well."""

_RECORDS = 2_000
_LOOK_SECONDS = 0.05  # between looks at the journal: a platform is behind enough
_CAUGHT_UP_US = 3_000_000  # a keyframe this young is one to go on with
_RELAY = (sys.executable, "-m", "clients.headless.srt")

Tell = Callable[[Mapping[str, Any]], None]


class PushError(RecorderError):
    """The lesson cannot be sent there; the message never names the URL, which holds a key."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to send, and to whom."""

    journal: Path
    url: str
    source: str = "camera"
    opus: bool = False
    """Over SRT: leave the sound as it is, instead of AAC."""

    @classmethod
    def parse(cls, line: str) -> "Job":
        """From its line of JSON. Raises ValueError, KeyError, TypeError."""
        value = json.loads(line)
        journal, url = Path(value["journal"]), str(value["url"])
        return cls(journal, url, str(value["source"]), value["audio"] == "opus")


class Push:
    """One attempt. `step` again and again until `over`; `now_us` is the node's clock (Unix)."""

    def __init__(self, job: Job, open_reader: OpenReader) -> None:
        """Raises FileNotFoundError, JournalError."""
        self.over = False
        self._job = job
        self._follower = Follower(job.journal, open_reader)
        self._edge = LiveEdge(job.source)
        self._order = Interleaver()
        self._target: _Target = _target(job.url)
        self._output: Output | None = None
        self._live = False
        self._behind_us = 0
        self._skipping = False

    @property
    def report(self) -> dict[str, Any]:
        """How it goes."""
        if self._output is None:
            return {"state": "waiting", "reason": f"There is no {self._job.source} to send yet."}
        sound = "opus" if self._job.opus else "opus to aac"
        counts = {"bytes": self._output.bytes, "behind_s": round(self._behind_us / 1e6, 1)}
        return {"state": "live", "video": "H264", "audio": sound, **counts}

    def step(self, now_us: int) -> bool:
        """Send what is new; False when there was nothing. Raises PushError."""
        records = self._follower.read(_RECORDS)
        self._edge.take(records)
        if self._follower.state is not State.LIVE:
            self._edge.finish()
        placed = self._edge.poll()
        if not self._live and not records:
            self._live = True  # all that was before is the past
        if self._live:
            self._check_codec()
            for frame in placed:
                for item in self._order.push(frame):
                    self._send(item, now_us)
        if self._follower.state is not State.LIVE and not records:
            self.finish()
        return bool(records)

    def finish(self) -> None:
        """Send what waits, and hang up."""
        if self._output is not None:
            for item in self._order.drain():
                self._send(item, item.arrival_us)
            self._attempt(self._output.close)
        self._output = None
        self._target.close()
        self.over = True

    def abandon(self) -> None:
        """Hang up without a word."""
        if self._output is not None:
            self._output.abandon()
        self._target.close()

    def _check_codec(self) -> None:
        codec = self._edge.codec
        if codec not in (None, "H264"):
            raise PushError(
                f"The {self._job.source} is {codec}, and other platforms take H264: let the "
                "teacher's page send that (rtc.video_codecs)."
            )

    def _send(self, item: Placed, now_us: int) -> None:
        if item.kind == "video":
            self._behind_us = max(now_us - item.arrival_us, 0)
            self._send_picture(item)
        elif self._output is not None and not self._skipping:
            output = self._output
            self._attempt(lambda: output.sound(item.data, item.time_us))

    def _send_picture(self, item: Placed) -> None:
        if self._behind_us > MAX_BEHIND_US:
            self._skipping = True
        if self._skipping or self._output is None:
            if not item.keyframe or self._behind_us > _CAUGHT_UP_US:
                return
            self._skipping = False
        if item.keyframe:
            self._begin(item.time_us, item.data)
        if self._output is not None:
            output = self._output
            self._attempt(lambda: output.picture(item.data, item.time_us, item.keyframe))

    def _begin(self, time_us: int, keyframe: bytes) -> None:
        """Connect, or again where the picture's parameters have changed."""
        try:
            if self._output is not None and self._output.fits(keyframe):
                return
        except MediaError:
            return  # a keyframe without parameters: not one to begin with
        if self._output is not None:
            self._attempt(self._output.close)
            self._target.close()
            self._output = None
        self._attempt(lambda: self._connect(time_us, keyframe))

    def _connect(self, time_us: int, keyframe: bytes) -> None:
        target = self._target.open()
        opus = self._job.opus and self._target.container == "mpegts"
        self._output = Output(target, self._target.container, keyframe, time_us, opus=opus)

    def _attempt(self, do: Callable[[], None]) -> None:
        try:
            do()
        except MediaError as error:
            raise PushError(f"The picture cannot be sent: {error}.") from None
        except OSError as error:
            raise PushError(self._target.reason or _why(error)) from None


class _Target:
    """A URL that FFmpeg opens itself."""

    container = "flv"
    reason: str | None = None

    def __init__(self, url: str) -> None:
        self._url = url

    def open(self) -> Any:
        """What `av.open` takes."""
        return self._url

    def close(self) -> None:
        """Nothing is left open."""


class _SrtTarget(_Target):
    """An SRT address: a process of its own carries what is written to it (`clients.headless.srt`).

    It is reached by its command line only: FFmpeg as PyAV brings it has no SRT.
    """

    container = "mpegts"

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._process: subprocess.Popen[bytes] | None = None

    def open(self) -> Any:
        """Start the relay; returns when it is connected. Raises PushError."""
        self._process = subprocess.Popen(
            _RELAY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{self._url}\n".encode())
        said = self._process.stdout.readline().decode().strip()
        if said != "connected":
            self.close()
            raise PushError(said or "The SRT relay did not start.")
        return _Pipe(self._process.stdin)

    @property
    def reason(self) -> str | None:  # type: ignore[override]
        """What the relay said when it gave up."""
        if self._process is None or self._process.stdout is None:
            return None
        readable, _, _ = select.select([self._process.stdout], [], [], 1.0)
        said = self._process.stdout.readline().decode().strip() if readable else ""
        return said or None

    def close(self) -> None:
        """End the relay: by the end of its input, else at once."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(2.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


class _Pipe:
    """A pipe as PyAV writes to it: all or an error."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def write(self, data: bytes) -> int:
        """All of it."""
        left = memoryview(bytes(data))
        while left:
            left = left[self._raw.write(left) :]
        return len(data)


def _target(url: str) -> _Target:
    """Raises PushError."""
    match urlsplit(url).scheme:
        case "rtmp" | "rtmps":
            return _Target(url)
        case "srt":
            return _SrtTarget(url)
        case _:
            raise PushError("A lesson is sent to rtmp, rtmps or srt.")


def _why(error: OSError) -> str:
    match error:
        case ConnectionRefusedError():
            return "Nobody listens at this address."
        case TimeoutError():
            return "The platform says nothing."
        case _:
            return f"The platform does not take it: {error.strerror or 'connection lost'}."


def run(push: Push, tell: Tell, told_to_stop: Callable[[float], bool]) -> None:
    """Send until the lesson is over or standard input is. Raises PushError, JournalError."""
    reported = 0.0
    tell(push.report)
    while not push.over:
        signal.alarm(PATIENCE)
        busy = push.step(time.time_ns() // 1_000)
        if time.monotonic() - reported > REPORT_EVERY:
            tell(push.report)
            reported = time.monotonic()
        if told_to_stop(0 if busy else _LOOK_SECONDS):
            push.finish()
    signal.alarm(0)


def _say(report: Mapping[str, Any]) -> None:
    print(json.dumps(report, ensure_ascii=False), flush=True)


def _input_ended(seconds: float) -> bool:
    readable, _, _ = select.select([sys.stdin], [], [], seconds)
    return bool(readable) and not os.read(sys.stdin.fileno(), 1)


def main() -> int:
    """One job from standard input; the exit code."""
    av.logging.set_level(av.logging.PANIC)  # what matters comes as exceptions; logs name URLs
    push = None
    try:
        from sfu._media import JournalReader  # native: only the real process needs it

        push = Push(Job.parse(sys.stdin.readline()), JournalReader)
        run(push, _say, _input_ended)
    except (RecorderError, OSError, ImportError) as error:
        _say({"state": "failing", "reason": str(error)})
        if push is not None:
            push.abandon()
        return 2
    _say({"state": "ended", "reason": "The lesson is over."})
    return 0


if __name__ == "__main__":
    sys.exit(main())
